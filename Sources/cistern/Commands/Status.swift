internal import ArgumentParser
internal import JobTable
internal import Platform

/// `cistern status`: what goes on now.
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the runs that go on, else the last one.")

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let configuration = try config.load()
        let table = try configuration.existingJobTable()
        let all = try table?.runs(limit: 100) ?? []
        let active = all.filter { $0.state == .running }
        let shown = active.isEmpty ? Array(all.prefix(1)) : active
        let runs = try shown.map { ($0, try table?.jobs(run: $0.id) ?? []) }
        if output.json {
            let documents = runs.map { RunDocument($0.0, $0.1) }
            return try Print.out(JSON.document(RunsDocument(runs: documents)))
        }
        guard !runs.isEmpty else {
            return try Print.line("nothing has run yet")
        }
        let now = SystemClock().now()
        for (index, (run, jobs)) in runs.enumerated() {
            if index > 0 { try Print.line("") }
            try Print.line(RunTable.headline(run, jobs, now: now) + "\n")
            try Print.out(RunTable.jobs(jobs, now: now))
        }
    }
}
