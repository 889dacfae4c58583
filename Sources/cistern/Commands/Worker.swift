internal import ArgumentParser
internal import Dispatcher
internal import JobTable
internal import Platform

/// `cistern worker --run ID`: does jobs of a run until none is left.
struct Worker: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Do jobs of a run, as `cistern run` starts it.",
        discussion: """
            Leases jobs from the job table until none is queued. SIGTERM lets it finish its \
            batch and give its job back. It may be killed at any moment.
            """)

    @Option(name: .customLong("run"), help: ArgumentHelp("The run.", valueName: "id"))
    var id: String

    @Option(
        help: ArgumentHelp(
            "Stop when this process, the parent, ends.", valueName: "pid", visibility: .hidden))
    var parent: Int32?

    @OptionGroup var config: ConfigOptions

    func run() throws {
        Interruption.install()
        // A worker whose dispatcher is gone finishes its batch and gives its job back.
        if let parent, !ChildProcess.becomeParentBound(to: parent) { return }
        let configuration = try config.load()
        let (table, _) = try configuration.jobTable(with: id)
        let runner = try StageRunner(configuration: configuration)
        let loop = WorkerLoop(table: table, run: id, runner: runner)
        try loop.work()
        try runner.close()
    }

    /// How the dispatcher starts workers: this executable, whatever became of its file meanwhile.
    static func command(_ configuration: Configuration) -> RunDispatcher.WorkerCommand {
        let file = configuration.file
        let parent = "\(ProcessIdentity.current.pid)"
        return RunDispatcher.WorkerCommand(program: "/proc/self/exe") { run in
            ["worker", "--run", run, "--config", file, "--parent", parent]
        }
    }
}
