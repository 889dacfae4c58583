internal import ContentStore
internal import Platform

/// What mirrors have of one kind.
struct KeptObjects {
    private(set) var ids: Set<Digest> = []
    /// A mirror could not be asked.
    private(set) var isUnsure = false

    init(_ kind: ObjectKind, at mirrors: [any Backend]) {
        for mirror in mirrors {
            do throws(BackendError) {
                try mirror.list(kind) { id, _ in ids.insert(id) }
            } catch {
                isUnsure = true
            }
        }
    }
}

/// Keys and snapshots that have gone from the store while a mirror has them.
///
/// Mirrors keep what was removed: by a prune, an obliteration or the removal of a key, from any
/// host and with any program. Nobody can tell that from a loss. So it is told, and is no damage,
/// and a repair brings it back only when it is asked to.
extension StoreCheck {
    /// How many objects that have gone are named one by one.
    private static let namedVanished = 20

    private func keptOnes(_ kind: ObjectKind) -> KeptObjects {
        if let known = kept[kind] { return known }
        let found = KeptObjects(kind, at: mirrors)
        kept[kind] = found
        return found
    }

    /// Whether a damaged object that is gone is missed.
    ///
    /// A pack is by the index, a key or a snapshot when a mirror still has it. Of others nobody can
    /// say that they were not removed on purpose.
    func isNeeded(_ key: ObjectKey) throws(Failure) -> Bool {
        guard let id = key.id else { return true }
        switch key.kind {
        case .pack: return try store.index.pack(id) != nil
        case .key, .snapshot:
            if try store.index.wasRemoved(key) { return false }
            let found = keptOnes(key.kind)
            return found.isUnsure || found.ids.contains(id)
        case .config, .index, .lock: return false
        }
    }

    /// Tells what an earlier check saw here, and is gone while a mirror has it.
    func checkVanished() throws(Failure) {
        var gone: [ObjectKind: [ObjectKey]] = [:]
        for key in try state.vanished() {
            guard try isNeeded(key) else {
                try state.drop(key)
                continue
            }
            // Of one that only a mirror which is away may have there is nothing to tell.
            guard let id = key.id, keptOnes(key.kind).ids.contains(id) else { continue }
            gone[key.kind, default: []].append(key)
        }
        for (kind, keys) in gone.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            try tell(keys, of: kind)
        }
    }

    private func tell(_ gone: [ObjectKey], of kind: ObjectKind) throws(Failure) {
        for key in gone.prefix(StoreCheck.namedVanished) {
            problems.add(
                StoreProblem(
                    StoreProblem.Kind(kind), key.id,
                    "has gone from here, and a mirror has it: it was removed by somebody, or lost; "
                        + "--repair --restore-removed brings it back", isNote: true))
        }
        if gone.count > StoreCheck.namedVanished {
            problems.add(
                StoreProblem(
                    StoreProblem.Kind(kind), nil,
                    "\(gone.count - StoreCheck.namedVanished) more have gone from here, and a "
                        + "mirror has them", isNote: true))
        }
        // Nobody removes all there is one by one.
        guard try listed(kind).isEmpty else { return }
        problems.add(
            StoreProblem(
                StoreProblem.Kind(kind), nil,
                "all \(gone.count) have gone from here, and a mirror has them: if they were lost, "
                    + "--repair --restore-removed brings them back; if they were removed on "
                    + "purpose, remove them there too"))
    }
}
