package import JobTable
package import Platform

/// What a worker process does: lease a job, run it, report, until nothing is left to lease.
package struct WorkerLoop: Sendable {
    private let table: any JobTable
    private let runner: any JobRunner
    private let run: String
    private let identity: ProcessIdentity
    private let timing: Timing
    private let stopRequested: @Sendable () -> Bool

    /// How long leases hold and how often things are looked at, in seconds.
    package struct Timing: Sendable {
        /// A lease; also how long a stopped or unreachable worker blocks its job on other hosts.
        package var lease = 60
        /// Between two renewals, which carry the progress.
        package var renewal = 1.0
        /// The longest wait before the table is asked again for jobs that are not ready yet.
        package var idle = 0.2

        package init() {}
    }

    /// A worker for the jobs of `run`.
    package init(
        table: any JobTable, run: String, runner: any JobRunner,
        identity: ProcessIdentity = .current, timing: Timing = Timing(),
        stopRequested: @escaping @Sendable () -> Bool = { Interruption.requested != nil }
    ) {
        self.table = table
        self.run = run
        self.runner = runner
        self.identity = identity
        self.timing = timing
        self.stopRequested = stopRequested
    }

    /// Works until no job of the run is queued any more, or a stop is asked for; returns how many
    /// leases it had.
    @discardableResult
    package func work() throws(Failure) -> Int {
        guard let record = try table.run(run) else {
            throw Failure(.usage, "there is no run \(run)", hint: "`cistern runs` lists them")
        }
        let pipeline = try PipelineDefinition(encoded: record.definition)
        var leases = 0
        while !stopRequested() {
            if let job = try table.lease(run: run, worker: identity, for: timing.lease) {
                leases += 1
                try work(on: job, pipeline)
                continue
            }
            // What others have leased may come back, but then they take it up themselves.
            guard try table.outlook(run: run).count(.queued) > 0 else { break }
            pause(seconds: timing.idle)
        }
        return leases
    }

    private func work(on job: Job, _ pipeline: PipelineDefinition) throws(Failure) {
        let control = JobControl(stopRequested: stopRequested)
        let keeper = LeaseKeeper(
            table: table, job: job.id, worker: identity, control: control, timing: timing)
        var outcome: JobOutcome
        do {
            let module = try ModuleDefinition(payload: job.payload)
            outcome = try runner.run(
                job: job, pipeline: pipeline, module: module, control: control)
        } catch let failure as Failure {
            outcome = .failed(failure)
        } catch {
            outcome = .failed(
                Failure(.module, "module \(job.module) failed", cause: "\(error)"))
        }
        keeper.end()
        if case .failed(let failure) = outcome, failure.kind == .cancelled, control.stop != nil {
            outcome = .released
        }
        // A lost lease was another worker's to complete.
        guard control.stop != .leaseLost else { return }
        do throws(Failure) {
            _ = try table.complete(
                job.id, worker: identity, progress: control.progress.snapshot, outcome: outcome,
                retry: pipeline.retry)
        } catch {
            // Lost between the last renewal and now: the other worker goes on from the checkpoint.
            guard error.kind == .locked else { throw error }
        }
    }
}
