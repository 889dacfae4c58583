internal import ArgumentParser
internal import JobTable
internal import Platform

/// `cistern wait RUN`: returns when the run has ended, with its exit code.
struct Wait: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Wait for a run to end, and exit as it did.",
        discussion: "A run that was interrupted does not end until it is resumed.")

    @Argument(help: ArgumentHelp("The run's id.", valueName: "run"))
    var id: String

    @Option(
        help: ArgumentHelp(
            "Give up after this time, with exit code 1: 90m, 1.5h, or a number of seconds.",
            valueName: "time"))
    var timeout: DurationArgument?

    @OptionGroup var config: ConfigOptions

    func run() throws {
        let configuration = try config.load()
        let (table, first) = try configuration.jobTable(with: id)
        Interruption.install()
        let start = monotonicSeconds()
        var current = first
        while current.state == .running {
            try Interruption.check()
            if let timeout, monotonicSeconds() - start >= timeout.seconds {
                let time = timeout.defaultValueDescription
                throw Failure(.temporary, "run \(id) has not ended within \(time)")
            }
            pause(seconds: 0.2)
            guard let next = try table.run(id) else {
                throw Failure(.module, "run \(id) is gone from the job table")
            }
            current = next
        }
        let code = current.exitCode ?? (current.state == .cancelled ? 130 : 1)
        if code != 0 { throw ExitCode(Int32(code)) }
    }
}
