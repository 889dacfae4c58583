package import JobTable
package import Manifest
package import Platform

/// Writes whole units as NDJSON to a stream, and how far it came to a checkpoint file.
package final class StreamSink: BatchSink, Sendable {
    private let output: Descriptor
    private let checkpoint: StreamCheckpoint?
    private let position: Monitor<StreamCheckpoint.Position>

    /// Writes to `output`, behind what the checkpoint says is there already.
    package init(_ output: consuming Descriptor, checkpoint: StreamCheckpoint?) {
        self.output = output
        self.checkpoint = checkpoint
        position = Monitor(checkpoint?.position ?? StreamCheckpoint.Position())
    }

    package func encode(
        _ output: StageOutput, of batch: UnitBatch, with compressor: ZstdCompressor
    ) -> EncodedBatch {
        var lines = output.lines ?? []
        if output.lines == nil {
            for unit in output.units { Codec.encode(unit, into: &lines) }
        }
        var unreadable = UnreadableDirectories(batch.unreadable)
        unreadable.pass(batch.units)
        return EncodedBatch(
            number: batch.number, lines: lines, chunk: nil, units: batch.units.count,
            // The last batch reaches as far as it found something.
            lastPath: batch.upTo ?? output.units.last?.path ?? batch.after,
            unreadable: unreadable.current)
    }

    package func commit(_ batches: [EncodedBatch], checkpoint: Checkpoint) throws {
        var position = position.with { $0 }
        for batch in batches {
            try write(batch.lines)
            position.outputBytes += UInt64(batch.lines.count)
        }
        position.batches = checkpoint.inputChunks
        position.lastPath = checkpoint.lastPath
        position.unreadable = batches.last?.unreadable
        position.statistics = checkpoint.note ?? []
        self.position.with { $0 = position }
        guard let file = self.checkpoint else { return }
        // The checkpoint may not know of more than what is durable.
        if file.outputIsFile { try output.sync() }
        try file.save(position)
    }

    package func finish(
        _ stats: Stats, checkpoint: Checkpoint, _ completion: StageCompletion
    ) throws {
        var line: [UInt8] = []
        Codec.encode(stats, into: &line)
        try write(line)
        try self.checkpoint?.remove()
    }

    private func write(_ bytes: [UInt8]) throws(Failure) {
        do {
            try output.write(bytes.span)
        } catch {
            throw Failure(
                .temporary, "the list cannot be written to standard output",
                cause: error.description)
        }
    }
}
