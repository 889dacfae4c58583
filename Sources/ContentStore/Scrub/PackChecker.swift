package import Platform

/// What reading one pack found.
package struct PackVerdict: Sendable {
    package struct Blob: Sendable {
        package var id: Digest
        package var type: BlobType
        package var reason = ""
    }

    package var pack: IndexedPack
    package var blobs = 0
    package var bytes: UInt64 = 0
    package var problems: [String] = []
    package var bad: [Blob] = []
    /// Blobs that are good; only for packs of which the index has marked some as bad.
    package var good: [Blob] = []

    /// Whether every byte of the pack was proven.
    package var isGood: Bool { problems.isEmpty && bad.isEmpty }

    /// What is wrong in one line.
    package var reason: String {
        if let first = problems.first { return first }
        return "\(bad.count) of its \(blobs) blobs are damaged"
    }
}

/// Reads whole packs: their header, and each blob's code, compression and hash.
///
/// The header accounts for every byte of the pack, each blob lies where the one before ends, and
/// the codes of blobs and header cover all their bytes: a pack in which all are right has no byte
/// that was not proven. So its own hash is made only when something is wrong.
///
/// Not for use by two threads at once.
package final class PackChecker {
    private let index: BlobIndex
    private let sealer: Sealer
    private let blobs: StoreBlobChecker
    private let window: PackWindow
    private let sum: ObjectSum

    /// Checks packs at `place` against the index of `store`.
    package init(store: Store, place: any Backend) {
        index = store.index
        sealer = Sealer(key: store.key)
        blobs = StoreBlobChecker(key: store.key)
        window = PackWindow(backend: place)
        sum = ObjectSum(place: place)
    }

    /// Checks `pack`, whose entries in the index have the sum `expected`; nil for a pack that no
    /// index file lists.
    ///
    /// - Throws: `Failure` when the place cannot be reached; damage is in the verdict.
    package func check(
        _ pack: IndexedPack, expected: PackSums.Sum?, wasBad: Bool
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
        if let failure = window.failure { verdict.problems.append(failure.description) }
        verdict.bytes = verdict.isGood ? pack.size : window.bytesRead
        if !verdict.isGood { try addSum(pack, &verdict) }
        return verdict
    }

    /// Tells damage on the medium from a pack that was written wrong.
    private func addSum(_ pack: IndexedPack, _ verdict: inout PackVerdict) throws(Failure) {
        do throws(ObjectProblem) {
            let hash = try sum.sum(ObjectKey(.pack, pack.id), size: pack.size)
            guard hash != pack.id else { return }
            verdict.problems.append(
                "is not what its name says: it has SHA-256 \(hash.short)…")
        } catch {
            switch error {
            case .unknown(let failure): throw failure
            // Told already.
            case .gone, .damaged: break
            }
        }
    }

    /// The entries by the pack's own header, or by the index where that is damaged.
    private func entries(
        of pack: IndexedPack, _ expected: PackSums.Sum?, _ verdict: inout PackVerdict
    ) throws(Failure) -> [PackEntry] {
        let header: [PackEntry]
        do throws(Failure) {
            header = try PackHeader.decode(size: pack.size, sealer: sealer) {
                range throws(Failure) in try window.tail(range)
            }
        } catch {
            guard error.kind == .store else { throw error }
            verdict.problems.append(error.description)
            return try index.entries(ofPack: pack.number)
        }
        guard let expected, PackSums.Sum(header) != expected else { return header }
        let listed = Set(try index.entries(ofPack: pack.number))
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
