internal import ContentStore
internal import Platform

extension StoreRepair {
    /// Takes out a damaged pack that is in no index file, unless somebody may count on it.
    ///
    /// - Parameter isSaved: all that it held is in other packs; else nobody knows what it was.
    func retireUnlisted(_ key: ObjectKey, isSaved: Bool) throws {
        if let reason = try reasonToStay(key, isSaved) {
            tell(.left, key, at: primary.backend, reason)
            return
        }
        if !options.dryRun { try remove(key, at: primary, reason: "damaged, in no index file") }
        tell(
            .retired, key, at: primary.backend,
            "in no index file" + (options.dryRun ? "" : "; it is in the quarantine"))
    }

    /// Why a damaged pack stays; nil when nothing refers to it, and nobody is about to.
    private func reasonToStay(_ key: ObjectKey, _ isSaved: Bool) throws -> String? {
        guard let id = key.id, try store.index.pack(id) == nil else {
            return "nobody has a good copy"
        }
        guard try store.index.isUnlisted(id) else {
            return "it is being written from here, or removed by a collection of garbage"
        }
        if !isSaved {
            let damaged = try primary.state.knownDamage().contains { $0.key.kind == .index }
            if damaged { return "a damaged index file may list it" }
            if try missesContent() { return "it may hold what snapshots miss" }
        }
        // Who is uploading it has held a lock since before it was there, and lists it before
        // giving the lock back: so the locks first, and then its bytes.
        if let other = try writers().first {
            return "it may be a pack that is being written: the store is locked \(other.holder)"
        }
        guard try copies.isGood(key, at: primary.backend) else { return nil }
        try recordGood(key, at: primary)
        return "it is whole by now"
    }

    /// Who else may be writing to the store.
    private func writers() throws(Failure) -> [LockFile] {
        try store.lockCensus().entries.map(\.lock).filter { lock in
            lock.hostname != store.holder.hostname || !lock.isOwnerDead
        }
    }
}
