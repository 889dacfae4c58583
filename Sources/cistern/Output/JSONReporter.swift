internal import Dispatcher
internal import JobTable
internal import Platform

/// NDJSON: a line for each event, and the run's document as the last line.
final class JSONReporter: RunReporter {
    private var changes = JobChanges()

    /// A line about the run or one of its jobs.
    private struct Event: Encodable {
        var type: String
        var timeNs: Int64
        var run: String?
        var text: String?
        var job: RunDocument.Entry?
    }

    /// The last line.
    private struct Final: Encodable {
        var type = "run"
        var run: RunDocument
    }

    func update(_ update: RunUpdate) {
        switch update {
        case .began(let plan, let jobs):
            write(plan.isResumed ? "resumed" : "started", run: plan.run.id)
            _ = changes.changed(jobs)
        case .notice(let text): write("notice", text: text)
        case .stopping: write("stopping")
        case .progress(let jobs):
            for job in changes.changed(jobs) { write("job", job: job) }
            for job in jobs where job.state == .leased { write("progress", job: job) }
        }
    }

    func finish(_ report: RunReport) throws {
        try Print.out(JSON.line(Final(run: RunDocument(report.run, report.jobs))))
    }

    private func write(
        _ type: String, run: String? = nil, text: String? = nil, job: Job? = nil
    ) {
        let time = Int64(SystemClock().now().nanosecondsSinceEpoch)
        let event = Event(
            type: type, timeNs: time, run: run, text: text, job: job.map { RunDocument.Entry($0) })
        // A reader that is gone must not stop the work; the last line's write does report.
        if let line = try? JSON.line(event) { try? Print.out(line) }
    }
}
