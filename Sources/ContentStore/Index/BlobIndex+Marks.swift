internal import FoundationEssentials
internal import GRDB
package import Platform

/// A marked pack as the local index knows it: in no index file's `packs`, named by at least one
/// file's `packs_to_delete`.
package struct KnownMark: Sendable, Equatable {
    /// The pack's number in the local index.
    package var number: Int
    package var id: Digest
    /// All times at which it was marked, in nanoseconds since the epoch, ascending.
    package var times: [Int64]
    /// What this installation saw when it first saw just these marks.
    package var observation: MarkObservation?
}

/// Packs that index files mark for removal, and what this installation has seen of them.
extension BlobIndex {
    static let marksSchema = """
        ALTER TABLE pack ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE marked_in (
            pack INTEGER NOT NULL, file INTEGER NOT NULL, time INTEGER NOT NULL,
            PRIMARY KEY (pack, file)
        ) WITHOUT ROWID;
        CREATE INDEX marked_in_file ON marked_in (file);
        CREATE TABLE observed (
            pack INTEGER PRIMARY KEY, marks TEXT NOT NULL, time INTEGER NOT NULL,
            holders TEXT NOT NULL
        );
        CREATE TABLE removed (
            kind TEXT NOT NULL, id BLOB NOT NULL, PRIMARY KEY (kind, id)
        ) WITHOUT ROWID;
        """

    /// Takes in a mark.
    ///
    /// A pack that some index file lists stays usable: lists win over marks.
    static func add(_ db: Database, _ pack: MarkedPack, _ filePK: Int64) throws {
        let state = try Int.fetchOne(
            db, sql: "SELECT state FROM pack WHERE id = ?", arguments: [pack.id.data])
        let isListed = state == PackState.indexed.rawValue
        if !isListed {
            let size = pack.entries.isEmpty ? 0 : Int64(PackHeader.expectedSize(pack.entries))
            // A pack that a writer of this host has uploaded and nobody has listed yet is not to
            // be relied on any more: others have counted it out.
            try db.execute(
                sql: """
                    INSERT INTO pack (id, size, state) VALUES (?, ?, -1)
                    ON CONFLICT (id) DO UPDATE SET state = -1
                    """, arguments: [pack.id.data, size])
        }
        let pk =
            try Int64.fetchOne(
                db, sql: "SELECT pk FROM pack WHERE id = ?", arguments: [pack.id.data]) ?? 0
        if state == nil || state == PackState.journalled.rawValue {
            try insert(db, pk: pk, pack.entries)
        }
        if state == PackState.uploaded.rawValue { try bumpGeneration(db) }
        try db.execute(
            sql: "INSERT OR REPLACE INTO marked_in VALUES (?, ?, ?)",
            arguments: [pk, filePK, Int64(clamping: pack.time.nanosecondsSinceEpoch)])
    }

