internal import GRDB
internal import Platform

/// Reading and writing of run rows.
enum RunRow {
    static let columns = """
        id, pipeline, definition, state, created, finished, exit_code, owner, owner_until
        """

    static func read(_ row: Row) throws -> Run {
        var columns = Columns(row)
        let id = try columns.text()
        let pipeline = try columns.text()
        let definition = try columns.text()
        let word = try columns.text()
        guard let state = RunState(rawValue: word) else {
            throw DamagedRow(description: "run \(id) has the state \(word)")
        }
        var run = Run(
            id: id, pipeline: pipeline, definition: definition, state: state,
            created: try columns.time(), finished: try columns.optionalTime())
        run.exitCode = try columns.optionalInt().map { Int($0) }
        if let owner = try columns.optionalText() {
            guard let identity = ProcessIdentity(owner) else {
                throw DamagedRow(description: "run \(id) has the owner \(owner)")
            }
            run.owner = identity
        }
        run.ownerUntil = try columns.optionalTime()
        return run
    }

    static func save(_ db: Database, _ run: Run) throws {
        let sql = """
            INSERT INTO run (\(columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET state = excluded.state, finished = excluded.finished,
            exit_code = excluded.exit_code, owner = excluded.owner,
            owner_until = excluded.owner_until
            """
        try db.cachedStatement(sql: sql).execute(arguments: [
            run.id, run.pipeline, run.definition, run.state.rawValue, run.created.databaseValue,
            run.finished?.databaseValue, run.exitCode, run.owner?.description,
            run.ownerUntil?.databaseValue,
        ])
    }

    static func fetch(_ db: Database, _ id: String) throws -> Run? {
        let sql = "SELECT \(columns) FROM run WHERE id = ?"
        return try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [id]).map(read)
    }

    /// The run of a pipeline that has not ended.
    static func active(_ db: Database, pipeline: String) throws -> Run? {
        let sql = "SELECT \(columns) FROM run WHERE pipeline = ? AND state = 'running'"
        return try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [pipeline]).map(read)
    }
}
