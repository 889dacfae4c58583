internal import Platform
internal import FoundationEssentials
internal import GRDB

/// The journal of packs on their way into the store.
///
/// `journalled` → upload → `uploaded` → index file → `indexed`. A process may die between any two:
/// the next session asks the store's listing what became of a journalled pack, and puts uploaded
/// ones into its own index file. Nothing that was uploaded is uploaded again.
extension BlobIndex {
    /// Notes that `session` is about to upload a pack.
    ///
    /// On disk when this returns: a module's list may survive a power cut that takes the last
    /// entries of this journal, and then relies on packs that nobody knows any more. Of what comes
    /// later the store's listing tells as much.
    func journal(
        _ id: Digest, size: Int, entries: [PackEntry], session: String, seen: Int64
    ) throws(Failure) {
        try write(synced: true) { db in
            try db.execute(
                sql: """
                    INSERT INTO pack (id, size, state, session, entries, seen)
                    VALUES (?, ?, 0, ?, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET
                        size = excluded.size, state = max(state, 0), session = excluded.session,
                        entries = excluded.entries
                    """,
                arguments: [
                    id.data, size, session, Data(PackEntryCoding.encode(entries)), seen,
                ])
        }
    }

    /// Notes that a journalled pack is durable: its blobs count from now on.
    func markUploaded(_ id: Digest, entries: [PackEntry]) throws(Failure) {
        try write { db in
            guard
                let pk = try Int64.fetchOne(
                    db, sql: "SELECT pk FROM pack WHERE id = ?", arguments: [id.data])
            else { throw Failure(.bug, "pack \(id.short) was uploaded without a journal entry") }
            try db.execute(
                sql: "UPDATE pack SET state = 1, present = 1 WHERE pk = ? AND state <= 0",
                arguments: [pk])
            try BlobIndex.insert(db, pk: pk, entries)
        }
        filter.add(entries)
    }

    /// The blobs of a pack, in the order of their ids, which is the order of the table.
    static func insert(
        _ db: Database, pk: Int64, _ entries: [PackEntry], keepingBad: Bool = false
    ) throws {
        let statement = try IndexStatement(
            db,
            """
            INSERT INTO blob (id, type, pack, offset, stored, plain, bad)
            VALUES (?, ?, ?, ?, ?, ?, 0)
            ON CONFLICT (id, type, pack) DO UPDATE SET
                offset = excluded.offset, stored = excluded.stored, plain = excluded.plain,
                bad = \(keepingBad ? "bad" : "0")
            """)
        for entry in entries.sorted(by: { $0.id < $1.id }) {
            try statement.bind(1, entry.id)
            try statement.bind(2, Int64(entry.type.rawValue))
            try statement.bind(3, pk)
            try statement.bind(4, Int64(entry.offset))
            try statement.bind(5, Int64(entry.storedLength))
            try statement.bind(6, entry.plainLength.map { Int64($0) })
            try statement.run()
        }
    }

    /// Calls `each` for the packs to put into the next index file: every one that is durable and
    /// in none, whoever uploaded it; returns their ids.
    ///
    /// A snapshot may rely on another writer's pack, and that writer may die before its own index
    /// file is written. At most `limit` blobs (one pack at least), oldest first.
    func unindexedPacks(
        limit: Int, _ each: (_ id: Digest, _ entries: [PackEntry]) -> Void
    ) throws(Failure) -> [Digest] {
        try read { db in
            let rows = try Row.fetchCursor(
                db, sql: "SELECT id, entries FROM pack WHERE state = 1 AND present = 1 ORDER BY pk")
            var ids: [Digest] = []
            var blobs = 0
            while let row = try rows.next() {
                guard let id = Digest(data: row[0]) else { continue }
                let entries = try PackEntryCoding.decode([UInt8](row[1] as Data))
                if blobs + entries.count > limit && blobs > 0 { break }
                blobs += entries.count
                ids.append(id)
                each(id, entries)
            }
            return ids
        }
    }

    /// Notes that the index file `file` lists `packs`.
    func markIndexed(_ packs: [Digest], in file: Digest) throws(Failure) {
        try write { db in
            let filePK = try BlobIndex.indexFilePK(db, file)
            for id in packs {
                try BlobIndex.markIndexed(db, id, filePK)
            }
        }
    }

