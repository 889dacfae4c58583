package import Manifest
internal import Platform

/// Batches straight from a walk of the module's directory, then a last one without units for what
/// lies behind the last path.
package final class WalkSource: BatchSource {
    private let walk: Walk
    private var number: Int
    private var seq: Int
    private var after: [UInt8]?
    private var unreadable: UnreadableDirectories
    private var ended = false

    /// Batches of `walk`, which begins behind `after`.
    ///
    /// - Parameter unreadable: the outermost directory at or above `after` that an earlier run
    ///   could not read.
    package init(
        _ walk: Walk, firstBatch: Int = 0, firstSeq: Int = 0, after: [UInt8]? = nil,
        unreadable: [UInt8]? = nil
    ) {
        self.walk = walk
        self.unreadable = UnreadableDirectories(unreadable)
        number = firstBatch
        seq = firstSeq
        self.after = after
    }

    package func next() throws -> (any PendingBatch)? {
        guard !ended else { return nil }
        let units = try walk.next()
        ended = units == nil
        let batch = UnitBatch(
            number: number, firstSeq: seq, units: units ?? [], after: after,
            upTo: units?.last?.path, unreadable: unreadable.current)
        number += 1
        seq += batch.units.count
        unreadable.pass(batch.units)
        after = batch.upTo ?? after
        return batch
    }
}

/// The walk as a stage of its own: its units are its results.
package final class ManifestStage: Stage {
    package let name = "manifest"

    package init() {}

    package func makeWorker() throws -> any StageWorker { Worker() }

    private final class Worker: StageWorker {
        func process(_ batch: UnitBatch) throws -> StageOutput {
            var output = StageOutput()
            output.units = batch.units
            output.origins = Array(repeating: nil, count: batch.units.count)
            return output
        }
    }
}
