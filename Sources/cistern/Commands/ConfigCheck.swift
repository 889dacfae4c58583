internal import ArgumentParser
internal import Dispatcher
internal import Platform

/// `cistern configcheck`: every mistake of the configuration and the pipelines.
struct ConfigCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configcheck",
        abstract: "Tell every mistake in cistern.yaml and the pipelines beside it.",
        discussion: "Exit code 2 when there are mistakes; warnings alone give 0.")

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    /// What `--json` prints.
    struct Report: Encodable {
        struct Pipeline: Encodable {
            var name: String
            var file: String
            var stages: [String]
            var modules: [String]
        }
        var file: String
        var ok: Bool
        var problems: [ConfigurationProblem]
        var state: String?
        var store: String?
        var scope: StoreScope?
        var workers: Int?
        var keepRuns: Int?
        var modules: [ModuleDefinition]
        var pipelines: [Pipeline]
    }

    func run() throws {
        let report = try check(Configuration.find(option: config.config))
        if output.json {
            try Print.out(JSON.document(report))
        } else {
            try printReport(report)
        }
        if !report.ok { throw ExitCode(Exit.usage) }
    }

    private func check(_ file: String) throws(Failure) -> Report {
        let (configuration, found) = try Configuration.check(file)
        // Without a user and password that may be in it.
        let store = try configuration.map { configuration throws(Failure) in
            try BackendURL.parse(configuration.store.url, in: configuration.folder).description
        }
        var report = Report(
            file: file, ok: configuration != nil, problems: found, state: configuration?.state,
            store: store, scope: configuration?.store.scope, workers: configuration?.workers,
            keepRuns: configuration?.keepRuns, modules: configuration?.modules ?? [],
            pipelines: [])
        if let configuration {
            do throws(Failure) {
                try StoreScopes.check(configuration)
            } catch {
                report.ok = false
                report.problems.append(
                    ConfigurationProblem(
                        .error, file: file, line: 1, column: 1, message: error.message,
                        hint: error.hint))
            }
        }
        let folder = Path.folder(of: Path.absolute(file, in: Path.working))
        let modules = configuration?.modules
        var files: [String: String] = [:]
        for path in PipelineDefinition.files(besides: folder) {
            let (pipeline, problems) = try PipelineDefinition.check(path, modules: modules)
            report.problems += problems
            guard let pipeline else {
                report.ok = false
                continue
            }
            if let first = files.updateValue(path, forKey: pipeline.name) {
                report.ok = false
                report.problems.append(
                    ConfigurationProblem(
                        .error, file: path, line: 1, column: 1,
                        message: "the pipeline `\(pipeline.name)` exists already",
                        hint: "the first one is \(first)"))
            }
            report.pipelines.append(
                Report.Pipeline(
                    name: pipeline.name, file: path,
                    stages: pipeline.stages.map(\.kind.rawValue),
                    modules: pipeline.select(modules ?? []).map(\.name)))
        }
        return report
    }

    private func printReport(_ report: Report) throws {
        for problem in report.problems { try Print.line(problem.description) }
        let errors = report.problems.filter { $0.severity == .error }.count
        guard report.ok else {
            try Print.line("\(errors) \(errors == 1 ? "mistake" : "mistakes")")
            return
        }
        var modules = Table([.left("MODULE"), .left("PATH"), .left("EXCLUDES")])
        for module in report.modules {
            modules.add([module.name, module.path, module.exclude.joined(separator: " ")])
        }
        try Print.out(modules.text)
        var pipelines = Table([.left("PIPELINE"), .left("STAGES"), .right("MODULES")])
        for pipeline in report.pipelines {
            pipelines.add([
                pipeline.name, pipeline.stages.joined(separator: " "),
                "\(pipeline.modules.count)",
            ])
        }
        try Print.out("\n" + pipelines.text)
        let scope = report.scope == .module ? " with one for each module" : ""
        try Print.line(
            "\nstate \(report.state ?? "-"), store \(report.store ?? "-")\(scope), "
                + "\(report.workers ?? 0) workers: all well")
    }
}
