internal import Dispatcher
internal import JobTable
internal import Platform

/// Lines for a log or a cron mail: each module's begin and end, and the state every 30 seconds.
final class PlainReporter: RunReporter {
    private var changes = JobChanges()
    private var rate = RunRate()
    private var told = monotonicSeconds()

    func update(_ update: RunUpdate) {
        switch update {
        case .began(let plan, let jobs):
            let verb = plan.isResumed ? "resumed" : "started"
            let left = jobs.filter { !$0.state.isEnd }.count
            line("\(verb) run \(plan.run.id) of \(plan.run.pipeline): \(left) modules to do")
            _ = changes.changed(jobs)
        case .notice(let text): Print.note(text)
        case .stopping: line("stopping: workers finish their batches")
        case .progress(let jobs):
            for job in changes.changed(jobs) { tell(job) }
            rate.update(jobs)
            guard monotonicSeconds() - told >= 30 else { return }
            told = monotonicSeconds()
            let share = RunRate.share(jobs)
            let ended = jobs.filter(\.state.isEnd).count
            line(
                "\(ended) of \(jobs.count) modules, \(Int(share * 100)) %, \(rate.text(share))")
        }
    }

    func finish(_ report: RunReport) throws {
        let now = SystemClock().now()
        try Print.out("\n" + RunTable.jobs(report.jobs, now: now))
        try Print.line("\n" + RunTable.headline(report.run, report.jobs, now: now))
    }

    private func tell(_ job: Job) {
        switch job.state {
        case .leased: line("\(job.module): started")
        case .queued:
            line(
                "\(job.module): back in the queue" + (job.status.error.map { ": \($0.text)" } ?? "")
            )
        case .done, .partly, .failed, .cancelled:
            let error = job.status.error.map { ": \($0.text)" } ?? ""
            line("\(job.module): \(job.state.rawValue)\(error)")
        }
    }

    // A log that cannot be written must not stop the work; the summary's write does report.
    private func line(_ text: String) { try? Print.line(text) }
}
