internal import Dispatcher
internal import JobTable
internal import Manifest
internal import Platform

/// Runs the stages of one job in this process: what a worker does.
final class StageRunner: JobRunner {
    private let configuration: Configuration
    private let store: Monitor<StoreHandle?>

    init(configuration: Configuration) throws(Failure) {
        self.configuration = configuration
        store = Monitor(nil)
    }

    func run(
        job: Job, pipeline: PipelineDefinition, module: ModuleDefinition, control: JobControl
    ) throws -> JobOutcome {
        let configuration = try configuration.narrowed(to: module.name)
        guard configuration.store.module != nil else {
            return try run(job, pipeline, module, control, configuration)
        }
        // The next job's store is another one.
        let result = Result { try run(job, pipeline, module, control, configuration) }
        do throws(Failure) {
            try close()
        } catch {
            // The first error is the one to tell; a lock that stays goes with the next job.
            _ = try result.get()
            throw error
        }
        return try result.get()
    }

    private func run(
        _ job: Job, _ pipeline: PipelineDefinition, _ module: ModuleDefinition,
        _ control: JobControl, _ configuration: Configuration
    ) throws -> JobOutcome {
        let network = NetworkTotals()
        let run = try ModuleRun(
            id: job.run, module: module, configuration: configuration, control: control,
            store: { try self.openStore(configuration) })
        var summary = JobSummary()
        for stage in pipeline.stages {
            try control.check()
            if stage == .prune {
                summary.set(pruned: try prune(module.name, control, configuration))
                continue
            }
            try run.perform(stage)
            try run.add(stage.kind, to: &summary)
        }
        try run.keepRuns(pipeline.keepRuns ?? configuration.keepRuns)
        summary.add(network)
        let encoded = try summary.result.encoded()
        return summary.result.note == nil ? .done(result: encoded) : .partly(result: encoded)
    }

    private func prune(
        _ module: String, _ control: JobControl, _ configuration: Configuration
    ) throws -> Int {
        guard configuration.retention(for: module) != nil else { return 0 }
        control.progress.begin(stage: StageKind.prune.rawValue, unitsTotal: nil)
        let pruner = Pruner(try openStore(configuration), configuration)
        return try pruner.plan([module]).reduce(0) { count, plan in
            try count
                + pruner.remove(plan) { _ in
                    try control.check()
                    control.progress.add(units: 1, bytes: 0)
                }
        }
    }

    /// The store is opened by the first stage that needs it, and kept for the next jobs when it is
    /// theirs too.
    private func openStore(_ configuration: Configuration) throws(Failure) -> StoreHandle {
        if let handle = store.with({ $0 }) {
            try handle.checkLock()
            try handle.refresh()
            return handle
        }
        let handle = try StoreHandle.open(configuration, creating: true)
        store.with { $0 = handle }
        return handle
    }

    /// Gives the store's lock back.
    func close() throws(Failure) {
        let handle = store.with { handle in
            defer { handle = nil }
            return handle
        }
        try handle?.close()
    }
}