    /// The packs that are marked and in no index file's `packs`, in the order of their numbers.
    package func marks() throws(Failure) -> [KnownMark] {
        try read { db in
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT pack.pk, pack.id, marked_in.time, observed.marks, observed.time,
                        observed.holders
                    FROM marked_in JOIN pack ON pack.pk = marked_in.pack
                    LEFT JOIN observed ON observed.pack = pack.pk
                    WHERE pack.state = -1 ORDER BY pack.pk, marked_in.time
                    """)
            var result: [KnownMark] = []
            while let row = try rows.next() {
                guard let id = Digest(data: row[1]) else { continue }
                let number: Int = row[0]
                let time: Int64 = row[2]
                if let last = result.indices.last, result[last].number == number {
                    result[last].times.append(time)
                    continue
                }
                var mark = KnownMark(number: number, id: id, times: [time])
                if let marks: String = row[3] {
                    mark.observation = MarkObservation(
                        marks: marks, time: row[4], holders: LockHolder.decode(row[5]))
                }
                result.append(mark)
            }
            for i in result.indices
            where result[i].observation?.marks != MarkObservation.name(result[i].times) {
                result[i].observation = nil
            }
            return result
        }
    }

    /// Notes when `marks` were first seen from here, and who held a lock on the store after that.
    func observe(
        _ marks: [KnownMark], at time: Int64, holders: Set<LockHolder>
    ) throws(Failure) {
        guard !marks.isEmpty else { return }
        let text = LockHolder.encode(holders)
        try write { db in
            for mark in marks {
                try db.execute(
                    sql: "INSERT OR REPLACE INTO observed VALUES (?, ?, ?, ?)",
                    arguments: [
                        mark.number, MarkObservation.name(mark.times), time, text,
                    ])
            }
        }
    }

    /// Forgets what was observed of packs that are not marked any more.
    func forgetObservations() throws(Failure) {
        try write { db in
            try db.execute(
                sql: """
                    DELETE FROM observed WHERE pack NOT IN (
                        SELECT marked_in.pack FROM marked_in
                        JOIN pack ON pack.pk = marked_in.pack WHERE pack.state = -1)
                    """)
        }
    }

    /// The index files that list one of `packs`, or mark one of `marks`.
    func indexFiles(
        listing packs: [Int], marking marks: [Int]
    ) throws(Failure) -> [Digest] {
        try read { db in
            var files = Set<Digest>()
            for (table, numbers) in [("listed_in", packs), ("marked_in", marks)] {
                let statement = try db.cachedStatement(
                    sql: """
                        SELECT index_file.id FROM \(table)
                        JOIN index_file ON index_file.pk = \(table).file
                        WHERE \(table).pack = ?
                        """)
                for number in numbers {
                    for data in try Data.fetchAll(statement, arguments: [number]) {
                        if let id = Digest(data: data) { files.insert(id) }
                    }
                }
            }
            return files.sorted()
        }
    }

    /// The files whose `packs` name the pack `id`.
    func filesListing(_ id: Digest) throws(Failure) -> [Digest] {
        try read { db in
            try Data.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT index_file.id FROM pack JOIN listed_in ON listed_in.pack = pack.pk
                        JOIN index_file ON index_file.pk = listed_in.file WHERE pack.id = ?
                        """), arguments: [id.data]
            ).compactMap { Digest(data: $0) }
        }
    }

    /// Packs that have marks of before `time` which say nothing, because an index file lists them.
    func packsWithVoidMarks(before time: Int64) throws(Failure) -> [Int] {
        try read { db in
            try Int.fetchAll(
                db,
                sql: """
                    SELECT DISTINCT marked_in.pack FROM marked_in
                    JOIN pack ON pack.pk = marked_in.pack
                    WHERE pack.state = 2 AND marked_in.time < ?
                    """, arguments: [time])
        }
    }

    /// All packs that any index file marks.
    func packsWithMarks() throws(Failure) -> [Int] {
        try read { db in try Int.fetchAll(db, sql: "SELECT DISTINCT pack FROM marked_in") }
    }

    /// Forgets the blobs of packs that are in no index file, not marked, and gone.
    func forgetGonePacks() throws(Failure) {
        try write { db in
            try db.execute(
                sql: """
                    CREATE TEMP TABLE IF NOT EXISTS gone (pk INTEGER PRIMARY KEY);
                    DELETE FROM gone;
                    INSERT INTO gone SELECT pk FROM pack WHERE state = -1
                    AND pk NOT IN (SELECT pack FROM marked_in)
                    AND id NOT IN (SELECT id FROM listing)
                    """)
            let count = try Int.fetchOne(db, sql: "SELECT count(*) FROM gone") ?? 0
            guard count > 0 else { return }
            try db.execute(
                sql: """
                    DELETE FROM blob WHERE pack IN (SELECT pk FROM gone);
                    DELETE FROM observed WHERE pack IN (SELECT pk FROM gone);
                    DELETE FROM pack WHERE pk IN (SELECT pk FROM gone)
                    """)
        }
    }

    /// Notes that packs of the last listing by this process were removed since.
    func unlist(_ packs: [Digest]) throws(Failure) {
        guard !packs.isEmpty else { return }
        try write { db in
            let statement = try db.cachedStatement(sql: "DELETE FROM listing WHERE id = ?")
            for pack in packs { try statement.execute(arguments: [pack.data]) }
        }
    }

    /// The size of a pack in the last listing by this process; nil when that had none.
    func listedSize(_ id: Digest) throws(Failure) -> UInt64? {
        do {
            return try writer.writeWithoutTransaction { db in
                try Int64.fetchOne(
                    db.cachedStatement(sql: "SELECT size FROM listing WHERE id = ?"),
                    arguments: [id.data]
                ).map { UInt64($0) }
            }
        } catch {
            throw BlobIndex.failure(error, path)
        }
    }
}

/// What a collection of garbage asks the index.
extension BlobIndex {
    /// Packs that were in an index file once, or are marked in one, and are in none now.
    func unlistedPacks() throws(Failure) -> Set<Int> {
        try read { db in Set(try Int.fetchAll(db, sql: "SELECT pk FROM pack WHERE state = -1")) }
    }

    /// The id of a pack in any state.
    func id(ofPack number: Int) throws(Failure) -> Digest? {
        try read { db in
            try Data.fetchOne(
                db.cachedStatement(sql: "SELECT id FROM pack WHERE pk = ?"), arguments: [number]
            ).flatMap { Digest(data: $0) }
        }
    }

    /// The packs with these numbers, in this order; those that are gone are left out.
    func packs(numbered numbers: [Int]) throws(Failure) -> [IndexedPack] {
        try read { db in
            let statement = try db.cachedStatement(
                sql: "SELECT id, size, present FROM pack WHERE pk = ?")
            return try numbers.compactMap { number in
                guard let row = try Row.fetchOne(statement, arguments: [number]),
                    let id = Digest(data: row[0])
                else { return nil }
                return IndexedPack(
                    number: number, id: id, size: UInt64(clamping: row[1] as Int64),
                    present: row[2] as Int == 1)
            }
        }
    }

    /// Makes a set of all blobs that are known.
    func liveSet(tick: () throws -> Void) throws -> LiveSet {
        try read { db in
            // A pass of its own, which costs less than memory that grows by doubling.
            let all = try Int.fetchOne(db, sql: "SELECT count(*) FROM blob") ?? 0
            var builder = LiveSet.Builder(count: all)
            let rows = try IndexStatement(db, "SELECT id FROM blob")
            var count = 0
            while try rows.step() {
                count += 1
                if count & 0xFFFF == 0 { try tick() }
                guard let id = rows.digest(0) else {
                    throw Failure(.store, "an entry of it cannot be read")
                }
                try builder.add(id)
            }
            return builder.finish()
        }
    }

    /// The packs of the last listing by this process that no index file lists or marks and no
    /// writer of this host knows, with their sizes.
    func orphans() throws(Failure) -> [(id: Digest, size: UInt64)] {
        do {
            return try writer.writeWithoutTransaction { db in
                try Row.fetchAll(
                    db,
                    sql: """
                        SELECT id, size FROM listing WHERE NOT EXISTS (
                            SELECT 1 FROM pack WHERE pack.id = listing.id AND (state >= 0
                                OR pk IN (SELECT pack FROM marked_in)))
                        ORDER BY id
                        """
                ).compactMap { row in
                    Digest(data: row[0]).map { ($0, UInt64(clamping: row[1] as Int64)) }
                }
            }
        } catch {
            throw BlobIndex.failure(error, path)
        }
    }
}
