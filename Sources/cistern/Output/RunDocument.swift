internal import Dispatcher
internal import JobTable
internal import Platform

/// A run as JSON: documented API.
///
/// Times are nanoseconds since the epoch; what is not known is left
/// out.
struct RunDocument: Encodable {
    /// A job of the run.
    struct Entry: Encodable {
        var module: String
        var state: String
        var stage: String?
        var units: Int64
        var bytes: Int64
        var unitsTotal: Int64?
        var attempts: Int
        var error: String?
        var errorClass: String?
        var startedNs: Int64?
        var finishedNs: Int64?
        var workerPid: Int32?
        var result: JobResult?

        init(_ job: Job) {
            module = job.module
            state = job.state.rawValue
            stage = job.progress.stage
            let result = job.result.flatMap { JobResult(encoded: $0) }
            self.result = result
            // A finished job's numbers are the whole module's, not those of its last stage.
            units = result?.units ?? job.progress.units
            bytes = result?.bytes ?? job.progress.bytes
            unitsTotal = job.state.isEnd ? nil : job.progress.unitsTotal
            attempts = job.status.attempts
            error = job.status.error?.text ?? result?.note
            errorClass = job.status.error?.kind.rawValue
            startedNs = job.status.started.map { Int64($0.nanosecondsSinceEpoch) }
            finishedNs = job.status.finished.map { Int64($0.nanosecondsSinceEpoch) }
            workerPid = job.status.lease?.worker.pid
        }
    }

    var id: String
    var pipeline: String
    var state: String
    var exitCode: Int?
    var createdNs: Int64
    var finishedNs: Int64?
    /// Whether a dispatcher of this host works on it; left out when that is not known.
    var dispatched: Bool?
    /// Requests over the network by method, of all finished jobs; left out when there were none.
    var requests: [String: Int]?
    var jobs: [Entry]

    init(_ run: Run, _ jobs: [Job]) {
        id = run.id
        pipeline = run.pipeline
        state = run.state.rawValue
        exitCode = run.exitCode
        createdNs = Int64(run.created.nanosecondsSinceEpoch)
        finishedNs = run.finished.map { Int64($0.nanosecondsSinceEpoch) }
        dispatched = run.owner == nil ? false : run.owner?.isAlive
        self.jobs = jobs.map { Entry($0) }
        let counts = self.jobs.compactMap { $0.result?.requests }
        requests =
            counts.isEmpty ? nil : counts.reduce(into: [:]) { $0.merge($1) { $0 + $1 } }
    }
}

/// The runs that `status` and `runs` print.
struct RunsDocument: Encodable {
    var runs: [RunDocument]
}
