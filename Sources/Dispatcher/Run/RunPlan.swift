package import JobTable
package import Platform

/// What `cistern run` was asked to do.
package struct RunRequest: Sendable {
    package var pipeline: PipelineDefinition
    /// The modules that the pipeline and `--module` select.
    package var modules: [ModuleDefinition]
    /// Whether `--module` narrowed the selection.
    package var isNarrowed: Bool
    /// Whether an unfinished run is cancelled instead of resumed.
    package var fresh: Bool

    /// Selects the pipeline's modules out of `configuration`.
    ///
    /// With `only`, just those whose name matches one of it. Throws `usage` when none is left.
    package init(
        pipeline: PipelineDefinition, configuration: Configuration, only: [Glob] = [],
        fresh: Bool = false
    ) throws(Failure) {
        self.pipeline = pipeline
        self.fresh = fresh
        isNarrowed = !only.isEmpty
        let selected = pipeline.select(configuration.modules)
        modules = selected.filter { module in
            only.isEmpty || only.contains { $0.matches(module.name) }
        }
        guard modules.isEmpty else { return }
        let names = (only.isEmpty ? configuration.modules : selected).prefix(20).map(\.name)
        let patterns = (only.isEmpty ? pipeline.modules : only).map { "`\($0)`" }
        throw Failure(
            .usage,
            "no module of pipeline `\(pipeline.name)` matches "
                + patterns.joined(separator: ", "),
            hint: names.isEmpty
                ? "\(configuration.file) has no modules"
                : "There are: \(names.joined(separator: ", "))")
    }

    /// The jobs of a new run.
    func jobs() throws(Failure) -> [NewJob] {
        var jobs: [NewJob] = []
        for module in modules {
            jobs.append(
                NewJob(
                    module: module.name, stages: pipeline.stages.map(\.kind.rawValue),
                    payload: try module.payload()))
        }
        return jobs
    }
}

/// The run that a request leads to: a new one, or the unfinished one of its pipeline.
package struct RunPlan: Sendable {
    package var run: Run
    /// The definition that the run works by: its own, which may be older than the file.
    package var pipeline: PipelineDefinition
    package var isResumed: Bool
    /// What the caller should tell the user.
    package var notices: [String]

    /// Creates or claims the run, so that `owner` is its only dispatcher.
    ///
    /// Throws `locked` while another dispatcher of the pipeline lives, `usage` when `--module` asks
    /// for other modules than an unfinished run has.
    package static func make(
        _ request: RunRequest, table: any JobTable, owner: ProcessIdentity, claimSeconds: Int
    ) throws(Failure) -> RunPlan {
        var notices: [String] = []
        if let found = try table.unfinishedRun(pipeline: request.pipeline.name) {
            // Claiming comes first also with --fresh: a live dispatcher keeps its run.
            let run = try table.claimRun(found.id, owner: owner, for: claimSeconds)
            guard request.fresh else {
                do throws(Failure) {
                    return try resume(run, request, table)
                } catch {
                    try table.releaseRun(run.id, owner: owner)
                    throw error
                }
            }
            _ = try table.cancelRun(run.id)
            notices.append("cancelled the unfinished run \(run.id)")
        }
        let run = try table.createRun(
            pipeline: request.pipeline.name, definition: try request.pipeline.encoded(),
            jobs: try request.jobs(), owner: owner, for: claimSeconds)
        return RunPlan(
            run: run, pipeline: request.pipeline, isResumed: false, notices: notices)
    }

    private static func resume(
        _ run: Run, _ request: RunRequest, _ table: any JobTable
    ) throws(Failure) -> RunPlan {
        let pipeline = try PipelineDefinition(encoded: run.definition)
        var notices: [String] = []
        if pipeline != request.pipeline {
            notices.append(
                "run \(run.id) goes on by the pipeline as it was when the run began; "
                    + "--fresh starts anew by the file as it is now")
        }
        let jobs = try table.jobs(run: run.id)
        let there = Set(jobs.map(\.module))
        let wanted = Set(request.modules.map(\.name))
        if request.isNarrowed && there != wanted {
            throw Failure(
                .usage, "run \(run.id) of `\(pipeline.name)` is unfinished and has other modules",
                hint: "Finish it without --module, or start anew with --fresh")
        }
        let new = wanted.subtracting(there).sorted()
        if !new.isEmpty {
            notices.append(
                "not in run \(run.id), which began before: \(new.joined(separator: ", "))")
        }
        return RunPlan(run: run, pipeline: pipeline, isResumed: true, notices: notices)
    }
}
