internal import GRDB
package import Platform

extension SQLiteJobTable {
    package func createRun(
        pipeline: String, definition: String, jobs: [NewJob], owner: ProcessIdentity?,
        for seconds: Int
    ) throws(Failure) -> Run {
        let now = clock.now()
        return try write { db in
            if let active = try RunRow.active(db, pipeline: pipeline) {
                throw Failure(
                    .locked, "pipeline \(pipeline) has the unfinished run \(active.id)",
                    hint: "Resume it, or begin anew with --fresh")
            }
            var run = Run(
                id: try self.newID(db, now), pipeline: pipeline, definition: definition,
                state: .running, created: now)
            if let owner {
                run.owner = owner
                run.ownerUntil = later(now, by: Double(seconds))
            }
            try RunRow.save(db, run)
            for (position, job) in jobs.enumerated() {
                try JobRow.insert(db, run: run.id, position: position, job, now: now)
            }
            try self.log(db, now, run: run.id, job: nil, "run created", "\(jobs.count) jobs")
            return run
        }
    }

    /// An id that sorts after every older one and is not in use.
    private func newID(_ db: Database, _ now: Timestamp) throws -> String {
        for _ in 0..<100 {
            let id = runID(now, random: UInt16.random(in: .min ... .max))
            if try RunRow.fetch(db, id) == nil { return id }
        }
        throw Failure(.temporary, "no free run id in this second")
    }

    package func unfinishedRun(pipeline: String) throws(Failure) -> Run? {
        try read { try RunRow.active($0, pipeline: pipeline) }
    }

    package func claimRun(
        _ run: String, owner: ProcessIdentity, for seconds: Int
    ) throws(Failure) -> Run {
        let now = clock.now()
        return try write { db in
            var row = try self.existing(db, run)
            guard row.state == .running else {
                throw Failure(.usage, "run \(run) has ended (\(row.state.rawValue))")
            }
            if let holder = row.owner, holder != owner, self.isHeld(holder, row.ownerUntil, now) {
                throw Failure(
                    .locked, "pipeline \(row.pipeline) is already running",
                    cause: "run \(run) is held by process \(holder.pid) on \(holder.host)",
                    hint: "Wait for it with `cistern wait \(run)`, or stop it")
            }
            if row.owner != owner {
                try self.log(db, now, run: run, job: nil, "run claimed", "\(owner)")
            }
            row.owner = owner
            row.ownerUntil = later(now, by: Double(seconds))
            try RunRow.save(db, row)
            return row
        }
    }

    package func releaseRun(_ run: String, owner: ProcessIdentity) throws(Failure) {
        let now = clock.now()
        try write { db in
            var row = try self.existing(db, run)
            guard row.owner == owner else { return }
            row.owner = nil
            row.ownerUntil = nil
            try RunRow.save(db, row)
            try self.log(db, now, run: run, job: nil, "run released", "\(owner)")
        }
    }

    package func finishRun(
        _ run: String, owner: ProcessIdentity, state: RunState, exitCode: Int
    ) throws(Failure) -> Run {
        let now = clock.now()
        return try write { db in
            var row = try self.existing(db, run)
            guard row.state == .running else { return row }
            guard row.owner == owner else {
                throw Failure(.locked, "run \(run) is not this dispatcher's any more")
            }
            let open = try self.counts(db, run)
            guard (open[.queued] ?? 0) + (open[.leased] ?? 0) == 0 else {
                throw Failure(.bug, "run \(run) cannot end while jobs of it are open")
            }
            self.end(&row, state, exitCode, now)
            try RunRow.save(db, row)
            try self.log(db, now, run: run, job: nil, "run \(state.rawValue)", "exit \(exitCode)")
            return row
        }
    }

