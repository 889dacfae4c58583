internal import FoundationEssentials
internal import GRDB
package import Platform

/// When each object of one place was last found good, and at which level: a set with times, so that
/// a check can stop at any object and go on with what is new or was not read for longest.
///
/// One file for each place, because primary and mirrors rot on their own, and named by the place,
/// because a check by names alone has no key to tell what store it is. Results are kept by the
/// objects' names, so that another store at the same place begins anew. Lost or moved away, all is
/// read again.
package final class ScrubState: Sendable {
    static let applicationID: Int32 = 0x4349_5353  // "CISS"
    static let schemaVersion: Int32 = 1

    package let path: String
    let queue: DatabaseQueue
    private let lock: FileLock

    /// Opens or makes the state for the place `location`.
    ///
    /// - Throws: `locked` while another check of the same place runs.
    package init(stateDirectory: String, location: String) throws(Failure) {
        let name = SHA256Hasher.hash(Array(location.utf8).span).description.prefix(16)
        let folder = "\(stateDirectory)/stores"
        path = "\(folder)/scrub-\(name).sqlite"
        do throws(SystemError) {
            try AtomicFile.makeDirectories(folder)
            // A child that is being started may hold it for a moment.
            lock = try FileLock("\(path).lock", waiting: 1)
        } catch {
            if error.code == Errno.again {
                throw Failure(
                    .locked, "\(location) is being checked by another process",
                    hint: "Wait for its end, or stop it: it goes on where it was")
            }
            throw Failure(.module, "the state of checks \(path) cannot be made", cause: "\(error)")
        }
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(60)
            configuration.journalMode = .wal
            configuration.prepareDatabase { db in
                try db.execute(sql: "PRAGMA cache_size = -4096; PRAGMA temp_store = FILE")
            }
            queue = try DatabaseQueue(path: path, configuration: configuration)
            let file = path
            try queue.write { db in try ScrubState.prepare(db, file, location) }
        } catch {
            throw ScrubState.failure(error, path)
        }
    }

    static func failure(_ error: any Error, _ path: String) -> Failure {
        if let failure = error as? Failure { return failure }
        let full = (error as? DatabaseError)?.resultCode == .SQLITE_FULL
        return Failure(
            full ? .temporary : .module, "the state of checks \(path) cannot be used",
            cause: "\(error)",
            hint: full
                ? "Free space on its disk and run again"
                : "Move the file away: all objects are then read again")
    }

    private static func prepare(_ db: Database, _ path: String, _ location: String) throws {
        let application = try Int32.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let version = try Int32.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0
        if application == 0 && version == 0 && tables == 0 {
            try db.execute(sql: schema)
            try db.execute(sql: "INSERT INTO meta VALUES ('place', ?)", arguments: [location])
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: "PRAGMA user_version = \(schemaVersion)")
            return
        }
        guard application == applicationID, version == schemaVersion else {
            throw Failure(
                .module, "\(path) is not a state of checks of this version of Cistern",
                hint: "Move the file away: all objects are then read again")
        }
    }

    /// Times are milliseconds since the epoch.
    ///
    /// A row with `bad` is damaged since then; `level` is
    /// that of the good result, `bad_level` that of the check that found the damage. A row with
    /// `gone` was not in the last listing, and is kept because it is damage. `proven`: it was good
    /// once, whatever became of it.
    private static let schema = """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
        CREATE TABLE object (
            kind INTEGER NOT NULL,
            id BLOB NOT NULL,
            size INTEGER NOT NULL,
            good INTEGER,
            level INTEGER NOT NULL DEFAULT 0,
            sum BLOB,
            bad INTEGER,
            bad_level INTEGER,
            reason TEXT,
            gone INTEGER NOT NULL DEFAULT 0,
            proven INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (kind, id)
        ) WITHOUT ROWID;
        CREATE INDEX object_bad ON object (bad) WHERE bad IS NOT NULL;
        """

    static func milliseconds(_ time: Timestamp) -> Int64 {
        time.seconds * 1000 + Int64(time.nanoseconds / 1_000_000)
    }

    static func time(_ milliseconds: Int64) -> Timestamp {
        Timestamp(nanosecondsSinceEpoch: Int128(milliseconds) * 1_000_000)
    }

    func read<R>(_ body: (Database) throws -> R) throws(Failure) -> R {
        do { return try queue.unsafeRead(body) } catch { throw ScrubState.failure(error, path) }
    }

    func write<R>(_ body: (Database) throws -> R) throws(Failure) -> R {
        do { return try queue.write(body) } catch { throw ScrubState.failure(error, path) }
    }
}

extension ObjectKind {
    /// The kind's number in the state of checks: small objects first.
    var scrubNumber: Int {
        switch self {
        case .config: 0
        case .key: 1
        case .index: 2
        case .snapshot: 3
        case .pack: 4
        case .lock: 5
        }
    }

    static func scrubKind(_ number: Int) -> ObjectKind? {
        [.config, .key, .index, .snapshot, .pack][checked: number]
    }

    /// The kinds that a check reads: locks come and go.
    package static let checked: [ObjectKind] = [.config, .key, .index, .snapshot, .pack]
}

extension Array {
    fileprivate subscript(checked index: Int) -> Element? {
        indices.contains(index) ? self[index] : nil
    }
}

extension ObjectKey {
    /// The bytes that name the object in the state of checks.
    var scrubID: Data { id.map(\.data) ?? Data() }

    static func scrubKey(_ kind: Int, _ id: Data) -> ObjectKey? {
        guard let kind = ObjectKind.scrubKind(kind) else { return nil }
        guard kind != .config else { return .config }
        return Digest(data: id).map { ObjectKey(kind, $0) }
    }
}
