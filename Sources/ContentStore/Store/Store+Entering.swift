package import Platform

/// What a store has, from one listing of all.
package struct StoreListing {
    /// The index files that were known here before.
    private(set) var known: Set<Digest>
    private(set) var packs: [(id: Digest, size: UInt64)] = []
    private(set) var indexFiles: Set<Digest> = []
    private(set) var keys: [Digest: UInt64] = [:]
    private(set) var locks: [(id: Digest, size: UInt64)] = []

    /// Lists `store`; nil where that takes one listing for each kind.
    init?(_ store: Store) throws(Failure) {
        known = try store.index.knownIndexFiles()
        var found = self
        let isWhole = try store.backend.failing { backend throws(BackendError) in
            try backend.listTogether { key, size in found.add(key, size) }
        }
        guard isWhole else { return nil }
        self = found
    }

    private mutating func add(_ key: ObjectKey, _ size: UInt64) {
        guard let id = key.id else { return }
        switch key.kind {
        case .pack: packs.append((id, size))
        case .index: indexFiles.insert(id)
        case .key: keys[id] = size
        case .lock: locks.append((id, size))
        case .config, .snapshot: break
        }
    }
}

extension Store {
    /// Takes a shared lock as `lock` does, and brings the index up to date as `refresh` does, with
    /// one listing for both where the place has such.
    package func enter(
        session: String, program: String = LockFile.cistern
    ) throws(Failure) -> RepositoryLock {
        var listing: StoreListing?
        let lock = try lock(session: session, program: program) { () throws(Failure) in
            listing = try StoreListing(self)
            return listing
        }
        do throws(Failure) {
            try refresh(session: session, listing: listing)
        } catch {
            // The first error is the one to tell; a lock that stays goes with the next command.
            try? lock.release()
            throw error
        }
        return lock
    }
}
