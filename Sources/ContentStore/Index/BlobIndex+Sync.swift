package import Platform
internal import FoundationEssentials
internal import GRDB

/// Brings the local index up to date from the store's own files, which are the truth.
extension BlobIndex {
    /// The index files of the store that are known here.
    ///
    /// Ask before the store is listed: what another process adds in between is not gone.
    package func knownIndexFiles() throws(Failure) -> Set<Digest> {
        try read { db in
            Set(
                try Data.fetchAll(db, sql: "SELECT id FROM index_file")
                    .compactMap { Digest(data: $0) })
        }
    }

    /// Takes in one index file: `packs` calls its arguments for each pack that the file lists and
    /// for each that it marks for removal.
    ///
    /// All of it, or nothing, becomes visible.
    func addIndexFile(
        _ file: Digest, seen: Int64,
        _ packs: (
            _ each: (Digest, [PackEntry]) throws(Failure) -> Void,
            _ marked: (MarkedPack) throws(Failure) -> Void
        ) throws -> Void
    ) throws(Failure) {
        try write { db in
            let filePK = try BlobIndex.indexFilePK(db, file)
            try packs(
                { id, entries throws(Failure) in
                    do {
                        try BlobIndex.add(db, id, entries, listedIn: filePK, seen: seen)
                    } catch {
                        throw BlobIndex.failure(error, self.path)
                    }
                },
                { pack throws(Failure) in
                    do {
                        try BlobIndex.add(db, pack, filePK)
                    } catch {
                        throw BlobIndex.failure(error, self.path)
                    }
                })
        }
    }

    private static func add(
        _ db: Database, _ id: Digest, _ entries: [PackEntry], listedIn filePK: Int64, seen: Int64
    ) throws {
        let state = try Int.fetchOne(
            db, sql: "SELECT state FROM pack WHERE id = ?", arguments: [id.data])
        // What a writer of this host uploaded is here already, blobs and all.
        if (state ?? -1) < PackState.uploaded.rawValue {
            let size = PackHeader.expectedSize(entries)
            try db.execute(
                sql: """
                    INSERT INTO pack (id, size, state, seen) VALUES (?, ?, 2, ?)
                    ON CONFLICT (id) DO UPDATE SET state = 2, size = excluded.size
                    """, arguments: [id.data, Int64(size), seen])
            let pk = try Int64.fetchOne(
                db, sql: "SELECT pk FROM pack WHERE id = ?", arguments: [id.data])
            try insert(db, pk: pk ?? 0, entries)
        }
        try markIndexed(db, id, filePK)
    }

    /// Drops index files that are gone from the store.
    ///
    /// Packs that no other file lists stop being usable, which raises the generation.
    func removeIndexFiles(_ files: [Digest]) throws(Failure) {
        guard !files.isEmpty else { return }
        try write { db in
            for file in files {
                try db.execute(
                    sql: """
                        DELETE FROM listed_in
                        WHERE file = (SELECT pk FROM index_file WHERE id = ?)
                        """, arguments: [file.data])
                try db.execute(
                    sql: """
                        DELETE FROM marked_in
                        WHERE file = (SELECT pk FROM index_file WHERE id = ?)
                        """, arguments: [file.data])
                try db.execute(
                    sql: "DELETE FROM index_file WHERE id = ?", arguments: [file.data])
            }
            try db.execute(
                sql: """
                    UPDATE pack SET state = -1 WHERE state = 2
                    AND pk NOT IN (SELECT pack FROM listed_in)
                    """)
            if db.changesCount > 0 { try BlobIndex.bumpGeneration(db) }
        }
    }

    /// What a listing of the packs says: which known packs are there with the right size.
    ///
    /// - Parameters:
    ///   - list: calls its argument for each pack in the store with its size in bytes.
    ///   - confirm: the size of a single pack that the listing lacks, nil when it is gone.
    /// - Returns: how many packs that should be there are missing or have a wrong size.
    @discardableResult
    func updatePresence(
        list: (_ each: (Digest, UInt64) throws(Failure) -> Void) throws -> Void,
        confirm: (Digest) throws -> UInt64?
    ) throws(Failure) -> Int {
        do {
            // The listing may take long, so it goes to temporary tables, outside a transaction.
            return try writer.writeWithoutTransaction { db in
                try db.execute(sql: BlobIndex.listingTables)
                let insert = try db.cachedStatement(
                    sql: "INSERT OR REPLACE INTO listing VALUES (?, ?)")
                func absentOfListing() throws -> [Data] {
                    try db.execute(sql: "SAVEPOINT listing")
                    do {
                        try list { id, size throws(Failure) in
                            do {
                                try insert.execute(arguments: [id.data, Int64(size)])
                            } catch {
                                throw BlobIndex.failure(error, self.path)
                            }
                        }
                    } catch {
                        // A savepoint that stays open is a trap in GRDB.
                        try db.execute(sql: "ROLLBACK TO listing; RELEASE listing")
                        throw error
                    }
                    try db.execute(sql: "RELEASE listing")
                    return try Data.fetchAll(db, sql: BlobIndex.absentPacks)
                }
                var absent = try absentOfListing()
                // So many: perhaps the listing is older than the index files.
                if absent.count > Store.confirmedObjects { absent = try absentOfListing() }
                if absent.count <= Store.confirmedObjects {
                    for id in absent.compactMap({ Digest(data: $0) }) {
                        guard let size = try confirm(id) else { continue }
                        try insert.execute(arguments: [id.data, Int64(size)])
                    }
                }
                try db.inTransaction(.immediate) {
                    try db.execute(sql: BlobIndex.markReturned)
                    try db.execute(sql: BlobIndex.markMissing)
                    if db.changesCount > 0 { try BlobIndex.bumpGeneration(db) }
                    return .commit
                }
                return try Int.fetchOne(
                    db, sql: "SELECT count(*) FROM pack WHERE state >= 1 AND present = 0") ?? 0
            }
        } catch {
            throw BlobIndex.failure(error, path)
        }
    }

