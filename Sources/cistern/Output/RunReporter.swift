internal import Dispatcher
internal import JobTable
internal import Platform

/// Shows a run while it goes on, in one of three ways.
protocol RunReporter: AnyObject {
    /// Takes each update, on the main thread.
    func update(_ update: RunUpdate)
    /// Shows how it ended.
    func finish(_ report: RunReport) throws
}

/// Jobs that began or ended since the last look: what plain lines and events are made of.
struct JobChanges {
    private var known: [Int64: JobState] = [:]

    /// The jobs whose state is another than at the last call.
    mutating func changed(_ jobs: [Job]) -> [Job] {
        var result: [Job] = []
        for job in jobs {
            let old = known.updateValue(job.state, forKey: job.id)
            if old != job.state && !(old == nil && job.state == .queued) { result.append(job) }
        }
        return result
    }
}

/// How much of a run is done, how fast it goes, and when it will end.
struct RunRate {
    private let start = monotonicSeconds()
    private var last: (units: Int64, bytes: Int64, time: Double)?
    private(set) var unitsPerSecond = 0.0
    private(set) var bytesPerSecond = 0.0

    /// Takes the counters of all jobs.
    ///
    /// Stages begin at zero again, so only growth counts.
    mutating func update(_ jobs: [Job]) {
        let units = jobs.reduce(0) { $0 + $1.progress.units }
        let bytes = jobs.reduce(0) { $0 + $1.progress.bytes }
        let now = monotonicSeconds()
        if let last, now > last.time {
            let time = now - last.time
            // Half of the weight goes to about the last three looks.
            let weight = 0.2
            unitsPerSecond +=
                weight * (Double(max(0, units - last.units)) / time - unitsPerSecond)
            bytesPerSecond +=
                weight * (Double(max(0, bytes - last.bytes)) / time - bytesPerSecond)
        }
        last = (units, bytes, now)
    }

    /// The share of the run that is done: ended jobs whole, others by their stages.
    static func share(_ jobs: [Job]) -> Double {
        guard !jobs.isEmpty else { return 1 }
        return jobs.reduce(0) { $0 + share($1) } / Double(jobs.count)
    }

    /// The share of one job that is done: stages are taken for equal.
    static func share(_ job: Job) -> Double {
        if job.state.isEnd { return 1 }
        guard let stage = job.progress.stage, let index = job.stages.firstIndex(of: stage) else {
            return 0
        }
        var part = 0.0
        if let total = job.progress.unitsTotal, total > 0 {
            part = min(1, Double(job.progress.units) / Double(total))
        }
        return (Double(index) + part) / Double(job.stages.count)
    }

    /// Seconds until the end at the speed so far; nil while it is too early to say.
    func remaining(_ share: Double) -> Double? {
        let elapsed = monotonicSeconds() - start
        return share > 0.01 && elapsed > 2 ? elapsed * (1 - share) / share : nil
    }

    /// `12,000/s 34 MiB/s, 1m05s left`.
    func text(_ share: Double) -> String {
        let left = remaining(share).map { ", \(Format.duration($0)) left" } ?? ""
        return "\(Format.count(Int64(unitsPerSecond)))/s \(Format.bytes(Int64(bytesPerSecond)))/s"
            + left
    }
}
