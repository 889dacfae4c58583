package import Platform

/// All who hold a lock on a store.
package struct LockCensus: Sendable {
    /// A lock that is there.
    package struct Entry: Sendable, Equatable {
        package var id: Digest
        package var lock: LockFile

        package var holder: LockHolder { LockHolder(hostname: lock.hostname, pid: lock.pid) }
        /// Whether a program holds it that does not look at the index again before its snapshot.
        package var isForeign: Bool {
            lock.program != LockFile.cistern && lock.program != LockFile.collector
        }
    }

    package var entries: [Entry]

    /// Everybody.
    package var holders: Set<LockHolder> { Set(entries.map(\.holder)) }
    /// Those who are not Cistern.
    package var foreign: [Entry] { entries.filter(\.isForeign) }
}

extension Store {
    /// Times that the locks are listed again when one was replaced while they were read.
    private static let censusAttempts = 20

    /// Who holds a lock on the store now, but for this process.
    ///
    /// A refresh writes a new file and then removes the old one, so that a single listing can miss
    /// both: the union of two listings cannot, because nobody refreshes twice within them. A file
    /// that is gone when it is read has been replaced or given back: then all is listed again.
    ///
    /// - Throws: when a lock cannot be read: nobody knows then who is there.
    package func lockCensus() throws(Failure) -> LockCensus {
        let sealer = Sealer(key: key)
        for _ in 0..<Store.censusAttempts {
            var ids = try listedLocks()
            ids.formUnion(try listedLocks())
            // Asked after the listing, because a refresh is noted before it is written. Host and
            // process alone are not enough: containers of one host may agree in both.
            let ours = try index.ownLocks()
            var entries: [LockCensus.Entry] = []
            var isStable = true
            for id in ids.sorted() {
                guard let lock = try readLock(id, sealer) else {
                    isStable = false
                    break
                }
                let entry = LockCensus.Entry(id: id, lock: lock)
                if entry.holder != holder || !ours.contains(id) { entries.append(entry) }
            }
            if isStable { return LockCensus(entries: entries) }
        }
        throw Failure(
            .temporary, "the locks of store \(backend.location) change all the time",
            hint: "Run again.")
    }

    private func listedLocks() throws(Failure) -> Set<Digest> {
        var ids = Set<Digest>()
        try backend.failing { store throws(BackendError) in
            // restic passes over files without content: a full disk leaves them behind.
            try store.list(.lock) { id, size in if size > 0 { ids.insert(id) } }
        }
        return ids
    }

    private func readLock(_ id: Digest, _ sealer: Sealer) throws(Failure) -> LockFile? {
        let bytes: [UInt8]
        do throws(BackendError) {
            bytes = try backend.get(ObjectKey(.lock, id), limit: 1 << 20)
        } catch {
            if case .missing = error { return nil }
            throw error.failure(at: backend.location)
        }
        do throws(Failure) {
            let json = try UnpackedFile.open(bytes.span, expected: id, sealer: sealer)
            return try LockFile.decode(json)
        } catch {
            throw Failure(
                .store, "lock \(id.short) of store \(backend.location) cannot be read",
                cause: error.description,
                hint: "When no program uses the store, remove it with "
                    + "`restic unlock --remove-all`.")
        }
    }
}
