package import Manifest
package import Platform

/// Batches from an NDJSON stream of the stage before: `cistern check MODULE --list -`.
package final class StreamSource: BatchSource {
    private var reader: NDJSONReader
    private let batchUnits: Int
    private var number: Int
    private var seq: Int
    private var toSkip: Int
    private var after: [UInt8]?
    private var afterIsUnreadable = false
    private var ended = false

    /// Batches of the units that `reader` gives.
    ///
    /// - Parameter skipping: units at the beginning that an earlier run has done already.
    package init(
        _ reader: consuming NDJSONReader, skipping: Int = 0, firstBatch: Int = 0,
        batchUnits: Int = 1024
    ) {
        self.reader = reader
        self.batchUnits = batchUnits
        number = firstBatch
        seq = skipping
        toSkip = skipping
    }

    package func next() throws -> (any PendingBatch)? {
        while toSkip > 0 {
            guard let line = try reader.next() else { break }
            guard case .unit(let unit) = line else {
                throw Failure(
                    .usage, "the list is shorter than the checkpoint says",
                    hint: "Give the list that the checkpoint was made with")
            }
            toSkip -= 1
            remember(unit)
        }
        guard !ended else { return nil }
        var units: [Unit] = []
        var bytes: UInt64 = 0
        let from = after
        let fromIsUnreadable = afterIsUnreadable
        while units.count < batchUnits && bytes < 256 << 20 {
            guard let line = try reader.next() else {
                ended = true
                break
            }
            switch line {
            case .unit(let unit):
                try checkOrder(unit)
                remember(unit)
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

/// Writes whole units as NDJSON to a stream, and how far it came to a checkpoint file.
package final class StreamSink: BatchSink, Sendable {
    private let output: Monitor<NDJSONWriter>
    private let checkpoint: StreamCheckpoint?
    private let counts: Monitor<(input: Int, batches: Int)>

    /// Writes to `output`; after each commit the position goes to `checkpoint`.
    package init(_ output: sending NDJSONWriter, checkpoint: StreamCheckpoint?) {
        self.output = Monitor(output)
        self.checkpoint = checkpoint
        counts = Monitor((checkpoint?.position.inputUnits ?? 0, checkpoint?.position.batches ?? 0))
    }

    package func encode(
        _ output: StageOutput, of batch: UnitBatch, with compressor: ZstdCompressor
    ) -> EncodedBatch {
        var lines: [UInt8] = []
        for unit in output.units { Codec.encode(unit, into: &lines) }
        return EncodedBatch(
            number: batch.number, lines: lines, chunk: nil, units: batch.units.count,
            lastPath: batch.upTo ?? batch.after)
    }

    package func commit(_ batches: [EncodedBatch], checkpoint: Checkpoint) throws {
        let written = try output.with { output in
            for batch in batches { try output.write(batch.lines.span) }
            try output.flush()
            return output.bytesWritten
        }
        guard let file = self.checkpoint else { return }
        let position = counts.with { counts in
            for batch in batches { counts.input += batch.units }
            counts.batches += batches.count
            return StreamCheckpoint.Position(
                inputUnits: counts.input, batches: counts.batches, outputBytes: written,
                lastPath: checkpoint.lastPath, statistics: checkpoint.note ?? [])
        }
        try file.save(position)
    }

    package func finish(
        _ stats: Stats, checkpoint: Checkpoint, _ completion: StageCompletion
    ) throws {
        try output.with { output in
            var line: [UInt8] = []
            Codec.encode(stats, into: &line)
            try output.write(line.span)
            try output.flush()
        }
        try self.checkpoint?.remove()
    }
}
