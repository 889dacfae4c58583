internal import GRDB
package import Platform

extension SQLiteJobTable {
    package func lease(
        run: String?, worker: ProcessIdentity, for seconds: Int
    ) throws(Failure) -> Job? {
        let now = clock.now()
        return try write(synced: false) { db in
            try self.takeBack(db, now)
            guard let job = try self.nextReady(db, run, now) else { return nil }
            let lease = Lease(worker: worker, until: later(now, by: Double(seconds)))
            return try self.apply(db, .leased(lease), to: job, now: now)
        }
    }

    /// The job to lease next: the one with the fewest errors, of the oldest run.
    private func nextReady(_ db: Database, _ run: String?, _ now: Timestamp) throws -> Job? {
        // Run by run, because each is one look into its index; the pipelines that run are few.
        let sql = "SELECT id FROM run WHERE state = 'running' ORDER BY created, id"
        let running = try Row.fetchAll(db.cachedStatement(sql: sql)).map { row in
            var columns = Columns(row)
            return try columns.text()
        }
        var best: Job?
        for id in running where run == nil || run == id {
            guard let job = try first(db, id, now) else { continue }
            if let best, best.status.errorCount <= job.status.errorCount { continue }
            best = job
        }
        return best
    }

    /// The first job of a run that is ready; the lists of a module are written by one worker at a
    /// time, so those whose module is in other hands are not.
    private func first(_ db: Database, _ run: String, _ now: Timestamp) throws -> Job? {
        let sql = """
            SELECT \(JobRow.columns) FROM job
            WHERE job.run = ? AND job.state = 'queued' AND job.not_before <= ?
            AND NOT EXISTS (SELECT 1 FROM job AS other
              WHERE other.module = job.module AND other.state = 'leased')
            ORDER BY job.error_count, job.position LIMIT 1
            """
        return try Row.fetchOne(
            db.cachedStatement(sql: sql), arguments: [run, now.databaseValue]
        ).map(JobRow.read)
    }

    /// Takes back the leases that have run out and those of dead processes of this host.
    private func takeBack(_ db: Database, _ now: Timestamp) throws {
        for job in try JobRow.fetchAll(db, "state = 'leased'") {
            guard let lease = job.status.lease else {
                throw DamagedRow(description: "job \(job.id) is leased to nobody")
            }
            let cause: String
            if lease.worker.isAlive == false {
                cause = "process \(lease.worker.pid) is gone"
            } else if lease.until <= now {
                cause =
                    "process \(lease.worker.pid) on \(lease.worker.host) did not renew its lease"
            } else {
                continue
            }
            _ = try apply(db, .workerLost(cause: cause), to: job, now: now)
        }
    }

    package func renew(
        _ job: Int64, worker: ProcessIdentity, for seconds: Int, progress: JobProgress
    ) throws(Failure) -> LeaseStatus {
        let now = clock.now()
        return try write(synced: false) { db in
            guard let row = try self.leased(db, job, worker) else { return .lost }
            let until = later(now, by: Double(seconds))
            let next = try self.apply(
                db, .renewed(until: until), to: self.noting(progress, row, now), now: now)
            return next.status.cancelRequested ? .cancelled : .held
        }
    }

    package func complete(
        _ job: Int64, worker: ProcessIdentity, progress: JobProgress, outcome: JobOutcome,
        retry: RetryPolicy
    ) throws(Failure) -> Job {
        let now = clock.now()
        let ended = try write { db -> Job in
            guard let held = try self.leased(db, job, worker) else {
                throw Failure(
                    .locked, "job \(job) is not this worker's any more",
                    hint: "Its lease ran out; another worker goes on from the checkpoint")
            }
            var row = self.noting(progress, held, now)
            let event: JobEvent
            switch outcome {
            case .done(let result):
                event = .succeeded
                row.result = result
            case .partly(let result):
                event = .endedPartly
                row.result = result
            case .failed(let failure): event = .failed(failure)
            case .released: event = .released
            }
            let ended = try self.apply(db, event, to: row, now: now, retry: retry)
            CrashPoint.reached("job-ending")
            return ended
        }
        CrashPoint.reached("job-ended")
        return ended
    }

    package func workerDied(
        _ worker: ProcessIdentity, cause: String
    ) throws(Failure) -> [Job] {
        let now = clock.now()
        return try write { db in
            let held = try JobRow.fetchAll(
                db, "state = 'leased' AND lease_owner = ?", [worker.description])
            return try held.map {
                try self.apply(db, .workerLost(cause: cause), to: $0, now: now)
            }
        }
    }

    /// The job if `worker` holds its lease.
    private func leased(
        _ db: Database, _ job: Int64, _ worker: ProcessIdentity
    ) throws -> Job? {
        guard let row = try JobRow.fetch(db, job) else { return nil }
        return row.status.lease?.worker == worker ? row : nil
    }

    /// The job with its new progress; remembers when the counters last moved.
    private func noting(_ progress: JobProgress, _ job: Job, _ now: Timestamp) -> Job {
        guard progress != job.progress else { return job }
        var job = job
        job.progress = progress
        job.progressed = now
        return job
    }

    /// Lets the state machine decide, stores what it says and does its actions.
    ///
    /// - Parameter retry: how a failed job is tried again; nil for the table's own policy.
    func apply(
        _ db: Database, _ event: JobEvent, to job: Job, now: Timestamp, retry: RetryPolicy? = nil
    ) throws -> Job {
        let random = Double.random(in: 0..<1)
        var machine = machine
        if let retry { machine.policy = retry }
        guard let (status, actions) = machine.after(event, job.status, now: now, random: random)
        else {
            throw Failure(
                .bug, "job \(job.id) cannot \(event.name) while \(job.state.rawValue)")
        }
        var next = job
        next.status = status
        if case .leased = event { next.progressed = now }
        try JobRow.update(db, next)
        for action in actions {
            switch action {
            case .log(let kind, let text):
                try log(db, now, run: job.run, job: job.id, kind, text)
            }
        }
        return next
    }
}
