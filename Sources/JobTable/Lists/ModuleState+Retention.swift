internal import GRDB
package import Platform

extension ModuleState {
    /// How many chunks one transaction removes: bounds the journal file, not the work.
    private static let removalBatch = 256

    /// Removes a list; nothing happens when it does not exist.
    ///
    /// It is gone for every reader at once, its chunks follow in batches; a removal that was
    /// interrupted is finished by the next one. Throws `bug` for the baseline's list.
    package func dropList(_ key: ListKey) throws(Failure) {
        try write { db in
            let meta = try MetaRow(db)
            guard let row = try self.find(db, meta, key) else { return }
            guard meta.baseline?.list != row.id else {
                throw Failure(
                    .bug, "list \(key) of module \(self.module) cannot be dropped",
                    cause: "it is the baseline's")
            }
            try self.mark(db, row)
        }
        try removeDropped()
    }

    /// Removes the lists of all but the newest `count` runs that have lists here; gives the runs
    /// that went.
    ///
    /// Kept whatever their age: the baseline's list, `protected` ones, and every list of a run that
    /// has an unfinished one.
    package func keepRuns(
        _ count: Int, except protected: Set<ListKey> = []
    ) throws(Failure) -> [String] {
        let gone = try write { db -> [String] in
            let meta = try MetaRow(db)
            let rows = try ListRow.all(db, meta).filter { !$0.dropped }
            // Ids grow, so the last list of a run tells its age.
            var newest: [String: Int64] = [:]
            for row in rows { newest[row.info.key.run] = row.id }
            var kept = Set(newest.sorted { $0.value > $1.value }.prefix(max(count, 0)).map(\.key))
            for row in rows where !row.info.finished { kept.insert(row.info.key.run) }
            var gone: [String] = []
            for row in rows where !kept.contains(row.info.key.run) {
                if row.id == meta.baseline?.list || protected.contains(row.info.key) { continue }
                try self.mark(db, row)
                if gone.last != row.info.key.run { gone.append(row.info.key.run) }
            }
            return gone
        }
        try removeDropped()
        return gone
    }

    private func mark(_ db: Database, _ row: ListRow) throws {
        var row = row
        row.dropped = true
        try row.save(db)
    }

    /// Removes chunks of dropped lists, a batch a transaction, then the lists.
    private func removeDropped() throws(Failure) {
        var more = true
        while more { more = try write { try self.removeBatch($0) } }
    }

    /// Removes one batch; says whether there is more.
    private func removeBatch(_ db: Database) throws -> Bool {
        var meta = try MetaRow(db)
        guard var row = try ListRow.all(db, meta).first(where: \.dropped) else { return false }
        let from = max(0, row.info.chunks - ModuleState.removalBatch)
        let sql = "DELETE FROM chunk WHERE id >= ? AND id < ?"
        try db.cachedStatement(sql: sql).execute(arguments: [
            ChunkRow.id(list: row.id, number: from),
            ChunkRow.id(list: row.id, number: row.info.chunks),
        ])
        row.info.chunks = from
        if from > 0 {
            try row.save(db)
        } else {
            try db.cachedStatement(sql: "DELETE FROM list WHERE id = ?").execute(arguments: [row.id]
            )
            meta.lists -= 1
            try meta.save(db)
        }
        CrashPoint.reached("list-removal-written")
        return true
    }
}
