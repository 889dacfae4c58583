internal import ContentStore
internal import Platform

extension StoreCheck {
    /// How many packs without an index entry are named one by one.
    private static let namedPacks = 20

    /// Reads the index files again that were taken in earlier, and compares them with the local
    /// copy; the new ones were read just now.
    func checkIndexFiles(known: Set<Digest>, _ sums: PackSums) throws {
        let files = try listed(.index)
        result.indexFiles = files.count
        let unreadable = Set(damagedIndexFiles.map(\.key))
        // Those that are new were read just now.
        var findings =
            damagedIndexFiles
            + files.filter { !known.contains($0) }.map {
                ScrubResult(ObjectKey(.index, $0), .deep, .good)
            }.filter { !unreadable.contains($0.key) }
        var rest = files[...].filter { known.contains($0) }[...]
        let store = store
        // Each holds a whole file, so that more would cost memory.
        let threads = options.scrub.threads ?? processorCount
        try orderedMap(
            threads: threads, window: threads * 2, name: "index",
            makeWorker: { _ in
                let sealer = Sealer(key: store.key)
                return { _, id in try StoreCheck.read(indexFile: id, store, sealer) }
            },
            next: {
                try Interruption.check()
                return rest.popFirst()
            },
            collect: { _, read in
                let key = ObjectKey(.index, read.id)
                if read.isGone {
                    findings.append(ScrubResult(key, .deep, .gone))
                } else {
                    let verdict = read.failure.map { ScrubResult.Verdict.bad("\($0)") }
                    findings.append(ScrubResult(key, .deep, verdict ?? .good))
                }
                try self.compare(read, sums)
            })
        try state.record(findings, at: store.clock.now())
    }

    /// What an index file says of its packs; nil for packs when it cannot be read.
    private struct ReadIndexFile: Sendable {
        var id: Digest
        var packs: [(id: Digest, sum: PackSums.Sum)] = []
        var failure: Failure?
        var isGone = false
    }

    private static func read(
        indexFile id: Digest, _ store: Store, _ sealer: Sealer
    ) throws -> ReadIndexFile {
        var read = ReadIndexFile(id: id)
        do {
            let bytes = try store.backend.get(
                ObjectKey(.index, id), limit: IndexFile.storedLimit)
            try IndexFile.read(bytes.span, expected: id, sealer: sealer) { pack, entries in
                read.packs.append((pack, PackSums.Sum(entries)))
            }
        } catch BackendError.missing {
            // Replaced by another writer since the listing.
            return ReadIndexFile(id: id, isGone: true)
        } catch let error as BackendError {
            read.failure = error.failure(at: store.backend.location)
        } catch let failure as Failure {
            read.failure = failure
        }
        if let failure = read.failure, failure.kind == .temporary { throw failure }
        return read
    }

    private func compare(_ read: ReadIndexFile, _ sums: PackSums) throws(Failure) {
        if let failure = read.failure {
            problems.add(StoreProblem(.index, read.id, "index file: \(failure)"))
            return
        }
        for (id, sum) in read.packs {
            if let pack = try store.index.pack(id) {
                if sums[pack.number] == sum { continue }
                if try hasTwice(pack, sum) { continue }
            }
            problems.add(
                StoreProblem(
                    .local, id,
                    "index file \(read.id.short) and its local copy \(store.index.path) differ on "
                        + "pack \(id.short): move the copy away, and it is made again"))
        }
    }

    /// Whether a pack has the same blob more than once, which the local copy keeps only one of.
    private func hasTwice(_ pack: IndexedPack, _ sum: PackSums.Sum) throws(Failure) -> Bool {
        let entries = try store.index.entries(ofPack: pack.number)
        return entries.count < Int(sum.count) && PackHeader.expectedSize(entries) < pack.size
    }

    /// Compares the listing of the packs with the index.
    func checkListing() throws(Failure) {
        // Another one may have taken packs out of the index and away between the two listings:
        // what is missing counts when it is missed by the index of now.
        if try !absentPacks({ _ in }) { try refresh() }
        result.packs = 0
        _ = try absentPacks { pack throws(Failure) in try report(absent: pack) }
        let unlisted = try store.index.unlistedPacks(limit: StoreCheck.namedPacks)
        result.unlistedPacks = unlisted.count
        for id in unlisted.first {
            problems.add(
                StoreProblem(
                    .pack, id,
                    "in no index file: left by a writer that was stopped, or being written",
                    isNote: true))
        }
    }

    /// Calls `each` for the packs of the index that the last listing lacks; whether there are none.
    private func absentPacks(
        _ each: (IndexedPack) throws(Failure) -> Void
    ) throws(Failure) -> Bool {
        var last = 0
        var isWhole = true
        while true {
            let packs = try store.index.packs(after: last, limit: 1024)
            guard let end = packs.last else { return isWhole }
            last = end.number
            result.packs += packs.count
            for pack in packs where !pack.present {
                isWhole = false
                try each(pack)
            }
        }
    }

    private func report(absent pack: IndexedPack) throws(Failure) {
        let key = ObjectKey(.pack, pack.id)
        let size = try store.backend.failing { place throws(BackendError) in
            try place.size(key)
        }
        // It has come back since.
        if size == pack.size { return }
        let now = store.clock.now()
        if let size {
            let message = "has \(size) bytes in place of \(pack.size)"
            problems.add(StoreProblem(.pack, pack.id, message))
            try state.record([ScrubResult(key, .present, .bad(message))], at: now)
        } else {
            problems.add(StoreProblem(.pack, pack.id, "is missing"))
            try state.markMissing(key, size: pack.size, reason: "is missing", at: now)
        }
    }

    /// Asks again about packs that were listed and went away while they were to be read.
    func checkGone(_ keys: [ObjectKey]) throws(Failure) {
        let packs = keys.filter { $0.kind == .pack }
        guard !packs.isEmpty else { return }
        try refresh()
        for key in packs {
            guard let id = key.id, let pack = try store.index.pack(id), !pack.present else {
                continue
            }
            try report(absent: pack)
        }
    }
}
