package import Manifest
internal import Platform

/// Batches from an NDJSON stream of the stage before: `cistern check MODULE --list -`.
package final class StreamSource: BatchSource {
    private let reader: NDJSONReader
    // Lines read and not yet handed out.
    private var lines: ArraySlice<ListLine> = []
    private let batchUnits: Int
    private var number: Int
    private var seq: Int
    private let resumeAfter: [UInt8]?
    private var after: [UInt8]?
    private var afterIsUnreadable = false
    private var ended = false

    /// Batches of the units that `reader` gives.
    ///
    /// - Parameter resumeAfter: units up to and with this path were done by an earlier run.
    package init(
        _ reader: NDJSONReader, resumeAfter: [UInt8]? = nil, firstBatch: Int = 0,
        batchUnits: Int = 1024
    ) {
        self.reader = reader
        self.batchUnits = batchUnits
        number = firstBatch
        seq = 0
        self.resumeAfter = resumeAfter
    }

    package func next() throws -> (any PendingBatch)? {
        guard !ended else { return nil }
        var units: [Unit] = []
        var bytes: UInt64 = 0
        var from = after
        var fromIsUnreadable = afterIsUnreadable
        while units.count < batchUnits && bytes < 256 << 20 {
            guard let line = try nextLine() else {
                ended = true
                break
            }
            switch line {
            case .unit(let unit):
                try checkOrder(unit)
                remember(unit)
                if let resumeAfter, comparePaths(unit.path, resumeAfter) <= 0 {
                    from = after
                    fromIsUnreadable = afterIsUnreadable
                    continue
                }
                bytes &+= unit.metadata.kind == .file ? unit.metadata.size : 0
                units.append(unit)
            case .overlay:
                throw Failure(
                    .usage, "the list holds lines of a stored list, which are no units",
                    hint: "`cistern results` prints whole units")
            case .stats:
                // The reader has seen the end of the list and stops by itself.
                continue
            }
        }
        let batch = UnitBatch(
            number: number, firstSeq: seq, units: units, after: from,
            upTo: ended ? nil : after, afterIsUnreadable: fromIsUnreadable)
        number += 1
        seq += units.count
        return batch
    }

    private func nextLine() throws(Failure) -> ListLine? {
        if lines.isEmpty { lines = try reader.next()?[...] ?? [] }
        return lines.popFirst()
    }

    private func remember(_ unit: Unit) {
        after = unit.path
        afterIsUnreadable = unit.isUnreadableDirectory
    }

    private func checkOrder(_ unit: Unit) throws(Failure) {
        guard let after, comparePaths(unit.path, after) <= 0 else { return }
        throw Failure(
            .usage,
            "the list is not in order: \(printable(unit.path)) comes after \(printable(after))",
            hint: "Lists are ordered by path, component by component")
    }
}
