internal import FoundationEssentials
internal import GRDB
package import Platform

/// What a new listing of a place says against the one before.
package struct ScrubListing: Sendable, Equatable {
    package var objects = 0
    package var added = 0
    /// The first objects that were there at the last check and are not any more.
    package var gone: [ObjectKey] = []
    package var goneCount = 0

    package init() {}
}

extension ScrubState {
    /// How many objects that are gone are named.
    private static let namedLimit = 1000

    /// Takes in what the place holds: new objects come in unread, those that are gone go, but for
    /// damage, which stays until it is known not to be needed.
    package func update(listing place: any Backend) throws(Failure) -> ScrubListing {
        do {
            return try queue.writeWithoutTransaction { db in
                try db.execute(
                    sql: """
                        CREATE TEMP TABLE IF NOT EXISTS listing (
                            kind INTEGER NOT NULL, id BLOB NOT NULL, size INTEGER NOT NULL,
                            PRIMARY KEY (kind, id)) WITHOUT ROWID;
                        DELETE FROM listing;
                        SAVEPOINT listing
                        """)
                do {
                    try ScrubState.fill(db, from: place)
                } catch {
                    try db.execute(sql: "ROLLBACK TO listing; RELEASE listing")
                    throw error
                }
                try db.execute(sql: "RELEASE listing")
                var result = ScrubListing()
                try db.inTransaction(.immediate) {
                    result = try ScrubState.merge(db)
                    return .commit
                }
                return result
            }
        } catch {
            throw ScrubState.failure(error, path)
        }
    }

    private static func fill(_ db: Database, from place: any Backend) throws {
        let insert = try db.cachedStatement(
            sql: "INSERT OR REPLACE INTO temp.listing VALUES (?, ?, ?)")
        do {
            if let size = try place.size(.config) {
                try insert.execute(arguments: [0, Data(), Int64(size)])
            }
            for kind in ObjectKind.checked where kind != .config {
                var failure: (any Error)?
                try place.list(kind) { id, size in
                    guard failure == nil else { return }
                    do {
                        try insert.execute(
                            arguments: [kind.scrubNumber, id.data, Int64(clamping: size)])
                    } catch {
                        failure = error
                    }
                }
                if let failure { throw failure }
            }
        } catch let error as BackendError {
            throw error.failure(at: place.location)
        }
    }

    private static func merge(_ db: Database) throws -> ScrubListing {
        var result = ScrubListing()
        let absent = """
            FROM object WHERE NOT EXISTS (
                SELECT 1 FROM temp.listing l WHERE l.kind = object.kind AND l.id = object.id)
            """
        result.goneCount =
            try Int.fetchOne(db, sql: "SELECT count(*) \(absent) AND gone = 0") ?? 0
        result.gone = try Row.fetchAll(
            db, sql: "SELECT kind, id \(absent) AND gone = 0 LIMIT ?", arguments: [namedLimit]
        ).compactMap { ObjectKey.scrubKey($0[0], $0[1]) }
        // Keys and snapshots are few, and a mirror may tell that they were lost.
        try db.execute(
            sql: "DELETE \(absent) AND bad IS NULL AND kind NOT IN (\(ScrubState.keptKinds))")
        try db.execute(
            sql: "UPDATE object SET gone = 1 WHERE (kind, id) IN (SELECT kind, id \(absent))")
        try db.execute(
            sql: """
                UPDATE object SET gone = 0 WHERE gone = 1 AND EXISTS (
                    SELECT 1 FROM temp.listing l
                    WHERE l.kind = object.kind AND l.id = object.id)
                """)
        // What has another size now is another thing than what was read.
        try db.execute(
            sql: """
                UPDATE object SET size = l.size, good = NULL, level = 0 FROM temp.listing l
                WHERE l.kind = object.kind AND l.id = object.id AND l.size <> object.size
                """)
        try db.execute(
            sql: """
                INSERT OR IGNORE INTO object (kind, id, size)
                SELECT kind, id, size FROM temp.listing
                """)
        result.added = db.changesCount
        result.objects = try Int.fetchOne(db, sql: "SELECT count(*) FROM temp.listing") ?? 0
        return result
    }

    static let keptKinds = "1, 3"

    /// How many objects that are gone are remembered at once.
    private static let vanishedLimit = 1_000_000

    /// Keys and snapshots that were there once, and are gone without having been damaged.
    package func vanished() throws(Failure) -> [ObjectKey] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT kind, id FROM object WHERE gone = 1 AND bad IS NULL
                    ORDER BY kind, id LIMIT ?
                    """, arguments: [ScrubState.vanishedLimit]
            ).compactMap { ObjectKey.scrubKey($0[0], $0[1]) }
        }
    }

    /// Every object that is known to be damaged, the config and small ones first.
    package func knownDamage() throws(Failure) -> [KnownDamage] {
        try read { db in
            try Row.fetchAll(
                db,
                sql: """
                    SELECT kind, id, bad, reason, bad_level, gone, proven FROM object
                    WHERE bad IS NOT NULL ORDER BY kind, id
                    """
            ).compactMap { row in
                guard let key = ObjectKey.scrubKey(row[0], row[1]) else { return nil }
                return KnownDamage(
                    key: key, since: ScrubState.time(row[2]), reason: row[3] ?? "",
                    level: ScrubLevel(rawValue: row[4] ?? 1) ?? .present,
                    isGone: row[5] as Int != 0, wasGood: row[6] as Int != 0)
            }
        }
    }

    /// Notes that an object which is needed is not there.
    package func markMissing(
        _ key: ObjectKey, size: UInt64, reason: String, at now: Timestamp
    ) throws(Failure) {
        try write { db in
            try db.execute(
                sql: """
                    INSERT INTO object (kind, id, size, bad, bad_level, reason, gone)
                    VALUES (?, ?, ?, ?, 1, ?, 1)
                    ON CONFLICT (kind, id) DO UPDATE SET
                        bad = coalesce(bad, excluded.bad), reason = excluded.reason, gone = 1,
                        bad_level = coalesce(bad_level, 1), good = NULL, level = 0
                    """,
                arguments: [
                    key.kind.scrubNumber, key.scrubID, Int64(clamping: size),
                    ScrubState.milliseconds(now), reason,
                ])
        }
    }

    /// Notes that an object is there again, with `size` bytes.
    package func markReturned(_ key: ObjectKey, size: UInt64) throws(Failure) {
        try write { db in
            try db.execute(
                sql: "UPDATE object SET gone = 0, size = ? WHERE kind = ? AND id = ?",
                arguments: [Int64(clamping: size), key.kind.scrubNumber, key.scrubID])
        }
    }

    /// Forgets an object that is neither there nor needed any more.
    package func drop(_ key: ObjectKey) throws(Failure) {
        try write { db in
            try db.execute(
                sql: "DELETE FROM object WHERE kind = ? AND id = ?",
                arguments: [key.kind.scrubNumber, key.scrubID])
        }
    }

    /// Whether a check has seen the object here.
    package func knows(_ key: ObjectKey) throws(Failure) -> Bool {
        try read { db in
            try Int.fetchOne(
                db, sql: "SELECT 1 FROM object WHERE kind = ? AND id = ?",
                arguments: [key.kind.scrubNumber, key.scrubID]) != nil
        }
    }
}
