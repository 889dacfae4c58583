internal import FoundationEssentials
internal import GRDB
package import Platform

extension ScrubState {
    /// Fills the list of what a run reads: known damage, then what was never read, then what was
    /// not read for longest; small objects before packs.
    ///
    /// A good result counts when it has the level, is not older than the pass or the age asked for,
    /// and is not from the future, as it is when the clock was set back.
    ///
    /// - Returns: how many objects and bytes there are to read.
    package func select(
        _ selection: ScrubSelection, at time: Timestamp
    ) throws(Failure) -> (objects: Int, bytes: UInt64) {
        let now = ScrubState.milliseconds(time)
        return try write { db in
            let cutoff = try ScrubState.cutoff(db, selection, now)
            try db.execute(
                sql: """
                    CREATE TEMP TABLE IF NOT EXISTS work (
                        pos INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id BLOB NOT NULL,
                        size INTEGER NOT NULL, reason TEXT, sum BLOB);
                    DELETE FROM work
                    """)
            db.add(function: ScrubState.sampling(selection))
            try db.execute(
                sql: """
                    INSERT INTO temp.work (kind, id, size, reason, sum)
                    SELECT kind, id, size, CASE WHEN bad IS NULL THEN NULL ELSE reason END, sum
                    FROM object WHERE gone = 0 AND (bad IS NOT NULL OR (sampled(id) AND (
                        good IS NULL OR level < ?1 OR good < ?2 OR good > ?3)))
                    ORDER BY (bad IS NULL), (good IS NOT NULL), (kind = 4), good, kind, id
                    """, arguments: [selection.level.rawValue, cutoff, now])
            let row = try Row.fetchOne(
                db, sql: "SELECT count(*), coalesce(sum(size), 0) FROM temp.work")
            return (row?[0] ?? 0, UInt64(row?[1] as Int64? ?? 0))
        }
    }

    private static func sampling(_ selection: ScrubSelection) -> DatabaseFunction {
        DatabaseFunction("sampled", argumentCount: 1, pure: true) { values in
            guard let value = values.first, let id = Data.fromDatabaseValue(value),
                let digest = Digest(data: id)
            else { return true }
            return selection.isSampled(digest.prefix64)
        }
    }

    /// The oldest time of a result that still counts, in milliseconds.
    ///
    /// Without an age it is the beginning of the pass, which goes on over as many runs as it takes.
    private static func cutoff(
        _ db: Database, _ selection: ScrubSelection, _ now: Int64
    ) throws -> Int64 {
        if let maxAge = selection.maxAge { return now - maxAge * 1000 }
        // A random part is not a pass: everything in it is read.
        let newest =
            try Int64.fetchOne(
                db, sql: "SELECT max(good) FROM object WHERE good <= ?", arguments: [now]) ?? 0
        if selection.sample != nil { return max(now, newest + 1) }
        let key = "pass-\(selection.level.word)"
        let begun = try Int64.fetchOne(
            db, sql: "SELECT value FROM meta WHERE key = ?", arguments: [key])
        // A pass that begins in the future began before the clock was set back.
        if let begun, begun <= now { return begun }
        let start = max(now, newest + 1)
        try db.execute(
            sql: "INSERT OR REPLACE INTO meta VALUES (?, ?)", arguments: [key, start])
        return start
    }

    /// Ends the pass: the next run without an age begins a new one.
    package func endPass(_ level: ScrubLevel) throws(Failure) {
        try write { db in
            try db.execute(
                sql: "DELETE FROM meta WHERE key = ?", arguments: ["pass-\(level.word)"])
        }
    }

    /// Forgets all good results; damage stays known until it is read again.
    package func forget() throws(Failure) {
        try write { db in
            try db.execute(sql: "UPDATE object SET good = NULL, level = 0, sum = NULL")
            try db.execute(sql: "DELETE FROM meta WHERE key LIKE 'pass-%'")
        }
    }

