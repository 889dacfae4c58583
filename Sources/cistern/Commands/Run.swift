internal import ArgumentParser
internal import Dispatcher
internal import JobTable
internal import Platform

/// `cistern run PIPELINE`: the dispatcher of one run.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a pipeline over its modules, or resume it.",
        discussion: """
            Puts one job for each module into the job table and keeps worker processes that do \
            them. When the pipeline has a run that was interrupted, that one goes on where it \
            stopped. One module's failure never stops the others.

            Exit codes: 0 all well, 2 usage or configuration, 3 modules failed or unhealthy, \
            4 the pipeline is running already, 130 cancelled. After SIGTERM the exit code is 0 \
            and the run can be resumed.
            """)

    @Argument(
        help: "A pipeline in pipelines/ beside cistern.yaml, or the path of a file.",
        completion: .file(extensions: ["yaml"]))
    var pipeline: String

    @Option(
        name: .customLong("module"),
        help: ArgumentHelp(
            "Only modules whose names match; may be given more than once.", valueName: "pattern"))
    var modules: [String] = []

    @Option(help: ArgumentHelp("How many worker processes.", valueName: "n"))
    var workers: Int?

    @Flag(help: "Cancel an unfinished run of the pipeline and start anew.")
    var fresh = false

    @Flag(help: "Print what would run, and do nothing.")
    var dryRun = false

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let configuration = try config.load()
        for warning in configuration.warnings { Print.note("\(warning)") }
        try StoreScopes.check(configuration)
        let request = try makeRequest(configuration)
        if dryRun { return try DryRun(request, configuration, workers: workers).print(output.json) }
        Interruption.install()
        let table = try configuration.openJobTable()
        let reporter = makeReporter()
        let dispatcher = RunDispatcher(
            table: table, command: Worker.command(configuration),
            observe: { reporter.update($0) })
        let report = try dispatcher.run(
            request, workers: workers, fallbackWorkers: configuration.workers)
        removeAbandonedLocks(configuration, report)
        let mirrorCode = mirror(request.pipeline, report, configuration)
        try reporter.finish(report)
        try end(report)
        if mirrorCode != 0 { throw ExitCode(mirrorCode) }
    }

    /// Of the fleet's store, or of the stores of the run's modules.
    private func removeAbandonedLocks(_ configuration: Configuration, _ report: RunReport) {
        guard configuration.store.scope == .module else {
            return StoreHandle.removeAbandonedLocks(configuration)
        }
        for job in report.jobs {
            // The name is one that was checked.
            guard let own = try? configuration.narrowed(to: job.module) else { continue }
            StoreHandle.removeAbandonedLocks(own)
        }
    }

    /// The pipeline's last stage, once for all modules: what became of them does not matter to it.
    ///
    /// - Returns: an exit code; a mirror that is away is no failure of the run's modules.
    private func mirror(
        _ pipeline: PipelineDefinition, _ report: RunReport, _ configuration: Configuration
    ) -> Int32 {
        guard pipeline.mirror == true, case .over = report.ending else { return 0 }
        do {
            guard configuration.store.scope == .module else { return try mirror(configuration) }
            var isComplete = true
            try StoreRound(configuration: configuration, style: .silent)
                .each(try StoreScopes.modules(configuration)) { own in
                    if try mirror(own) != 0 { isComplete = false }
                }
            return isComplete ? 0 : Exit.partly
        } catch let failure as Failure {
            Print.note("the mirrors are not up to date: \(failure)")
            guard failure.kind == .cancelled else { return Exit.partly }
            // As for the run itself: after SIGTERM the next one goes on.
            return Interruption.requested == Signal.interrupt ? Exit.cancelled : 0
        } catch {
            // Each store that failed was told of.
            return Exit.partly
        }
    }

    private func mirror(_ configuration: Configuration) throws(Failure) -> Int32 {
        let reports = try StoreMirrors.bringUpToDate(configuration)
        let name = configuration.store.module.map { "module \($0): " } ?? ""
        for report in reports { Print.note(name + report.text) }
        return reports.allSatisfy(\.isComplete) ? 0 : Exit.partly
    }

    private func makeRequest(_ configuration: Configuration) throws(Failure) -> RunRequest {
        if let workers, !(1...1024).contains(workers) {
            throw Failure(.usage, "--workers must be from 1 to 1024, not \(workers)")
        }
        var globs: [Glob] = []
        for pattern in modules {
            guard let glob = Glob(pattern) else {
                throw Failure(.usage, "`\(pattern)` is not a pattern", hint: "`[` without `]`")
            }
            globs.append(glob)
        }
        let path = try PipelineDefinition.find(pipeline, in: configuration)
        return try RunRequest(
            pipeline: try PipelineDefinition.load(path), configuration: configuration,
            only: globs, fresh: fresh)
    }

    private func makeReporter() -> any RunReporter {
        if output.json { return JSONReporter() }
        return Environment.isTerminal(1) ? TerminalReporter() : PlainReporter()
    }

    private func end(_ report: RunReport) throws {
        switch report.ending {
        case .over: break
        case .stopped:
            Print.note(
                "stopped; run \(report.run.id) is resumable: `cistern run \(pipeline)` goes on")
        case .workersUnusable(let cause):
            throw Failure(
                .bug, "workers end without doing anything, the last one by \(cause)",
                hint: "Their messages are above; `cistern run \(pipeline)` tries again")
        }
        if report.exitCode != 0 { throw ExitCode(Int32(report.exitCode)) }
    }
}
