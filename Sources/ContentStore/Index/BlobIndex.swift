package import Platform
internal import GRDB

/// Where one copy of a blob lies.
package struct BlobLocation: Sendable, Equatable {
    /// The pack's id.
    package var pack: Digest
    /// Bytes from the start of the pack.
    package var offset: UInt64
    /// Bytes in the pack, sealed.
    package var storedLength: UInt32
    /// Bytes of the content when it is compressed; nil when it is stored raw.
    package var plainLength: UInt32?

    /// Bytes of the content.
    package var contentLength: Int {
        plainLength.map { Int($0) } ?? max(0, Int(storedLength) - Sealer.overhead)
    }
}

/// One copy of a blob and what is known of it.
struct BlobCopy {
    var location: BlobLocation
    /// It was read and was not what was written.
    var isBad: Bool
    /// The last listing of the packs had its pack, with the right size.
    var isPresent: Bool
    /// An index file names it, or one is about to.
    var isListed: Bool

    /// Whether the store can give the blob back from here, as far as is known.
    var isUsable: Bool { isListed && isPresent && !isBad }
}

/// Which blobs the store has and where: a local SQLite mirror of the store's index files.
///
/// The store's own files are the truth. This copy is brought up to date from them by
/// `BlobIndex+Sync` and can be deleted at any time. It also journals the packs of this host's
/// writers, so that after a crash what was uploaded is found again.
///
/// All processes of a host share the file (WAL); each value of this type has two connections, one
/// to read and one to write, and can be used from any thread.
package final class BlobIndex: Sendable {
    /// The life of a pack, as kept in the `pack` table.
    enum PackState: Int {
        /// Was listed by an index file once, and is not any more.
        case dropped = -1
        /// Is about to be uploaded by a live session.
        case journalled = 0
        /// Is durable in the store, in no index file yet.
        case uploaded = 1
        /// Is listed by an index file of the store.
        case indexed = 2
    }

    static let applicationID: Int32 = 0x4349_5349  // "CISI"
    static let schemaVersion: Int32 = 2

    package let path: String
    let writer: DatabaseQueue
    let reader: DatabaseQueue
    let filter = BlobFilter()

    /// Opens or creates the index of the store `storeID` in the file `path`.
    ///
    /// A file that is not such an index is refused: it is deleted by `cistern state rebuild`.
    package init(path: String, storeID: String) throws(Failure) {
        self.path = path
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(60)
            configuration.journalMode = .wal
            configuration.prepareDatabase { db in
                try db.execute(sql: "PRAGMA cache_size = -4096")
            }
            writer = try DatabaseQueue(path: path, configuration: configuration)
            try writer.write { db in try BlobIndex.prepare(db, storeID: storeID, path: path) }
            var readOnly = configuration
            readOnly.readonly = true
            readOnly.prepareDatabase { db in try db.execute(sql: "PRAGMA cache_size = -2048") }
            reader = try DatabaseQueue(path: path, configuration: readOnly)
        } catch {
            throw BlobIndex.failure(error, path)
        }
    }

    /// The failure for an error of SQLite, naming the file and the way out.
    static func failure(_ error: any Error, _ path: String) -> Failure {
        if let failure = error as? Failure { return failure }
        let full = (error as? DatabaseError)?.resultCode == .SQLITE_FULL
        return Failure(
            // The store is well: waiting for it would wait forever.
            full ? .temporary : .module, "the local store index \(path) cannot be used",
            cause: "\(error)",
            hint: full
                ? "Free space on its disk and run again"
                : "It is only a copy: move the file away, and it is made again from the store")
    }

    private static func prepare(_ db: Database, storeID: String, path: String) throws {
        let application = try Int32.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let version = try Int32.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0
        if application == 0 && version == 0 && tables == 0 {
            CrashPoint.reached("index-copy-empty")
            try db.execute(sql: schema)
            try db.execute(sql: marksSchema)
            // A number that no index before this one had: baselines remember it.
            try db.execute(
                sql: "INSERT INTO meta VALUES ('store', ?), ('generation', ?)",
                arguments: [storeID, Int64.random(in: 1..<(1 << 60))])
            try db.execute(sql: "PRAGMA application_id = \(applicationID)")
            try db.execute(sql: "PRAGMA user_version = \(schemaVersion)")
            CrashPoint.reached("index-copy-filled")
            return
        }
        if application == applicationID && version == 1 {
            try db.execute(sql: marksSchema)
            try db.execute(sql: "PRAGMA user_version = \(schemaVersion)")
        } else if application != applicationID || version != schemaVersion {
            throw Failure(
                .store, "\(path) is not a store index of this version of Cistern",
                hint: "It is only a copy: move the file away, and it is made again from the store")
        }
        let id = try String.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'store'")
        guard id == storeID else {
            throw Failure(
                .store, "\(path) is the index of another store (\(id ?? "?"))",
                hint: "It is only a copy: move the file away, and it is made again from the store")
        }
    }

    private static let schema = """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
        CREATE TABLE pack (
            pk INTEGER PRIMARY KEY,
            id BLOB NOT NULL UNIQUE,
            size INTEGER NOT NULL,
            state INTEGER NOT NULL,
            present INTEGER NOT NULL DEFAULT 1,
            session TEXT,
            entries BLOB
        );
        CREATE INDEX pack_open ON pack (state) WHERE state IN (0, 1);
        CREATE TABLE blob (
            id BLOB NOT NULL,
            type INTEGER NOT NULL,
            pack INTEGER NOT NULL,
            offset INTEGER NOT NULL,
            stored INTEGER NOT NULL,
            plain INTEGER,
            bad INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (id, type, pack)
        ) WITHOUT ROWID;
        CREATE TABLE index_file (pk INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);
        CREATE TABLE listed_in (
            pack INTEGER NOT NULL, file INTEGER NOT NULL, PRIMARY KEY (pack, file)
        ) WITHOUT ROWID;
        CREATE INDEX listed_in_file ON listed_in (file);
        CREATE TABLE snapshot (id BLOB PRIMARY KEY, json BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE own_lock (id BLOB PRIMARY KEY, session TEXT NOT NULL) WITHOUT ROWID;
        """

    // MARK: Look-ups

    private static let lookup = """
        SELECT pack.id, blob.offset, blob.stored, blob.plain, blob.bad, pack.present, pack.state
        FROM blob JOIN pack ON pack.pk = blob.pack
        WHERE blob.id = ? AND blob.type = ?
        """

    /// Whether the store has a usable copy: its pack is durable and listed, and the copy is not
    /// known to be bad.
    package func contains(_ id: Digest, _ type: BlobType) throws(Failure) -> Bool {
        try !locations(id, type).isEmpty
    }

    /// The usable copies of a blob.
    package func locations(_ id: Digest, _ type: BlobType) throws(Failure) -> [BlobLocation] {
        try copies(id, type).filter(\.isUsable).map(\.location)
    }

    /// The copies to read a blob from: the usable ones, or when there are none those in packs that
    /// no index file lists any more and that may still be there.
    ///
    /// A snapshot that was written while its packs were being counted out is read this way.
    package func readableLocations(
        _ id: Digest, _ type: BlobType
    ) throws(Failure) -> [BlobLocation] {
        let all = try copies(id, type).filter { $0.isPresent && !$0.isBad }
        let usable = all.filter(\.isUsable)
        return (usable.isEmpty ? all : usable).map(\.location)
    }

    /// As `contains`, without a look-up for what the filter knows to be new.
    func hasForWriting(_ id: Digest, _ type: BlobType) throws(Failure) -> Bool {
        if filter.surelyLacks(id, type) { return false }
        if try contains(id, type) { return true }
        try filter.missed(self)
        return false
    }

    /// Every copy that an index file names, also of packs that are gone or known to be damaged:
    /// they still tell the blob's length.
    package func allLocations(_ id: Digest, _ type: BlobType) throws(Failure) -> [BlobLocation] {
        try copies(id, type).map(\.location)
    }

    /// Every copy that is known, and what is known of it.
    func copies(_ id: Digest, _ type: BlobType) throws(Failure) -> [BlobCopy] {
        do {
            return try reader.unsafeRead { db in
                let rows = try IndexStatement(db, BlobIndex.lookup)
                try rows.bind(1, id)
                try rows.bind(2, Int64(type.rawValue))
                var result: [BlobCopy] = []
                while try rows.step() {
                    guard let location = BlobIndex.location(rows) else { continue }
                    result.append(
                        BlobCopy(
                            location: location, isBad: rows.int(4) != 0,
                            isPresent: rows.int(5) == 1,
                            isListed: rows.int(6) >= PackState.uploaded.rawValue))
                }
                return result
            }
        } catch {
            throw BlobIndex.failure(error, path)
        }
    }

    /// A number that grows whenever content that was usable stops being so: a pack gone from the
    /// listing or from the index, a copy found bad.
    ///
    /// As long as it stays, everything that was in the store still is.
    package func generation() throws(Failure) -> Int64 {
        try read { db in
            try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'generation'") ?? 0
        }
    }

    /// Marks the copy of a blob in `pack` as bad, so that nothing relies on it any more.
    package func markBad(_ id: Digest, _ type: BlobType, in pack: Digest) throws(Failure) {
        try write { db in
            try db.execute(
                sql: """
                    UPDATE blob SET bad = 1 WHERE id = ? AND type = ? AND bad = 0
                    AND pack = (SELECT pk FROM pack WHERE id = ?)
                    """, arguments: [id.data, type.rawValue, pack.data])
            if db.changesCount > 0 { try BlobIndex.bumpGeneration(db) }
        }
    }

    /// Notes that a pack is gone, until a listing has it again.
    func markMissing(_ pack: Digest) throws(Failure) {
        try write { db in
            try db.execute(
                sql: "UPDATE pack SET present = 0 WHERE id = ? AND present = 1 AND state >= 1",
                arguments: [pack.data])
            if db.changesCount > 0 { try BlobIndex.bumpGeneration(db) }
        }
    }

    /// Takes back `markBad`: the copy was read again and is good.
    package func markGood(_ id: Digest, _ type: BlobType, in pack: Digest) throws(Failure) {
        try write { db in
            try db.execute(
                sql: """
                    UPDATE blob SET bad = 0 WHERE id = ? AND type = ? AND bad = 1
                    AND pack = (SELECT pk FROM pack WHERE id = ?)
                    """, arguments: [id.data, type.rawValue, pack.data])
        }
    }

    static func bumpGeneration(_ db: Database) throws {
        try db.execute(sql: "UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    }

    /// When the store was last tidied from here, in seconds since the epoch.
    func tidied() throws(Failure) -> Int64 {
        try read { db in
            try Int64.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'tidied'") ?? 0
        }
    }

    func setTidied(_ seconds: Int64) throws(Failure) {
        try write { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO meta VALUES ('tidied', ?)", arguments: [seconds])
        }
    }

    // MARK: Access

    func read<R>(_ body: (Database) throws -> R) throws(Failure) -> R {
        do { return try reader.unsafeRead(body) } catch { throw BlobIndex.failure(error, path) }
    }

    /// Runs one transaction that changes something; `synced`: on disk when this returns.
    func write<R>(
        synced: Bool = false, _ body: (Database) throws -> R
    ) throws(Failure) -> R {
        do {
            return try writer.writeWithoutTransaction { db in
                // Each time, because GRDB sets NORMAL itself after it has prepared a connection,
                // and here, because it is only possible outside of a transaction.
                try db.cachedStatement(
                    sql: synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL"
                ).execute()
                var result: R?
                try db.inTransaction(.immediate) {
                    result = try body(db)
                    return .commit
                }
                guard let result else { throw Failure(.bug, "a transaction without a result") }
                return result
            }
        } catch {
            throw BlobIndex.failure(error, path)
        }
    }
}
