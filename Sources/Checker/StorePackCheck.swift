internal import ContentStore
internal import Platform

extension StoreCheck {
    /// Reads all packs, each once, on all threads.
    func readPacks(_ sums: PackSums) throws {
        var page: ArraySlice<IndexedPack> = []
        var last = 0
        let store = store
        try orderedMap(
            threads: options.threads, window: options.threads * 4, name: "pack",
            makeWorker: { _ in
                let checker = StorePackChecker(store: store)
                return { _, pack in
                    try checker.check(
                        pack, expected: sums[pack.number], wasBad: sums.hasBad(pack.number))
                }
            },
            next: {
                try Interruption.check()
                while true {
                    if let pack = page.popFirst() {
                        if pack.present { return pack }
                        continue
                    }
                    page = try store.index.packs(after: last, limit: 1024)[...]
                    guard let end = page.last else { return nil }
                    last = end.number
                }
            },
            collect: { _, verdict in try self.collect(verdict) })
    }

    private func collect(_ verdict: PackVerdict) throws(Failure) {
        result.packsRead += 1
        result.blobsRead += verdict.blobs
        result.bytesRead += verdict.bytes
        for message in verdict.problems {
            problems.add(StoreProblem(.pack, verdict.pack.id, message))
        }
        for blob in verdict.bad {
            problems.add(
                StoreProblem(
                    .blob, blob.id,
                    "\(blob.type.word) blob in pack \(verdict.pack.id.short): \(blob.reason)"))
            try store.index.markBad(blob.id, blob.type, in: verdict.pack.id)
        }
        for blob in verdict.good {
            try store.index.markGood(blob.id, blob.type, in: verdict.pack.id)
        }
        progress(result.packsRead, result.bytesRead)
    }
}

/// What reading one pack found.
struct PackVerdict: Sendable {
    struct Blob: Sendable {
        var id: Digest
        var type: BlobType
        var reason = ""
    }

    var pack: IndexedPack
    var blobs = 0
    var bytes: UInt64 = 0
    var problems: [String] = []
    var bad: [Blob] = []
    /// Blobs that are good; only for packs of which the index has marked some as bad.
    var good: [Blob] = []
}

/// Reads whole packs: the file's hash, its header, and each blob's code, compression and hash.
///
/// Not for use by two threads at once.
final class StorePackChecker {
    private let store: Store
    private let sealer: Sealer
    private let blobs: StoreBlobChecker
    private let window: PackWindow

    init(store: Store) {
        self.store = store
        sealer = Sealer(key: store.key)
        blobs = StoreBlobChecker(key: store.key)
        window = PackWindow(backend: store.backend)
    }

    /// Checks `pack`, whose entries in the index have the sum `expected`.
    ///
    /// - Throws: `Failure` when the store cannot be reached; damage is in the verdict.
    func check(
        _ pack: IndexedPack, expected: PackSums.Sum, wasBad: Bool
    ) throws(Failure) -> PackVerdict {
        var verdict = PackVerdict(pack: pack)
        window.open(pack)
        let entries = try entries(of: pack, expected, &verdict)
        var end: UInt64 = 0
        for entry in entries {
            let reason: String?
            if entry.offset < end {
                reason = "it lies over another blob"
            } else {
                reason = try blobs.check(entry, in: window)
                end = entry.range.upperBound
            }
            verdict.blobs += 1
            let blob = PackVerdict.Blob(id: entry.id, type: entry.type, reason: reason ?? "")
            if reason != nil {
                verdict.bad.append(blob)
            } else if wasBad {
                verdict.good.append(blob)
            }
        }
        try finish(pack, &verdict)
        return verdict
    }

    private func finish(_ pack: IndexedPack, _ verdict: inout PackVerdict) throws(Failure) {
        let hash = try window.finish()
        verdict.bytes = window.bytesRead
        if let failure = window.failure {
            verdict.problems.append(failure.description)
        } else if hash != pack.id {
            verdict.problems.append("is not what its name says: it has SHA-256 \(hash.short)…")
        }
    }

    /// The entries by the pack's own header, or by the index where that is damaged.
    private func entries(
        of pack: IndexedPack, _ expected: PackSums.Sum, _ verdict: inout PackVerdict
    ) throws(Failure) -> [PackEntry] {
        let header: [PackEntry]
        do throws(Failure) {
            header = try PackHeader.decode(size: pack.size, sealer: sealer) {
                range throws(Failure) in try window.tail(range)
            }
        } catch {
            guard error.kind == .store else { throw error }
            verdict.problems.append(error.description)
            return try store.index.entries(ofPack: pack.number)
        }
        guard PackSums.Sum(header) != expected else { return header }
        let listed = Set(try store.index.entries(ofPack: pack.number))
        let own = Set(header)
        // A blob that the pack has twice has one entry in the local index.
        let ids = Set(listed.map(\.id))
        let unlisted = own.subtracting(listed).filter { !ids.contains($0.id) }
        let absent = listed.subtracting(own)
        if !unlisted.isEmpty {
            verdict.problems.append("holds \(unlisted.count) blobs that the index does not list")
        }
        if !absent.isEmpty {
            verdict.problems.append(
                "does not hold \(absent.count) blobs as the index lists them, the first is "
                    + "\(absent.map(\.id).min()?.short ?? "")")
        }
        for entry in absent {
            verdict.bad.append(
                PackVerdict.Blob(
                    id: entry.id, type: entry.type, reason: "is not where the index says"))
        }
        let absentIDs = Set(absent.map(\.id))
        return header.filter { !absentIDs.contains($0.id) }
    }
}