    package func cancelRun(_ run: String) throws(Failure) -> Run {
        let now = clock.now()
        return try write { db in
            var row = try self.existing(db, run)
            guard row.state == .running else { return row }
            let open = "run = ? AND state IN ('queued', 'leased')"
            for job in try JobRow.fetchAll(db, open, [run]) {
                _ = try self.apply(db, .cancelRequested, to: job, now: now)
            }
            // 130 is the exit code of cancelled runs.
            self.end(&row, .cancelled, 130, now)
            try RunRow.save(db, row)
            try self.log(db, now, run: run, job: nil, "run cancelled", "")
            return row
        }
    }

    private func end(_ run: inout Run, _ state: RunState, _ exitCode: Int, _ now: Timestamp) {
        run.state = state
        run.exitCode = exitCode
        run.finished = now
        run.owner = nil
        run.ownerUntil = nil
    }

    package func run(_ id: String) throws(Failure) -> Run? {
        try read { try RunRow.fetch($0, id) }
    }

    package func runs(limit: Int) throws(Failure) -> [Run] {
        try read { db in
            let sql = "SELECT \(RunRow.columns) FROM run ORDER BY created DESC, id DESC LIMIT ?"
            return try Row.fetchAll(db.cachedStatement(sql: sql), arguments: [max(limit, 0)])
                .map(RunRow.read)
        }
    }

    package func jobs(run: String) throws(Failure) -> [Job] {
        try read { try JobRow.fetchAll($0, "run = ? ORDER BY position", [run]) }
    }

    package func outlook(run: String) throws(Failure) -> RunOutlook {
        try read { db in
            let sql = "SELECT min(not_before) FROM job WHERE run = ? AND state = 'queued'"
            let row = try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [run])
            var next: Timestamp?
            if let row {
                var columns = Columns(row)
                next = try columns.optionalTime()
            }
            return RunOutlook(counts: try self.counts(db, run), nextReady: next)
        }
    }

    private func counts(_ db: Database, _ run: String) throws -> [JobState: Int] {
        let sql = "SELECT state, count(*) FROM job WHERE run = ? GROUP BY state"
        let cursor = try Row.fetchCursor(db.cachedStatement(sql: sql), arguments: [run])
        var counts: [JobState: Int] = [:]
        while let row = try cursor.next() {
            var columns = Columns(row)
            let word = try columns.text()
            guard let state = JobState(rawValue: word) else {
                throw DamagedRow(description: "a job has the state \(word)")
            }
            counts[state] = Int(try columns.int())
        }
        return counts
    }

    private func existing(_ db: Database, _ id: String) throws -> Run {
        guard let run = try RunRow.fetch(db, id) else {
            throw Failure(
                .usage, "there is no run \(id)", hint: "`cistern runs` lists those that there are")
        }
        return run
    }

    /// Whether a claim or lease still binds others: the process lives, or (of another host) might.
    func isHeld(_ holder: ProcessIdentity, _ until: Timestamp?, _ now: Timestamp) -> Bool {
        holder.isAlive ?? (until.map { now < $0 } ?? false)
    }
}

/// `yyyyMMdd-HHmmss-xxxx` in UTC.
func runID(_ time: Timestamp, random: UInt16) -> String {
    let days = Int(time.seconds / 86_400)
    let second = Int(time.seconds % 86_400)
    // Days to date as in Howard Hinnant's "chrono-compatible low-level date algorithms".
    let z = days + 719_468
    let era = z / 146_097
    let dayOfEra = z % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shifted = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shifted + 2) / 5 + 1
    let month = shifted < 10 ? shifted + 3 : shifted - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    func digits(_ value: Int, _ width: Int, radix: Int = 10) -> String {
        let text = String(value, radix: radix)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
    let date = digits(year, 4) + digits(month, 2) + digits(day, 2)
    let clock = digits(second / 3600, 2) + digits(second / 60 % 60, 2) + digits(second % 60, 2)
    return "\(date)-\(clock)-\(digits(Int(random), 4, radix: 16))"
}
