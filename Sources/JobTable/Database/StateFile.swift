internal import FoundationEssentials
internal import GRDB
internal import Platform

/// What a kind of SQLite file is made of, and how to speak of it.
struct StateFileKind: Sendable {
    /// `PRAGMA application_id`: tells our files from other programs' ones.
    var applicationID: Int32
    /// `PRAGMA user_version`: 1 is the first form; see `migrator`.
    var version: Int32
    /// How messages call the file: `state file`, `job table`.
    var noun: String
    /// The way out when the file is damaged.
    var hint: String
    var migrator: DatabaseMigrator
    /// The tables that `migrator` makes, for comparison with those of a file.
    let expectedSchema: Result<[String], any Error>

    init(
        applicationID: Int32, version: Int32, noun: String, hint: String,
        migrator: DatabaseMigrator
    ) {
        self.applicationID = applicationID
        self.version = version
        self.noun = noun
        self.hint = hint
        self.migrator = migrator
        expectedSchema = Result {
            let queue = try DatabaseQueue()
            try migrator.migrate(queue)
            return try queue.read(StateFile.schema)
        }
    }
}

/// Creates, checks and opens SQLite files so that a bad one is an error and never an empty start.
///
/// A new file is made whole under a temporary name and then linked: whatever stands under the real
/// name was once complete, so an empty or short one is damage.
struct StateFile: Sendable {
    var kind: StateFileKind
    var path: String
    /// Seconds to wait for another process's transaction.
    static let busyTimeout = 30.0

    /// Opens the file, after creating or migrating it; `seed` fills a new one.
    func open(seed: (Database) throws -> Void) throws(Failure) -> DatabaseQueue {
        do {
            let isNew = try !exists(path)
            if isNew {
                if try exists(path + "-wal") {
                    throw damaged("its journal \(path)-wal is there without it")
                }
                try create(seed)
            }
            let version = try checkHeader()
            let queue = try connect()
            if version < kind.version {
                try kind.migrator.migrate(queue)
            }
            try queue.read(checkSchema)
            return queue
        } catch {
            throw failure(error)
        }
    }

