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
    /// The last path that was handed out, or that an earlier run did.
    private var after: [UInt8]?
    private var unreadable = UnreadableDirectories()
    /// The last path that was read, for the order.
    private var previous: [UInt8]?
    private var ended = false
    /// What ended the stream behind the units that are handed out first.
    private var failure: Failure?

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
        after = resumeAfter
    }

    package func next() throws -> (any PendingBatch)? {
        if let failure { throw failure }
        guard !ended else { return nil }
        var units: [Unit] = []
        var bytes: UInt64 = 0
        var from = unreadable.current
        do throws(Failure) {
            while units.count < batchUnits && bytes < 256 << 20 {
                guard let line = try nextLine() else {
                    ended = true
                    break
                }
                guard let unit = try unit(of: line) else { continue }
                if let resumeAfter, comparePaths(unit.path, resumeAfter) <= 0 {
                    unreadable.pass(unit)
                    from = unreadable.current
                    continue
                }
                unreadable.pass(unit)
                bytes &+= unit.metadata.kind == .file ? unit.metadata.size : 0
                units.append(unit)
            }
        } catch {
            // What came before the fault is good.
            failure = error
            if units.isEmpty { throw error }
        }
        let batch = UnitBatch(
            number: number, firstSeq: seq, units: units, after: after,
            upTo: ended ? nil : units.last?.path ?? after, unreadable: from)
        number += 1
        seq += units.count
        after = units.last?.path ?? after
        return batch
    }

    /// The unit of a line, in its order; nil for the end of the list.
    private func unit(of line: ListLine) throws(Failure) -> Unit? {
        switch line {
        case .unit(let unit):
            if let previous, comparePaths(unit.path, previous) <= 0 {
                throw Failure(
                    .usage,
                    "the list is not in order: \(printable(unit.path)) comes after "
                        + printable(previous),
                    hint: "Lists are ordered by path, component by component")
            }
            previous = unit.path
            return unit
        case .overlay:
            throw Failure(
                .usage, "the list holds lines of a stored list, which are no units",
                hint: "`cistern results` prints whole units")
        case .stats:
            // The reader has seen the end of the list and stops by itself.
            return nil
        }
    }

    private func nextLine() throws(Failure) -> ListLine? {
        if lines.isEmpty { lines = try reader.next()?[...] ?? [] }
        return lines.popFirst()
    }
}
