internal import GRDB
package import Platform

/// The job table in one SQLite file, for the processes of one host.
///
/// Writers of all processes take turns (`BEGIN IMMEDIATE`, up to 30 s of patience); readers never
/// wait. What ends a job or a run is on disk when the call returns. Leases and renewals are not
/// synced: a power cut ends their workers as well, so that losing them loses nothing.
package final class SQLiteJobTable: JobTable {
    package let path: String
    let file: StateFile
    let clock: any WallClock
    let machine: JobStateMachine
    private let writer: DatabaseQueue
    private let reader: DatabaseQueue
    /// The log keeps about this many of its newest lines.
    package static let eventLimit: Int64 = 20_000

    /// Opens the table at `path`, created if nothing is there.
    ///
    /// Throws `module` for a file that is damaged, empty, foreign or of a newer version.
    package init(
        path: String, clock: any WallClock = SystemClock(), policy: RetryPolicy = RetryPolicy()
    ) throws(Failure) {
        self.path = path
        self.clock = clock
        machine = JobStateMachine(policy: policy)
        file = StateFile(kind: JobTableSchema.kind, path: path)
        writer = try file.open { _ in }
        do {
            reader = try file.connect(readOnly: true)
        } catch {
            throw file.failure(error)
        }
    }

    deinit {
        // The reader first: only a connection that may write can take in the journal at the end.
        try? reader.close()
        try? writer.close()
    }

    /// Closes the file; further calls fail.
    package func close() throws(Failure) {
        do {
            try reader.close()
            try writer.close()
        } catch {
            throw file.failure(error)
        }
    }

    /// Runs one transaction that changes something; `synced`: on disk when this returns.
    func write<T>(synced: Bool = true, _ body: (Database) throws -> T) throws(Failure) -> T {
        do {
            return try writer.writeWithoutTransaction { db in
                // Only possible outside of a transaction.
                try db.cachedStatement(
                    sql: synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"
                ).execute()
                try db.beginTransaction(.immediate)
                do {
                    let result = try body(db)
                    try db.commit()
                    return result
                } catch {
                    // Some errors (a full disk) have rolled back already; the first one is told.
                    if db.isInsideTransaction { try? db.rollback() }
                    throw error
                }
            }
        } catch {
            throw file.failure(error)
        }
    }

    /// Runs one transaction that only reads.
    func read<T>(_ body: (Database) throws -> T) throws(Failure) -> T {
        do {
            return try reader.read(body)
        } catch {
            throw file.failure(error)
        }
    }

    /// Adds a line to the log, and now and then removes the oldest ones.
    func log(
        _ db: Database, _ now: Timestamp, run: String?, job: Int64?, _ kind: String, _ text: String
    ) throws {
        let sql = "INSERT INTO event (time, run, job, kind, text) VALUES (?, ?, ?, ?, ?)"
        try db.cachedStatement(sql: sql).execute(arguments: [
            now.databaseValue, run, job, kind, text,
        ])
        let id = db.lastInsertedRowID
        if id % 256 == 0 {
            try db.cachedStatement(sql: "DELETE FROM event WHERE id <= ?")
                .execute(arguments: [id - SQLiteJobTable.eventLimit])
        }
    }

    package func record(
        _ kind: String, run: String?, job: Int64?, text: String
    ) throws(Failure) {
        let now = clock.now()
        try write { try self.log($0, now, run: run, job: job, kind, text) }
    }

    package func events(after: Int64, limit: Int) throws(Failure) -> [JobTableEvent] {
        try read { db in
            let sql = """
                SELECT id, time, run, job, kind, text FROM event WHERE id > ? ORDER BY id LIMIT ?
                """
            return try Row.fetchAll(
                db.cachedStatement(sql: sql), arguments: [after, max(limit, 0)]
            ).map { row in
                var columns = Columns(row)
                return JobTableEvent(
                    id: try columns.int(), time: try columns.time(),
                    run: try columns.optionalText(), job: try columns.optionalInt(),
                    kind: try columns.text(), text: try columns.text())
            }
        }
    }
}