    /// The next objects of the list that `select` filled, and the place in it after them.
    package func work(
        after position: Int, limit: Int
    ) throws(Failure) -> (objects: [ScrubObject], position: Int) {
        try read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT pos, kind, id, size, reason, sum FROM temp.work
                    WHERE pos > ? ORDER BY pos LIMIT ?
                    """, arguments: [position, limit])
            var last = position
            var objects: [ScrubObject] = []
            for row in rows {
                last = row[0]
                guard let key = ObjectKey.scrubKey(row[1], row[2]) else { continue }
                objects.append(
                    ScrubObject(
                        key: key, size: UInt64(row[3] as Int64), badReason: row[4],
                        sum: (row[5] as Data?).flatMap { Digest(data: $0) }))
            }
            return (objects, last)
        }
    }

    /// Keeps results, all in one transaction.
    ///
    /// A good result ends damage only when its level is that of the check that found it, or higher.
    package func record(_ results: [ScrubResult], at now: Timestamp) throws(Failure) {
        guard !results.isEmpty else { return }
        CrashPoint.reached("scrub-before-record")
        try write { db in
            let start =
                try Int64.fetchOne(
                    db, sql: "SELECT max(value) FROM meta WHERE key LIKE 'pass-%'") ?? 0
            let wall = ScrubState.milliseconds(now)
            // Not older than the pass that read it, when both fell into one millisecond.
            let time = start - wall < 1000 ? max(wall, start) : wall
            for result in results { try ScrubState.record(db, result, time) }
        }
        CrashPoint.reached("scrub-recorded")
    }

    private static func record(_ db: Database, _ result: ScrubResult, _ time: Int64) throws {
        let kind = result.key.kind.scrubNumber
        let id = result.key.scrubID
        switch result.verdict {
        case .good:
            try db.cachedStatement(
                sql: """
                    UPDATE object SET good = ?3, level = ?4, proven = 1, sum = coalesce(?5, sum),
                        bad = CASE WHEN bad_level <= ?4 THEN NULL ELSE bad END,
                        reason = CASE WHEN bad_level <= ?4 THEN NULL ELSE reason END,
                        bad_level = CASE WHEN bad_level <= ?4 THEN NULL ELSE bad_level END
                    WHERE kind = ?1 AND id = ?2
                    """
            ).execute(arguments: [kind, id, time, result.level.rawValue, result.sum?.data])
        case .bad(let reason):
            try db.cachedStatement(
                sql: """
                    UPDATE object SET good = NULL, level = 0, bad = coalesce(bad, ?3),
                        reason = ?4, bad_level = max(coalesce(bad_level, 0), ?5)
                    WHERE kind = ?1 AND id = ?2
                    """
            ).execute(arguments: [kind, id, time, reason, result.level.rawValue])
        case .gone:
            try db.cachedStatement(
                sql: "UPDATE object SET gone = 1 WHERE kind = ? AND id = ?"
            ).execute(arguments: [kind, id])
            try db.cachedStatement(
                sql: """
                    DELETE FROM object WHERE kind = ? AND id = ? AND bad IS NULL
                    AND kind NOT IN (\(keptKinds))
                    """
            ).execute(arguments: [kind, id])
        }
    }

    /// How much of the place was read at the level of `selection`.
    package func coverage(
        _ selection: ScrubSelection, at time: Timestamp
    ) throws(Failure) -> ScrubCoverage {
        let now = ScrubState.milliseconds(time)
        return try read { db in
            let begun = try Int64.fetchOne(
                db, sql: "SELECT value FROM meta WHERE key = ?",
                arguments: ["pass-\(selection.level.word)"])
            let cutoff = selection.maxAge.map { now - $0 * 1000 } ?? begun ?? 0
            let row = try Row.fetchOne(
                db,
                sql: """
                    SELECT count(*), coalesce(sum(size), 0),
                        coalesce(sum(ok), 0), coalesce(sum(CASE WHEN ok THEN size END), 0),
                        coalesce(sum(never), 0), min(CASE WHEN never THEN NULL ELSE good END),
                        coalesce(sum(bad IS NOT NULL), 0)
                    FROM (SELECT size, good, bad, gone,
                        (good IS NULL OR level < ?1 OR good > ?3) AS never,
                        (bad IS NOT NULL OR (good IS NOT NULL AND level >= ?1 AND good >= ?2
                            AND good <= ?3)) AS ok
                        FROM object WHERE gone = 0 OR bad IS NOT NULL)
                    """,
                arguments: [selection.level.rawValue, cutoff, max(now, begun ?? 0)])
            var coverage = ScrubCoverage()
            guard let row else { return coverage }
            coverage.objects = row[0]
            coverage.bytes = UInt64(row[1] as Int64)
            coverage.coveredObjects = row[2]
            coverage.coveredBytes = UInt64(row[3] as Int64)
            coverage.neverObjects = row[4]
            coverage.oldest = (row[5] as Int64?).map { ScrubState.time($0) }
            coverage.bad = row[6]
            return coverage
        }
    }
}
