internal import ContentStore
internal import Platform

/// Keys and snapshots that have gone from the first place and that a mirror has.
///
/// Whether they were lost, or removed by whoever may do so, nobody can tell: a repair that brought
/// them back by itself would undo every prune, obliteration and revocation of another host.
extension StoreRepair {
    func isRemovable(_ kind: ObjectKind) -> Bool { kind == .key || kind == .snapshot }

    func tellGone(_ key: ObjectKey) {
        tell(
            .left, key, at: primary.backend,
            "it was damaged and has gone since: --restore-removed brings it back from a mirror")
    }

    /// Brings back what has gone, when that was asked for.
    func restoreVanished() throws {
        guard options.restoresRemoved else { return }
        for key in try primary.state.vanished() {
            try Interruption.check()
            if try !copies.isGood(key, at: primary.backend) { try copy(key, to: 0) }
        }
    }
}