    /// Only packs that were durable before the listing began can be missing from it.
    private static let listingTables = """
        CREATE TEMP TABLE IF NOT EXISTS listing (
            id BLOB PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TEMP TABLE IF NOT EXISTS durable (pk INTEGER PRIMARY KEY);
        DELETE FROM listing;
        DELETE FROM durable;
        INSERT INTO durable SELECT pk FROM pack WHERE state >= 1 AND present = 1
        """

    /// The packs that the listing lacks, one more at most than are asked for singly.
    private static let absentPacks = """
        SELECT id FROM pack WHERE present = 1 AND pk IN (SELECT pk FROM durable)
        AND NOT EXISTS (SELECT 1 FROM listing WHERE listing.id = pack.id)
        LIMIT \(Store.confirmedObjects + 1)
        """

    private static let markReturned = """
        UPDATE pack SET present = 1 WHERE present = 0 AND EXISTS (
            SELECT 1 FROM listing WHERE listing.id = pack.id AND listing.size = pack.size)
        """

    private static let markMissing = """
        UPDATE pack SET present = 0
        WHERE present = 1 AND pk IN (SELECT pk FROM durable) AND NOT EXISTS (
            SELECT 1 FROM listing WHERE listing.id = pack.id AND listing.size = pack.size)
        """

    // MARK: Snapshots

    /// The snapshots that are cached here.
    func cachedSnapshots() throws(Failure) -> [Digest: [UInt8]] {
        try read { db in
            var result: [Digest: [UInt8]] = [:]
            let rows = try Row.fetchCursor(db, sql: "SELECT id, json FROM snapshot")
            while let row = try rows.next() {
                if let id = Digest(data: row[0]) { result[id] = [UInt8](row[1] as Data) }
            }
            return result
        }
    }

    /// Adds and removes cached snapshots.
    func updateSnapshots(
        add: [(Digest, [UInt8])], remove: [Digest]
    ) throws(Failure) {
        guard !add.isEmpty || !remove.isEmpty else { return }
        try write { db in
            for (id, json) in add {
                try db.execute(
                    sql: "INSERT OR REPLACE INTO snapshot VALUES (?, ?)",
                    arguments: [id.data, Data(json)])
            }
            for id in remove {
                try db.execute(sql: "DELETE FROM snapshot WHERE id = ?", arguments: [id.data])
            }
        }
    }

    // MARK: Own locks

    /// Notes a lock file before it is written, so that after a crash exactly it goes.
    func journalLock(_ id: Digest, session: String) throws(Failure) {
        // Or a lock could outlive a power cut that nobody of this host takes for its own.
        try write(synced: true) { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO own_lock VALUES (?, ?)",
                arguments: [id.data, session])
        }
    }

    /// Forgets a lock file that was removed.
    func forgetLock(_ id: Digest) throws(Failure) {
        try write { db in
            try db.execute(sql: "DELETE FROM own_lock WHERE id = ?", arguments: [id.data])
        }
    }

    /// The lock files of all processes that work with this index.
    func ownLocks() throws(Failure) -> Set<Digest> {
        try read { db in
            Set(
                try Data.fetchAll(db, sql: "SELECT id FROM own_lock").compactMap(Digest.init(data:))
            )
        }
    }

    /// The lock files that dead processes of this host left.
    package func abandonedLocks() throws(Failure) -> [Digest] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT id, session FROM own_lock").compactMap { row in
                BlobIndex.isLive(row[1]) ? nil : Digest(data: row[0])
            }
        }
    }

    // MARK: Iteration

    /// Calls `each` for every pack that the store's index lists, in the order of their ids, with
    /// its size and whether the last listing had it.
    package func packs(
        _ each: (_ id: Digest, _ size: UInt64, _ present: Bool) throws -> Void
    ) throws(Failure) {
        try read { db in
            let rows = try Row.fetchCursor(
                db, sql: "SELECT id, size, present FROM pack WHERE state >= 1 ORDER BY id")
            while let row = try rows.next() {
                guard let id = Digest(data: row[0]) else { continue }
                try each(id, UInt64(row[1] as Int64), row[2] as Int == 1)
            }
        }
    }

    /// How many packs and blobs are known, for people.
    package func counts() throws(Failure) -> (packs: Int, blobs: Int) {
        try read { db in
            (
                try Int.fetchOne(db, sql: "SELECT count(*) FROM pack WHERE state >= 1") ?? 0,
                try Int.fetchOne(db, sql: "SELECT count(*) FROM blob") ?? 0
            )
        }
    }
}
