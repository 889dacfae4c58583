internal import ArgumentParser
internal import Dispatcher
internal import JobTable
internal import Platform

/// `cistern results RUN MODULE STAGE`: a list as NDJSON.
struct Results: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what a stage found about each unit of a module, as NDJSON.",
        discussion: """
            The last line is the `stats` unit; a list that is not finished has none, and gives \
            exit code 5. Lists of the last runs are kept as `keep_runs` says.
            """)

    @Argument(help: ArgumentHelp("The run's id, or `last`.", valueName: "run"))
    var id: String

    @Argument(help: "The module's name.")
    var module: String

    @Argument(help: "manifest, check, repair or dehydrate.")
    var stage: String

    @OptionGroup var config: ConfigOptions

    func run() throws {
        guard let kind = StageKind(rawValue: stage), kind.hasList else {
            let names = StageKind.allCases.filter(\.hasList).map(\.rawValue)
            throw Failure(
                .usage, "there is no list of stage `\(stage)`",
                hint: "Allowed: \(names.joined(separator: ", "))")
        }
        guard ModuleDefinition.isValid(name: module) else {
            throw Failure(
                .usage, "`\(module)` cannot name a module", hint: ModuleDefinition.nameRule)
        }
        let configuration = try config.load()
        try StageResults.write(
            configuration: configuration, run: try runID(configuration), module: module,
            stage: kind)
    }

    private func runID(_ configuration: Configuration) throws(Failure) -> String {
        guard id == "last" else { return id }
        // A pipeline over other modules may have run since.
        guard let table = try configuration.existingJobTable() else {
            throw Failure(.usage, "nothing has run yet")
        }
        for candidate in try table.runs(limit: 100) {
            let jobs = try table.jobs(run: candidate.id)
            if jobs.contains(where: { $0.module == module && $0.stages.contains(stage) }) {
                return candidate.id
            }
        }
        throw Failure(.usage, "no run had stage `\(stage)` of module `\(module)`")
    }
}
