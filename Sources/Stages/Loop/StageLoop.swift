package import JobTable
package import Manifest
package import Platform

/// Where batches come from.
///
/// `next` is called on one thread; the value it returns is loaded on a working thread, so that
/// decoding runs in parallel.
package protocol BatchSource: AnyObject {
    /// The next batch, or nil at the end.
    func next() throws -> (any PendingBatch)?
}

/// A batch that may still have to be decoded.
package protocol PendingBatch: Sendable {
    /// The units.
    func load() throws -> UnitBatch
}

extension UnitBatch: PendingBatch {
    package func load() throws -> UnitBatch { self }
}

/// Where results go: a list of the job table or a stream.
package protocol BatchSink: AnyObject, Sendable {
    /// Encodes an output, on a working thread.
    func encode(
        _ output: StageOutput, of batch: UnitBatch, with compressor: ZstdCompressor
    ) -> EncodedBatch

    /// Makes the results of some consecutive batches durable, together with the checkpoint behind
    /// them. On the collecting thread.
    func commit(_ batches: [EncodedBatch], checkpoint: Checkpoint) throws

    /// Ends the list.
    func finish(_ stats: Stats, checkpoint: Checkpoint, _ completion: StageCompletion) throws
}

/// One batch's results as a sink stores them.
package struct EncodedBatch: Sendable {
    package var number: Int
    /// The lines, or nothing when `chunk` has them.
    package var lines: [UInt8]
    package var chunk: CompressedChunk?
    package var units: Int
    /// The last path that the batch stands for.
    package var lastPath: [UInt8]?
    /// The outermost unreadable directory at or above `lastPath`.
    package var unreadable: [UInt8]?

    package init(
        number: Int, lines: [UInt8], chunk: CompressedChunk?, units: Int, lastPath: [UInt8]?,
        unreadable: [UInt8]? = nil
    ) {
        self.number = number
        self.lines = lines
        self.chunk = chunk
        self.units = units
        self.lastPath = lastPath
        self.unreadable = unreadable
    }
}

/// The one loop that runs every stage: batches are worked on in parallel in a bounded window,
/// their results are collected in order, and results and checkpoint are committed together.
package struct StageLoop {
    package var stage: any Stage
    package var source: any BatchSource
    package var sink: any BatchSink
    /// Working threads.
    package var threads: Int
    /// Batches between source and sink, at most.
    package var window: Int
    /// The number of the first batch: that of the checkpoint.
    package var firstBatch: Int
    /// The statistics up to the checkpoint.
    package var statistics: StatsAccumulator
    /// Told after each batch: units and bytes of files that it stands for.
    package var progress: (_ units: Int, _ bytes: UInt64) -> Void
    /// Throws a `cancelled` failure when the stage has to stop; asked before each batch and commit.
    package var checkStop: () throws -> Void
    /// Whether what is done may still be committed when the stage has to stop: not when somebody
    /// else has the job by now.
    package var mayCommit: () -> Bool

    package init(
        stage: any Stage, source: any BatchSource, sink: any BatchSink,
        threads: Int = processorCount, firstBatch: Int = 0,
        statistics: StatsAccumulator = StatsAccumulator(),
        progress: @escaping (_ units: Int, _ bytes: UInt64) -> Void = { _, _ in },
        checkStop: @escaping () throws -> Void = { try Interruption.check() },
        mayCommit: @escaping () -> Bool = { true }
    ) {
        self.stage = stage
        self.source = source
        self.sink = sink
        self.threads = threads
        window = threads * 3
        self.firstBatch = firstBatch
        self.statistics = statistics
        self.progress = progress
        self.checkStop = checkStop
        self.mayCommit = mayCommit
    }

    private struct Worked: Sendable {
        var output: StageOutput
        var encoded: EncodedBatch
        var bytes: UInt64
        var inputUnits: Int
    }

    /// Runs the stage to its end and returns the list's statistics.
    ///
    /// When a stop is asked for (SIGTERM), what is in the window is finished and committed, and a
    /// `cancelled` failure is thrown; the stage goes on from there another time.
    package func run() throws -> Stats {
        var statistics = statistics
        var uncommitted: [(batch: EncodedBatch, note: [UInt8])] = []
        let committer = Committer(sink: sink, committed: firstBatch)
        do {
            try orderedMap(
                threads: threads, window: window, name: stage.name,
                makeWorker: { [stage, sink] _ in try StageLoop.worker(stage, sink) },
                next: {
                    try checkStop()
                    return try source.next()
                },
                collect: { _, worked in
                    try stage.collect(worked.output, number: worked.encoded.number)
                    add(worked.output, to: &statistics)
                    progress(worked.inputUnits, worked.bytes)
                    uncommitted.append((worked.encoded, statistics.state))
                    if mayCommit() {
                        try committer.commit(&uncommitted, below: stage.durableBelow())
                    }
                })
        } catch let failure as Failure where failure.kind == .cancelled && mayCommit() {
            try stage.flush()
            try committer.commit(&uncommitted, below: stage.durableBelow())
            throw failure
        }
        try stage.flush()
        if !mayCommit() { try checkStop() }
        try committer.commit(&uncommitted, below: stage.durableBelow())
        guard uncommitted.isEmpty else {
            throw Failure(.bug, "stage \(stage.name) ended with results that are not durable")
        }
        CrashPoint.reached("stage-batches-done")
        let completion = try stage.finish(statistics.stats)
        var stats = statistics.stats
        for counter in completion.counters { stats[counter: counter.name] += counter.value }
        try sink.finish(
            stats, checkpoint: Checkpoint(inputChunks: committer.committed), completion)
        CrashPoint.reached("list-finished")
        return stats
    }

    private static func worker(
        _ stage: any Stage, _ sink: any BatchSink
    ) throws -> ((Int, any PendingBatch) throws -> Worked) {
        let worker = try stage.makeWorker()
        let compressor = ZstdCompressor(level: 1)
        return { _, pending in
            let batch = try pending.load()
            let output = try worker.process(batch)
            return Worked(
                output: output, encoded: sink.encode(output, of: batch, with: compressor),
                bytes: batch.fileBytes, inputUnits: batch.units.count)
        }
    }

    private func add(_ output: StageOutput, to statistics: inout StatsAccumulator) {
        statistics.add(output.units)
        for counter in output.counters {
            statistics.stats[counter: counter.name] &+= counter.value
        }
    }
}

/// Commits results in order, as far as they are durable outside of the list.
private final class Committer {
    private let sink: any BatchSink
    /// Every batch below this number is committed.
    private(set) var committed: Int

    init(sink: any BatchSink, committed: Int) {
        self.sink = sink
        self.committed = committed
    }

    func commit(
        _ uncommitted: inout [(batch: EncodedBatch, note: [UInt8])], below durable: Int
    ) throws {
        let ready = uncommitted.prefix { $0.batch.number < durable }
        guard let last = ready.last else { return }
        CrashPoint.reached("batch-before-commit")
        try sink.commit(
            ready.map(\.batch),
            checkpoint: Checkpoint(
                inputChunks: last.batch.number + 1, lastPath: last.batch.lastPath,
                note: last.note))
        CrashPoint.reached("batch-committed")
        committed = last.batch.number + 1
        uncommitted.removeFirst(ready.count)
    }
}
