internal import FoundationEssentials
internal import GRDB
package import Platform

/// What a repair of the store asks the index, and tells it.
extension BlobIndex {
    /// The entries of several packs by their offsets, in one pass over the index.
    package func entries(ofPacks numbers: Set<Int>) throws(Failure) -> [Int: [PackEntry]] {
        try read { db in
            var result: [Int: [PackEntry]] = [:]
            let rows = try IndexStatement(
                db, "SELECT id, type, pack, offset, stored, plain FROM blob")
            while try rows.step() {
                let number = Int(rows.int(2))
                guard numbers.contains(number), let entry = BlobIndex.entry(rows) else {
                    continue
                }
                result[number, default: []].append(entry)
            }
            return result.mapValues { $0.sorted { $0.offset < $1.offset } }
        }
    }

    /// The index files that list a pack.
    package func files(listing pack: Digest) throws(Failure) -> [Digest] {
        try read { db in
            try Data.fetchAll(
                db,
                sql: """
                    SELECT index_file.id FROM listed_in
                    JOIN index_file ON index_file.pk = listed_in.file
                    WHERE listed_in.pack = (SELECT pk FROM pack WHERE id = ?)
                    """, arguments: [pack.data]
            ).compactMap { Digest(data: $0) }
        }
    }

    /// The packs that only `files` list, as far as those were read before they were damaged.
    package func packs(listedOnlyIn files: Set<Digest>) throws(Failure) -> [IndexedPack] {
        try read { db in
            var result: [IndexedPack] = []
            let rows = try Row.fetchCursor(
                db, sql: "SELECT pk, id, size, present FROM pack WHERE state = 2 ORDER BY pk")
            while let row = try rows.next() {
                let listing = try Data.fetchAll(
                    db,
                    sql: """
                        SELECT index_file.id FROM listed_in
                        JOIN index_file ON index_file.pk = listed_in.file
                        WHERE listed_in.pack = ?
                        """, arguments: [row[0] as Int64])
                guard listing.allSatisfy({ Digest(data: $0).map(files.contains) ?? true }),
                    let pack = BlobIndex.pack(row)
                else { continue }
                result.append(pack)
            }
            return result
        }
    }

    /// Whether no index file lists or marks a pack, and no writer of this host knows it.
    package func isUnlisted(_ pack: Digest) throws(Failure) -> Bool {
        try read { db in
            try Int.fetchOne(
                db,
                sql: """
                    SELECT 1 FROM pack WHERE id = ? AND (state >= 0
                        OR pk IN (SELECT pack FROM marked_in))
                    """, arguments: [pack.data]) == nil
        }
    }

    /// Takes a pack that is in the store as one to be listed by the next index file.
    ///
    /// What is known to be damaged in it stays known.
    package func adopt(_ id: Digest, entries: [PackEntry], session: String) throws(Failure) {
        let size = PackHeader.expectedSize(entries)
        try write(synced: true) { db in
            try db.execute(
                sql: """
                    INSERT INTO pack (id, size, state, session, entries) VALUES (?, ?, 1, ?, ?)
                    ON CONFLICT (id) DO UPDATE SET
                        size = excluded.size, state = 1, present = 1, session = excluded.session,
                        entries = excluded.entries
                    """,
                arguments: [
                    id.data, Int64(clamping: size), session,
                    Data(PackEntryCoding.encode(entries)),
                ])
            let pk = try Int64.fetchOne(
                db, sql: "SELECT pk FROM pack WHERE id = ?", arguments: [id.data])
            try BlobIndex.insert(db, pk: pk ?? 0, entries, keepingBad: true)
        }
        filter.add(entries)
    }
}
