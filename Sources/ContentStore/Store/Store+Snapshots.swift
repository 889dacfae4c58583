package import Platform

/// A snapshot with its id.
package struct StoredSnapshot: Sendable {
    package var id: Digest
    package var snapshot: Snapshot
}

extension Store {
    /// The longest snapshot file that is read, in bytes.
    private static let snapshotLimit = 16 << 20

    /// Stores the sealed snapshot `id`, durably.
    ///
    /// It is in `snapshots` from then on, also where listings lag.
    package func put(snapshot id: Digest, _ sealed: [UInt8]) throws(Failure) {
        let json = try UnpackedFile.open(sealed.span, expected: id, sealer: Sealer(key: key))
        do throws(BackendError) {
            try backend.put(ObjectKey(.snapshot, id), sealed.span)
        } catch {
            throw error.failure(at: backend.location)
        }
        try index.updateSnapshots(add: [(id, json)], remove: [])
    }

    /// The snapshots of the store, oldest first.
    ///
    /// Those seen before come from the local cache.
    ///
    /// - Throws: `Failure` naming the first snapshot that cannot be read, unless `unreadable`
    ///   takes it.
    package func snapshots(
        unreadable: ((Digest, Failure) -> Void)? = nil
    ) throws(Failure) -> [StoredSnapshot] {
        var listed = Set<Digest>()
        do {
            try backend.list(.snapshot) { id, _ in listed.insert(id) }
        } catch {
            throw Failure(
                .store, "the snapshots of \(backend.location) cannot be listed", wrapping: error,
                at: backend.location)
        }
        var cached = try index.cachedSnapshots()
        let gone = cached.keys.filter { !listed.contains($0) }
        do throws(BackendError) {
            for id in try unlisted(gone, .snapshot) { listed.insert(id) }
        } catch {
            throw error.failure(at: backend.location)
        }
        let sealer = Sealer(key: key)
        var added: [(Digest, [UInt8])] = []
        for id in listed where cached[id] == nil {
            do {
                let bytes = try get(ObjectKey(.snapshot, id), limit: Store.snapshotLimit)
                let json = try UnpackedFile.open(bytes.span, expected: id, sealer: sealer)
                cached[id] = json
                added.append((id, json))
            } catch BackendError.missing {
                // Forgotten by somebody since the listing.
                continue
            } catch {
                let failure = Failure(
                    .store, "snapshot \(id.short)", wrapping: error, at: backend.location)
                guard let unreadable, failure.kind != .temporary else { throw failure }
                unreadable(id, failure)
            }
        }
        try index.updateSnapshots(add: added, remove: cached.keys.filter { !listed.contains($0) })
        var result: [StoredSnapshot] = []
        for (id, json) in cached where listed.contains(id) {
            result.append(StoredSnapshot(id: id, snapshot: try Snapshot.decode(json)))
        }
        return result.sorted { ($0.snapshot.time, $0.id) < ($1.snapshot.time, $1.id) }
    }

    /// The snapshots of one module, oldest first, by `Snapshot.module`.
    package func snapshots(of module: String) throws(Failure) -> [StoredSnapshot] {
        try snapshots().filter { $0.snapshot.module == module }
    }

    /// The snapshot whose id begins with `prefix` (or the newest of `module` for `latest`).
    ///
    /// By its id also one that is no module's, but none of another module.
    ///
    /// - Throws: `Failure` of class usage when none or several match.
    package func snapshot(
        _ prefix: String, module: String? = nil
    ) throws(Failure) -> StoredSnapshot {
        let all = try snapshots()
        let own = module.map { module in all.filter { $0.snapshot.module == module } } ?? all
        if prefix == "latest" {
            guard let last = own.last else {
                throw Failure(
                    .usage,
                    "the store \(backend.location) has no snapshot"
                        + (module.map { " of module \($0)" } ?? ""),
                    hint: all.isEmpty ? nil : "`cistern snapshots` lists those that it has")
            }
            return last
        }
        var matches = own.filter { $0.id.description.hasPrefix(prefix) }
        if matches.isEmpty { matches = all.filter { $0.id.description.hasPrefix(prefix) } }
        guard let match = matches.first, matches.count == 1 else {
            throw Failure(
                .usage,
                matches.isEmpty
                    ? "no snapshot's id begins with \(prefix)"
                    : "\(matches.count) snapshots' ids begin with \(prefix)",
                hint: "`cistern snapshots` lists them")
        }
        if let module, let other = match.snapshot.module, other != module {
            throw Failure(
                .usage, "snapshot \(match.id.short) is of module \(other), not of \(module)",
                hint: "`cistern snapshots \(module)` lists those of \(module)")
        }
        return match
    }

    /// Removes a snapshot; its content stays until nothing refers to it and space is collected.
    ///
    /// One that is gone already is a success.
    package func removeSnapshot(_ id: Digest) throws(Failure) {
        try index.noteRemoval(ObjectKey(.snapshot, id))
        CrashPoint.reached("snapshot-before-removal")
        do throws(BackendError) {
            try backend.remove(ObjectKey(.snapshot, id))
        } catch {
            throw Failure(
                .store, "snapshot \(id.short) could not be removed",
                wrapping: error.failure(at: backend.location))
        }
        CrashPoint.reached("snapshot-removed")
        // Only a copy: the next listing finds out too.
        try index.updateSnapshots(add: [], remove: [id])
    }
}
