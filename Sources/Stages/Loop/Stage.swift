package import JobTable
package import Manifest
internal import Platform

/// A stage: a function from a batch of units to results, and what it does with them in order.
///
/// One loop (`StageLoop`) drives every stage, in a worker over stored lists and in the tools over
/// streams. A stage keeps nothing of its own between batches but what `collect` builds.
package protocol Stage: AnyObject, Sendable {
    /// The stage's name, as in lists: `check`.
    var name: String { get }

    /// Makes what one working thread owns: contexts, readers, buffers.
    func makeWorker() throws -> any StageWorker

    /// Takes each batch's output in order, on the collecting thread.
    func collect(_ output: StageOutput, number: Int) throws

    /// Takes the outputs of an earlier, interrupted run of the same list again, before the first
    /// new batch: units as they were stored. Only called when `needsReplay`.
    func replay(_ units: [Unit], number: Int) throws

    /// Whether `collect` builds something from all batches, also those of an interrupted run.
    var needsReplay: Bool { get }

    /// Every batch below this number is durable outside of the list too and may be committed.
    func durableBelow() throws -> Int

    /// Makes everything that was collected durable. The working threads have ended.
    func flush() throws

    /// Completes the stage after the last batch.
    func finish(_ stats: Stats) throws -> StageCompletion
}

/// What one working thread runs; it is never used by two threads at once.
package protocol StageWorker: AnyObject {
    /// Works on one batch. An error of one unit is recorded on the unit; what is thrown ends the
    /// stage.
    func process(_ batch: UnitBatch) throws -> StageOutput
}

/// What a stage leaves behind when it ends.
package struct StageCompletion: Sendable {
    /// Further counters for the list's stats.
    package var counters: [Stats.Counter] = []
    /// The new baseline of the module, committed together with the list's end.
    package var baseline: Baseline?
    /// Changes of the module's journal, committed together with the list's end.
    package var notes: [NoteChange] = []

    package init(
        counters: [Stats.Counter] = [], baseline: Baseline? = nil, notes: [NoteChange] = []
    ) {
        self.counters = counters
        self.baseline = baseline
        self.notes = notes
    }
}

/// Most stages work per unit and hold nothing back.
extension Stage {
    package func collect(_ output: StageOutput, number: Int) throws {}
    package func replay(_ units: [Unit], number: Int) throws {}
    package var needsReplay: Bool { false }
    package func durableBelow() throws -> Int { .max }
    package func flush() throws {}
    package func finish(_ stats: Stats) throws -> StageCompletion { StageCompletion() }
}

/// Several stages as one: each batch goes through all of them in one go, so that
/// `check --repair` reads the module once and holds one window of units.
package final class StageChain: Stage {
    private let stages: [any Stage]
    package let name: String

    /// Chains `stages` in order.
    package init(_ stages: [any Stage]) {
        precondition(!stages.isEmpty)
        self.stages = stages
        name = stages.map(\.name).joined(separator: "+")
    }

    package func makeWorker() throws -> any StageWorker {
        Worker(try stages.map { try $0.makeWorker() })
    }

    package var needsReplay: Bool { stages.contains { $0.needsReplay } }

    package func collect(_ output: StageOutput, number: Int) throws {
        // Only the last stage sees its own payload: the others have none.
        try stages.last?.collect(output, number: number)
    }

    package func replay(_ units: [Unit], number: Int) throws {
        try stages.last?.replay(units, number: number)
    }

    package func durableBelow() throws -> Int {
        try stages.map { try $0.durableBelow() }.min() ?? .max
    }

    package func flush() throws {
        for stage in stages { try stage.flush() }
    }

    package func finish(_ stats: Stats) throws -> StageCompletion {
        var result = StageCompletion()
        for stage in stages {
            let completion = try stage.finish(stats)
            result.counters += completion.counters
            result.baseline = completion.baseline ?? result.baseline
            result.notes += completion.notes
        }
        return result
    }

    private final class Worker: StageWorker {
        private let workers: [any StageWorker]

        init(_ workers: [any StageWorker]) {
            self.workers = workers
        }

        func process(_ batch: UnitBatch) throws -> StageOutput {
            var batch = batch
            var result = StageOutput()
            for (i, worker) in workers.enumerated() {
                let output = try worker.process(batch)
                let origins =
                    i == 0
                    ? output.origins
                    : output.origins.map { origin in origin.flatMap { result.origins[$0] } }
                // The last stage counts what is true in the end; adding up what each saw on the
                // way would count a repaired unit as healthy and as unhealthy.
                result = output
                result.origins = origins
                batch.units = output.units
            }
            return result
        }
    }
}