    static func indexFilePK(_ db: Database, _ file: Digest) throws -> Int64 {
        try db.execute(
            sql: "INSERT OR IGNORE INTO index_file (id) VALUES (?)", arguments: [file.data])
        return try Int64.fetchOne(
            db, sql: "SELECT pk FROM index_file WHERE id = ?", arguments: [file.data]) ?? 0
    }

    static func markIndexed(_ db: Database, _ pack: Digest, _ filePK: Int64) throws {
        try db.execute(
            sql: "UPDATE pack SET state = 2, session = NULL, entries = NULL WHERE id = ?",
            arguments: [pack.data])
        try db.execute(
            sql: """
                INSERT OR IGNORE INTO listed_in (pack, file)
                SELECT pk, ? FROM pack WHERE id = ?
                """, arguments: [filePK, pack.data])
    }

    /// Journalled packs of dead sessions, whose upload may or may not have happened.
    func abandonedPacks(session: String) throws(Failure) -> [(id: Digest, size: UInt64)] {
        try read { db in
            try Row.fetchAll(db, sql: "SELECT id, size, session FROM pack WHERE state = 0")
                .compactMap { row in
                    let owner: String = row[2] ?? ""
                    guard owner != session, !BlobIndex.isLive(owner),
                        let id = Digest(data: row[0])
                    else { return nil }
                    return (id, UInt64(row[1] as Int64))
                }
        }
    }

    /// The journalled entries of a pack.
    func journalledEntries(_ id: Digest) throws(Failure) -> [PackEntry] {
        try read { db in
            let data = try Data.fetchOne(
                db, sql: "SELECT entries FROM pack WHERE id = ?", arguments: [id.data])
            return try PackEntryCoding.decode([UInt8](data ?? Data()))
        }
    }

    /// Forgets a journalled pack that never reached the store.
    func dropJournalled(_ id: Digest) throws(Failure) {
        try write { db in
            try db.execute(
                sql: "DELETE FROM pack WHERE id = ? AND state = 0", arguments: [id.data])
        }
    }

    /// Whether the process behind a session name may still be alive.
    static func isLive(_ session: String) -> Bool {
        guard let separator = session.lastIndex(of: "#"),
            let identity = ProcessIdentity(String(session[..<separator]))
        else { return false }
        return identity.isAlive ?? true
    }
}

/// The journal's own form of a pack's entries: fixed 49-byte records.
enum PackEntryCoding {
    static let recordSize = 1 + 32 + 8 + 4 + 4

    static func encode(_ entries: [PackEntry]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.count * recordSize)
        for entry in entries {
            bytes.append(UInt8(entry.type.rawValue) | (entry.plainLength == nil ? 0 : 2))
            entry.id.append(to: &bytes)
            append(entry.offset, 8, &bytes)
            append(UInt64(entry.storedLength), 4, &bytes)
            append(UInt64(entry.plainLength ?? 0), 4, &bytes)
        }
        return bytes
    }

    static func decode(_ bytes: [UInt8]) throws(Failure) -> [PackEntry] {
        guard bytes.count.isMultiple(of: recordSize) else {
            throw Failure(.store, "a pack journal entry has an odd length (\(bytes.count) bytes)")
        }
        var entries: [PackEntry] = []
        entries.reserveCapacity(bytes.count / recordSize)
        let span = bytes.span
        for start in stride(from: 0, to: bytes.count, by: recordSize) {
            guard let type = BlobType(rawValue: span[start] & 1),
                let id = Digest(span.extracting((start + 1)..<(start + 33)))
            else { throw Failure(.store, "a pack journal entry cannot be read") }
            let plain = UInt32(value(span, start + 45, 4))
            entries.append(
                PackEntry(
                    type: type, id: id, offset: value(span, start + 33, 8),
                    storedLength: UInt32(value(span, start + 41, 4)),
                    plainLength: span[start] & 2 == 0 ? nil : plain))
        }
        return entries
    }

    private static func append(_ value: UInt64, _ count: Int, _ bytes: inout [UInt8]) {
        for i in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * i))) }
    }

    private static func value(_ bytes: Span<UInt8>, _ at: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for i in (0..<count).reversed() { value = value << 8 | UInt64(bytes[at + i]) }
        return value
    }
}