    /// Opens one more connection to the opened file.
    func connect(readOnly: Bool = false) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.busyMode = .timeout(StateFile.busyTimeout)
        configuration.foreignKeysEnabled = false
        configuration.readonly = readOnly
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            try db.execute(sql: "PRAGMA cell_size_check = ON")
        }
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    private func create(_ seed: (Database) throws -> Void) throws {
        let parent = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let folder = parent.isEmpty ? "/" : parent
        try AtomicFile.makeDirectories(folder)
        let name = Array((path.split(separator: "/").last ?? "").utf8)
        let temporary = AtomicFile.temporaryName(for: name)
        let temporaryPath = folder + "/" + String(decoding: temporary, as: UTF8.self)
        do {
            try reserve(temporaryPath)
            try fill(temporaryPath, seed)
            CrashPoint.reached("state-file-filled")
            try self.name(temporary, name, in: folder)
        } catch {
            // What is left of a failed creation is found by its name and harms nobody.
            try? remove(temporary, in: folder)
            throw error
        }
    }

    private func remove(_ name: [UInt8], in folder: String) throws(SystemError) {
        let directory = try Descriptor.open(folder, [.readOnly, .directory])
        try directory.unlink(name)
    }

    /// Makes an empty file that only its owner can read; SQLite's own would be open to all.
    private func reserve(_ path: String) throws(SystemError) {
        let file = try Descriptor.open(path, [.readWrite, .create, .exclusive], mode: 0o600)
        try file.close()
    }

    /// Gives the complete file its name; an existing one stays.
    private func name(
        _ temporary: [UInt8], _ name: [UInt8], in folder: String
    ) throws(SystemError) {
        let directory = try Descriptor.open(folder, [.readOnly, .directory])
        let file = try directory.open(temporary, [.readWrite])
        try file.sync()
        do throws(SystemError) {
            try directory.renameExclusively(temporary, to: name)
        } catch {
            // Another process was faster; its file is as good.
            guard error.code == Errno.exists else { throw error }
            try directory.unlink(temporary)
        }
        CrashPoint.reached("state-file-named")
        try directory.sync()
    }

    private func fill(_ path: String, _ seed: (Database) throws -> Void) throws {
        var configuration = Configuration()
        configuration.prepareDatabase { db in
            // The file is synced as a whole before it gets its name.
            try db.execute(sql: "PRAGMA synchronous = OFF")
            try db.execute(sql: "PRAGMA journal_mode = WAL")
        }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try kind.migrator.migrate(queue)
        try queue.write(seed)
        try queue.close()
    }

    /// Reads what SQLite's own header says, before SQLite may touch the file; gives the version.
    private func checkHeader() throws -> Int32 {
        let (header, size) = try readHeader()
        guard header.count == 100 else {
            throw damaged(header.isEmpty ? "it is empty" : "it is only \(header.count) bytes long")
        }
        guard header.starts(with: Array("SQLite format 3\0".utf8)) else {
            throw damaged("it is no SQLite file")
        }
        guard Int32(bitPattern: word(header, 68)) == kind.applicationID else {
            throw damaged("it belongs to another program, or is another kind of file")
        }
        let version = Int32(bitPattern: word(header, 60))
        guard version >= 1 else { throw damaged("it has no version") }
        try checkSize(header, size)
        return version
    }

    /// Compares the number of pages that the header gives with the size of the file.
    ///
    /// SQLite itself takes the size where the header's two counters differ, and would take a
    /// truncated file for a smaller one. With a journal the header may be behind, and the journal
    /// has sums of its own.
    private func checkSize(_ header: [UInt8], _ size: UInt64) throws {
        var (header, size) = (header, size)
        for _ in 0..<StateFile.headerTries {
            if try exists(path + "-wal") { return }
            let pageSize = UInt64(header[16]) << 8 | UInt64(header[17])
            let pages = UInt64(word(header, 28))
            // The change counter, and its value when the number of pages was written.
            if word(header, 24) == word(header, 92), pages * pageSize == size { return }
            // Another process may have closed the file just now: look again.
            (header, size) = try readHeader()
            guard header.count == 100 else { break }
        }
        throw damaged("it has \(size) bytes, which is not what its header says")
    }

    /// How often a header that does not fit is read again.
    private static let headerTries = 3

    private func readHeader() throws(SystemError) -> (bytes: [UInt8], fileSize: UInt64) {
        let file = try Descriptor.open(path, [.readOnly])
        var header: [UInt8] = []
        while header.count < 100 {
            if try file.read(appending: &header, upTo: 100 - header.count) == 0 { break }
        }
        return (header, try file.metadata().size)
    }

    /// Compares the tables of the file with those that this version makes.
    private func checkSchema(_ db: Database) throws {
        let version = try Int32.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard version <= kind.version else {
            throw Failure(
                .module, "\(kind.noun) \(path) has version \(version)",
                cause: "this program knows versions up to \(kind.version)",
                hint: "Use the newer Cistern that wrote it")
        }
        let statements = try StateFile.schema(db)
        guard statements == (try kind.expectedSchema.get()) else {
            throw damaged("its tables are not those of version \(kind.version)")
        }
    }

    static func schema(_ db: Database) throws -> [String] {
        let sql = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
        return try Row.fetchAll(db, sql: sql).map { row in
            var columns = Columns(row)
            let parts = try [columns.text(), columns.text(), columns.text()]
            return try (parts + [columns.optionalText() ?? ""]).joined(separator: " ")
        }
    }

    private func exists(_ path: String) throws(SystemError) -> Bool {
        do throws(SystemError) {
            let file = try Descriptor.open(path, [.readOnly])
            try file.close()
            return true
        } catch {
            guard error.code == Errno.noEntry else { throw error }
            return false
        }
    }

    private func word(_ bytes: [UInt8], _ at: Int) -> UInt32 {
        bytes[at..<(at + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The failure of a file that cannot be trusted.
    func damaged(_ cause: String) -> Failure {
        Failure(.module, "\(kind.noun) \(path) cannot be used", cause: cause, hint: kind.hint)
    }

    /// What an error of a call means: damage, a full disk, a busy file.
    func failure(_ error: any Error) -> Failure {
        switch error {
        case let failure as Failure: return failure
        case let row as DamagedRow: return damaged("it is damaged: \(row)")
        case let system as SystemError:
            return Failure(
                isRoom(system.code) ? .temporary : .module,
                "\(kind.noun) \(path) cannot be used", cause: "\(system)")
        case let database as DatabaseError: return failure(database)
        default: return Failure(.bug, "\(kind.noun) \(path) cannot be used", cause: "\(error)")
        }
    }

    private func isRoom(_ code: Int32) -> Bool { code == Errno.noSpace || code == Errno.quota }

    private func failure(_ error: DatabaseError) -> Failure {
        let cause = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT, .SQLITE_ERROR, .SQLITE_MISMATCH,
            .SQLITE_CONSTRAINT, .SQLITE_TOOBIG:
            // The statements are fixed and the schema was checked, so SQL that fails means that
            // the file does not hold what it should.
            return damaged("it is damaged: \(cause)")
        case .SQLITE_FULL:
            return Failure(
                .temporary, "\(kind.noun) \(path) cannot grow", cause: cause,
                hint: "Free some space; the work goes on where it was")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return Failure(
                .temporary, "\(kind.noun) \(path) is busy", cause: cause,
                hint: "Another process held it for more than \(Int(StateFile.busyTimeout)) s")
        default:
            return Failure(.module, "\(kind.noun) \(path) cannot be used", cause: cause)
        }
    }
}
