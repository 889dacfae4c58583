internal import FoundationEssentials
internal import GRDB
internal import Platform

/// Reading and writing of job rows.
enum JobRow {
    /// The columns that `read` expects, of a table called `job`.
    static let columns = """
        job.id, job.run, job.position, job.module, job.stages, job.payload, job.state, job.attempts,
        job.deaths, job.error_count, job.not_before, job.lease_owner, job.lease_until,
        job.cancel_requested, job.error_class, job.error, job.started, job.finished, job.stage,
        job.units, job.bytes, job.units_total, job.progressed, job.result
        """

    static func read(_ row: Row) throws -> Job {
        var columns = Columns(row)
        let id = try columns.int()
        let run = try columns.text()
        let position = Int(try columns.int())
        let module = try columns.text()
        let stages = try columns.text().split(separator: " ").map(String.init)
        let payload = try columns.blob()
        let status = try status(&columns)
        let progress = JobProgress(
            stage: try columns.optionalText(), units: try columns.int(),
            bytes: try columns.int(), unitsTotal: try columns.optionalInt())
        return Job(
            id: id, run: run, position: position, module: module, stages: stages,
            payload: payload, status: status, progress: progress,
            progressed: try columns.optionalTime(), result: try columns.optionalText())
    }

    private static func status(_ columns: inout Columns) throws -> JobStatus {
        let word = try columns.text()
        guard let state = JobState(rawValue: word) else {
            throw DamagedRow(description: "a job has the state \(word)")
        }
        let attempts = Int(try columns.int())
        let deaths = Int(try columns.int())
        let errorCount = Int(try columns.int())
        var status = JobStatus(notBefore: try columns.time())
        status.state = state
        status.attempts = attempts
        status.deaths = deaths
        status.errorCount = errorCount
        let owner = try columns.optionalText()
        let until = try columns.optionalTime()
        if let owner {
            guard let worker = ProcessIdentity(owner), let until else {
                throw DamagedRow(description: "a job has the lease owner \(owner)")
            }
            status.lease = Lease(worker: worker, until: until)
        }
        status.cancelRequested = try columns.int() != 0
        let kind = try columns.optionalText()
        let text = try columns.optionalText()
        if let kind {
            guard let kind = FailureClass(rawValue: kind) else {
                throw DamagedRow(description: "a job has the error class \(kind)")
            }
            status.error = JobError(kind: kind, text: text ?? "")
        }
        status.started = try columns.optionalTime()
        status.finished = try columns.optionalTime()
        return status
    }

    /// Writes what can change of a job.
    static func update(_ db: Database, _ job: Job) throws {
        let status = job.status
        let sql = """
            UPDATE job SET state = ?, attempts = ?, deaths = ?, error_count = ?, not_before = ?,
            lease_owner = ?, lease_until = ?, cancel_requested = ?, error_class = ?, error = ?,
            started = ?, finished = ?, stage = ?, units = ?, bytes = ?, units_total = ?,
            progressed = ?, result = ? WHERE id = ?
            """
        try db.cachedStatement(sql: sql).execute(arguments: [
            status.state.rawValue, status.attempts, status.deaths, status.errorCount,
            status.notBefore.databaseValue, status.lease?.worker.description,
            status.lease?.until.databaseValue, status.cancelRequested,
            status.error?.kind.rawValue, status.error?.text, status.started?.databaseValue,
            status.finished?.databaseValue, job.progress.stage, job.progress.units,
            job.progress.bytes, job.progress.unitsTotal, job.progressed?.databaseValue,
            job.result, job.id,
        ])
    }

    static func insert(
        _ db: Database, run: String, position: Int, _ job: NewJob, now: Timestamp
    ) throws {
        let sql = """
            INSERT INTO job (run, position, module, stages, payload, state, attempts, deaths,
            error_count, not_before, cancel_requested, units, bytes)
            VALUES (?, ?, ?, ?, ?, 'queued', 0, 0, 0, ?, 0, 0, 0)
            """
        try db.cachedStatement(sql: sql).execute(arguments: [
            run, position, job.module, job.stages.joined(separator: " "), Data(job.payload),
            now.databaseValue,
        ])
    }

    /// The job of that id; nil when there is none.
    static func fetch(_ db: Database, _ id: Int64) throws -> Job? {
        let sql = "SELECT \(columns) FROM job WHERE id = ?"
        return try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [id]).map(read)
    }

    /// All jobs that `condition`, with its arguments, selects.
    static func fetchAll(
        _ db: Database, _ condition: String, _ arguments: StatementArguments = []
    ) throws -> [Job] {
        let sql = "SELECT \(columns) FROM job WHERE \(condition)"
        let cursor = try Row.fetchCursor(db.cachedStatement(sql: sql), arguments: arguments)
        var jobs: [Job] = []
        while let row = try cursor.next() { jobs.append(try read(row)) }
        return jobs
    }
}
