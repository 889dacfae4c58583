internal import Dispatcher
internal import JobTable
internal import Platform

/// Runs and their jobs as tables for people.
enum RunTable {
    /// The jobs of a run, one a line.
    static func jobs(_ jobs: [Job], now: Timestamp) -> String {
        var table = Table([
            .left("MODULE"), .left("STATE"), .left("STAGE"), .right("UNITS"), .right("BYTES"),
            .right("NEW"), .right("REPAIRED"), .right("UNHEALTHY"), .right("TIME"),
            .left("ERROR"),
        ])
        for job in jobs {
            let result = job.result.flatMap { JobResult(encoded: $0) }
            let time = job.status.started.map {
                Format.duration(Format.duration(from: $0, to: job.status.finished ?? now))
            }
            table.add([
                job.module, job.state.rawValue,
                job.state.isEnd && job.state != .failed ? "" : job.progress.stage ?? "",
                Format.count(result?.units ?? job.progress.units),
                Format.bytes(result?.bytes ?? job.progress.bytes),
                result.map { Format.bytes($0.newBytes) } ?? "-",
                result.map { Format.count($0.repaired) } ?? "-",
                result.map { Format.count($0.unhealthy) } ?? "-", time ?? "-",
                job.status.error?.text ?? result?.note ?? "",
            ])
        }
        return table.text
    }

    /// One line about how a run stands.
    static func headline(_ run: Run, _ jobs: [Job], now: Timestamp) -> String {
        let order: [JobState] = [.done, .partly, .failed, .cancelled, .leased, .queued]
        let parts = order.compactMap { state -> String? in
            let count = jobs.filter { $0.state == state }.count
            let word = state == .leased ? "running" : state.rawValue
            return count == 0 ? nil : "\(count) \(word)"
        }
        let time = Format.duration(Format.duration(from: run.created, to: run.finished ?? now))
        let code = run.exitCode.map { ", exit code \($0)" } ?? ""
        return "run \(run.id) of \(run.pipeline): \(state(run)), \(time)\(code); "
            + "\(jobs.count) \(jobs.count == 1 ? "module" : "modules")"
            + (parts.isEmpty ? "" : ": " + parts.joined(separator: ", "))
    }

    /// `running`, or `interrupted` for a run that nobody works on.
    static func state(_ run: Run) -> String {
        guard run.state == .running else { return run.state.rawValue }
        return run.owner == nil || run.owner?.isAlive == false
            ? "interrupted (`cistern run \(run.pipeline)` resumes it)" : "running"
    }
}
