internal import Dispatcher
internal import JobTable
internal import Platform

/// A line for each active module and one for the whole, drawn again in place.
final class TerminalReporter: RunReporter {
    private var rate = RunRate()
    private var rates: [Int64: RunRate] = [:]
    private var drawn = 0
    /// More active modules than this are summed up in one line.
    private let lineLimit = 16

    func update(_ update: RunUpdate) {
        switch update {
        case .began(let plan, let jobs):
            let verb = plan.isResumed ? "resumed" : "started"
            permanent(
                "\(verb) run \(plan.run.id) of \(plan.run.pipeline): \(jobs.count) modules")
        case .notice(let text): permanent(text)
        case .stopping: permanent("stopping: workers finish their batches")
        case .progress(let jobs): draw(jobs)
        }
    }

    func finish(_ report: RunReport) throws {
        permanent("")
        let now = SystemClock().now()
        try Print.out(RunTable.jobs(report.jobs, now: now))
        try Print.line("\n" + RunTable.headline(report.run, report.jobs, now: now))
    }

    private func draw(_ jobs: [Job]) {
        rate.update(jobs)
        let active = jobs.filter { $0.state == .leased }
        let ids = Set(active.map(\.id))
        rates = rates.filter { ids.contains($0.key) }
        var lines: [String] = []
        for job in active.prefix(lineLimit) {
            rates[job.id, default: RunRate()].update([job])
            let share = RunRate.share(job)
            let total = job.progress.unitsTotal.map { " of \(Format.count($0))" } ?? ""
            lines.append(
                "  \(job.module)  \(job.progress.stage ?? "…")  "
                    + "\(Format.count(job.progress.units))\(total) units  "
                    + "\(Format.bytes(job.progress.bytes))  "
                    + (rates[job.id]?.text(share) ?? ""))
        }
        if active.count > lineLimit { lines.append("  … \(active.count - lineLimit) more") }
        let share = RunRate.share(jobs)
        let ended = jobs.filter(\.state.isEnd).count
        lines.append(
            "\(ended) of \(jobs.count) modules  \(bar(share)) \(Int(share * 100)) %  "
                + rate.text(share))
        let width = Environment.columns(1) - 1
        let text = lines.map { $0.prefix(width) + "\u{1B}[K\n" }.joined()
        try? Print.out(erase + text)
        drawn = lines.count
    }

    /// Moves up over what was drawn and clears it.
    private var erase: String { drawn > 0 ? "\u{1B}[\(drawn)A\u{1B}[J" : "" }

    private func permanent(_ text: String) {
        // A terminal that is gone must not stop the work.
        try? Print.out(erase + (text.isEmpty ? "" : text + "\n"))
        drawn = 0
    }

    private func bar(_ share: Double) -> String {
        let full = Int(max(0, min(1, share)) * 20)
        return "[" + String(repeating: "#", count: full)
            + String(repeating: ".", count: 20 - full) + "]"
    }
}
