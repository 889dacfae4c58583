internal import GRDB
internal import GRDBSQLite
internal import Platform

/// A prepared statement that is run for each of many blobs, or gives a row for each.
///
/// GRDB wraps every value on its way in and out, which for a row of a few numbers costs more than
/// all that SQLite does; this passes them directly. For use while GRDB lends its database, and not
/// together with GRDB's own use of the same statement.
@safe struct IndexStatement: ~Copyable {
    private let statement: Statement
    private let raw: SQLiteStatement

    /// Prepares `sql`, or takes it from the connection's cache.
    init(_ db: Database, _ sql: String) throws {
        statement = try db.cachedStatement(sql: sql)
        unsafe raw = unsafe statement.sqliteStatement
        restart()
    }

    deinit {
        unsafe sqlite3_reset(raw)
        unsafe sqlite3_clear_bindings(raw)
    }

    /// Makes the statement ready to be given other parameters and to run again; what was bound
    /// stays.
    borrowing func restart() {
        // The result tells once more how the last run ended.
        _ = unsafe sqlite3_reset(raw)
    }

    /// Gives the parameter `index`, from 1, a digest's 32 bytes.
    borrowing func bind(_ index: Int32, _ id: Digest) throws(DatabaseError) {
        let words = id.words
        let bytes = (
            words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian
        )
        let copied = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        let code = unsafe withUnsafeBytes(of: bytes) {
            unsafe sqlite3_bind_blob(raw, index, $0.baseAddress, Int32($0.count), copied)
        }
        try check(code)
    }

    /// Gives the parameter `index`, from 1, a number or NULL.
    borrowing func bind(_ index: Int32, _ value: Int64?) throws(DatabaseError) {
        if let value {
            try check(unsafe sqlite3_bind_int64(raw, index, value))
        } else {
            try check(unsafe sqlite3_bind_null(raw, index))
        }
    }

    /// Goes to the next row; false at the end.
    borrowing func step() throws(DatabaseError) -> Bool {
        let code = unsafe sqlite3_step(raw)
        if code == SQLITE_ROW { return true }
        guard code == SQLITE_DONE else { throw error(code) }
        return false
    }

    /// Runs a statement that gives no rows, and makes it ready to run again.
    borrowing func run() throws(DatabaseError) {
        defer { restart() }
        while try step() {}
    }

    /// The number in a column, from 0, of the row; 0 for NULL.
    borrowing func int(_ column: Int32) -> Int64 {
        unsafe sqlite3_column_int64(raw, column)
    }

    /// The number in a column, from 0, of the row; nil for NULL.
    borrowing func optionalInt(_ column: Int32) -> Int64? {
        unsafe sqlite3_column_type(raw, column) == SQLITE_NULL ? nil : int(column)
    }

    /// The digest in a column, from 0, of the row; nil when it is anything else.
    borrowing func digest(_ column: Int32) -> Digest? {
        guard let bytes = unsafe sqlite3_column_blob(raw, column) else { return nil }
        let count = unsafe Int(sqlite3_column_bytes(raw, column))
        let buffer = unsafe UnsafeBufferPointer(
            start: bytes.assumingMemoryBound(to: UInt8.self), count: count)
        return unsafe Digest(buffer.span)
    }

    private borrowing func check(_ code: Int32) throws(DatabaseError) {
        guard code == SQLITE_OK else { throw error(code) }
    }

    private borrowing func error(_ code: Int32) -> DatabaseError {
        let connection = unsafe sqlite3_db_handle(raw)
        return DatabaseError(
            resultCode: ResultCode(rawValue: code),
            message: unsafe String(cString: sqlite3_errmsg(connection)), sql: statement.sql)
    }
}
