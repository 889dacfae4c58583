internal import FoundationEssentials
internal import GRDB
package import Platform

extension ModuleState {
    /// How many notes a journal holds at most.
    package static let noteLimit = 4096
    /// The longest value of a note in bytes.
    package static let noteSizeLimit = 1 << 20

    /// The dehydrated state to compare with; nil before the first one.
    package func baseline() throws(Failure) -> Baseline? {
        try read { db in
            let meta = try MetaRow(db)
            guard let row = meta.baseline else { return nil }
            let list = try ListRow.all(db, meta).first { $0.id == row.list && !$0.dropped }
            guard let list else {
                throw DamagedRow(description: "the list of the baseline is missing")
            }
            return Baseline(
                key: list.info.key, snapshot: row.snapshot, rootTree: row.rootTree,
                storeID: row.store, storeGeneration: row.generation, time: row.time)
        }
    }

    /// The value of a note of the journal; nil when there is none.
    package func note(_ name: String) throws(Failure) -> [UInt8]? {
        try read { db in try self.notes(db, MetaRow(db)).first { $0.name == name }?.value }
    }

    /// The names of all notes, in the order in which they were first written.
    package func noteNames() throws(Failure) -> [String] {
        try read { db in try self.notes(db, MetaRow(db)).map(\.name) }
    }

    /// Changes notes of the journal in one transaction.
    package func change(_ notes: [NoteChange]) throws(Failure) {
        try write { db in
            var meta = try MetaRow(db)
            let before = meta
            for note in notes { try self.change(db, &meta, note) }
            if meta != before { try meta.save(db) }
        }
    }

    /// Applies one change inside a transaction.
    func change(_ db: Database, _ meta: inout MetaRow, _ change: NoteChange) throws {
        let old = try notes(db, meta).first { $0.name == change.name }
        guard let value = change.value else {
            guard let old else { return }
            try db.cachedStatement(sql: "DELETE FROM note WHERE id = ?").execute(arguments: [old.id]
            )
            meta.notes -= 1
            return
        }
        guard value.count <= ModuleState.noteSizeLimit,
            old != nil || meta.notes < ModuleState.noteLimit
        else {
            throw Failure(
                .bug, "note \(change.name) of module \(module) cannot be kept",
                cause: "\(value.count) bytes, \(meta.notes) notes")
        }
        let id: Int64
        if let old {
            id = old.id
        } else {
            // Above every id in use: the order of ids is the order of writing.
            let sql = "SELECT ifnull(max(id), 0) + 1 FROM note"
            guard let row = try Row.fetchOne(db.cachedStatement(sql: sql)) else {
                throw DamagedRow(description: "the notes cannot be counted")
            }
            var columns = Columns(row)
            id = try columns.int()
            meta.notes += 1
        }
        try db.cachedStatement(sql: "REPLACE INTO note (id, name, value, sum) VALUES (?, ?, ?, ?)")
            .execute(arguments: [
                id, change.name, Data(value), noteSum(id, change.name, value),
            ])
    }

    /// All notes: they are few, and reading all of them shows whether one is missing.
    private func notes(
        _ db: Database, _ meta: MetaRow
    ) throws -> [(id: Int64, name: String, value: [UInt8])] {
        let sql = "SELECT id, name, value, sum FROM note ORDER BY id"
        let cursor = try Row.fetchCursor(db.cachedStatement(sql: sql))
        var notes: [(id: Int64, name: String, value: [UInt8])] = []
        while let row = try cursor.next() {
            var columns = Columns(row)
            let note = (id: try columns.int(), name: try columns.text(), value: try columns.blob())
            guard try columns.int() == noteSum(note.id, note.name, note.value) else {
                throw DamagedRow(description: "a note has a wrong checksum")
            }
            notes.append(note)
        }
        guard notes.count == meta.notes else {
            throw DamagedRow(description: "\(notes.count) notes are there, not \(meta.notes)")
        }
        return notes
    }
}

private func noteSum(_ id: Int64, _ name: String, _ value: [UInt8]) -> Int64 {
    var sum = RowSum()
    sum.add(id)
    sum.add(name)
    sum.add(value)
    return sum.value
}
