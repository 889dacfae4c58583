package import JobTable
package import Manifest
package import Platform

/// A list and a stream at once: dehydrate keeps its list, which is the next baseline, and shows it.
package final class TeeSink: BatchSink {
    private let list: ListSink
    private let stream: StreamSink

    package init(_ list: ListSink, _ stream: StreamSink) {
        self.list = list
        self.stream = stream
    }

    package func encode(
        _ output: StageOutput, of batch: UnitBatch, with compressor: ZstdCompressor
    ) -> EncodedBatch {
        var encoded = list.encode(output, of: batch, with: compressor)
        encoded.lines = stream.encode(output, of: batch, with: compressor).lines
        return encoded
    }

    package func commit(_ batches: [EncodedBatch], checkpoint: Checkpoint) throws {
        try stream.commit(batches, checkpoint: checkpoint)
        try list.commit(batches, checkpoint: checkpoint)
    }

    package func finish(
        _ stats: Stats, checkpoint: Checkpoint, _ completion: StageCompletion
    ) throws {
        // The list is what counts: the stream's end must not promise what it does not keep.
        try list.finish(stats, checkpoint: checkpoint, completion)
        try stream.finish(stats, checkpoint: checkpoint, completion)
    }
}
