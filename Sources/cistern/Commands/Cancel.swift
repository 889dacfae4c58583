internal import ArgumentParser
internal import JobTable
internal import Platform

/// `cistern cancel RUN`: ends a run early.
struct Cancel: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Cancel a run: what waits ends at once, what works after its batch.",
        discussion: "What was done stays done. A run that has ended stays as it is.")

    @Argument(help: ArgumentHelp("The run's id.", valueName: "run"))
    var id: String

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let configuration = try config.load()
        let (table, before) = try configuration.jobTable(with: id)
        let after = try table.cancelRun(id)
        if output.json {
            let jobs = try table.jobs(run: id)
            return try Print.out(JSON.document(RunDocument(after, jobs)))
        }
        try Print.line(
            before.state == .running
                ? "cancelled run \(id)" : "run \(id) had ended already: \(before.state.rawValue)")
    }
}
