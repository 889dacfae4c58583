internal import ArgumentParser
internal import JobTable
internal import Platform

/// `cistern runs`: the history.
struct Runs: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List runs, the newest first.")

    @Option(help: ArgumentHelp("How many.", valueName: "n"))
    var limit = 20

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...10_000).contains(limit) else {
            throw ValidationError("--limit must be from 1 to 10000")
        }
    }

    func run() throws {
        let configuration = try config.load()
        let table = try configuration.existingJobTable()
        let runs = try (table?.runs(limit: limit) ?? []).map { run in
            (run, try table?.jobs(run: run.id) ?? [])
        }
        if output.json {
            let documents = runs.map { RunDocument($0.0, $0.1) }
            return try Print.out(JSON.document(RunsDocument(runs: documents)))
        }
        var text = Table([
            .left("RUN"), .left("PIPELINE"), .left("STATE"), .right("EXIT"), .left("STARTED"),
            .right("TIME"), .right("MODULES"), .right("WELL"),
        ])
        let now = SystemClock().now()
        for (run, jobs) in runs {
            let time = Format.duration(from: run.created, to: run.finished ?? now)
            text.add([
                run.id, run.pipeline, RunTable.state(run), run.exitCode.map { "\($0)" } ?? "-",
                Format.time(run.created), Format.duration(time), "\(jobs.count)",
                "\(jobs.filter { $0.state == .done }.count)",
            ])
        }
        try Print.out(text.text)
    }
}
