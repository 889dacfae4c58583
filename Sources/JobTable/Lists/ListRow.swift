internal import FoundationEssentials
internal import GRDB

/// A row of `list`.
struct ListRow {
    var id: Int64
    var info: ListInfo
    /// Whether only its chunks wait for removal.
    var dropped = false

    /// All rows, checked against their sums and their number.
    static func all(_ db: Database, _ meta: MetaRow) throws -> [ListRow] {
        let sql = """
            SELECT id, run, stage, definition, finished, dropped, chunks, units, last_key,
            input_chunks, last_path, note, stats, sum FROM list ORDER BY id
            """
        var rows: [ListRow] = []
        let cursor = try Row.fetchCursor(db.cachedStatement(sql: sql))
        while let row = try cursor.next() {
            rows.append(try ListRow(row))
        }
        guard rows.count == meta.lists else {
            throw DamagedRow(description: "\(rows.count) lists are there, not \(meta.lists)")
        }
        return rows
    }

    init(id: Int64, info: ListInfo) {
        self.id = id
        self.info = info
    }

    private init(_ row: Row) throws {
        var columns = Columns(row)
        id = try columns.int()
        info = ListInfo(
            key: ListKey(run: try columns.text(), stage: try columns.text()), finished: false,
            chunks: 0, units: 0, checkpoint: Checkpoint(), stats: nil, lastKey: [],
            definition: try columns.blob())
        info.finished = try columns.int() != 0
        dropped = try columns.int() != 0
        info.chunks = Int(try columns.int())
        info.units = Int(try columns.int())
        info.lastKey = try columns.blob()
        info.checkpoint.inputChunks = Int(try columns.int())
        info.checkpoint.lastPath = try columns.optionalBlob()
        info.checkpoint.note = try columns.optionalBlob()
        info.stats = try columns.optionalBlob()
        guard try columns.int() == sum else {
            throw DamagedRow(description: "a row of list has a wrong checksum")
        }
    }

    /// Writes the row.
    func save(_ db: Database) throws {
        let sql = """
            REPLACE INTO list (id, run, stage, definition, finished, dropped, chunks, units,
            last_key, input_chunks, last_path, note, stats, sum)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        try db.cachedStatement(sql: sql).execute(arguments: [
            id, info.key.run, info.key.stage, Data(info.definition), info.finished, dropped,
            info.chunks, info.units, Data(info.lastKey), info.checkpoint.inputChunks,
            info.checkpoint.lastPath.map { Data($0) }, info.checkpoint.note.map { Data($0) },
            info.stats.map { Data($0) }, sum,
        ])
    }

    private var sum: Int64 {
        var sum = RowSum()
        sum.add(id)
        sum.add(info.key.run)
        sum.add(info.key.stage)
        sum.add(info.definition)
        sum.add(info.finished ? 1 : 0)
        sum.add(dropped ? 1 : 0)
        sum.add(Int64(info.chunks))
        sum.add(Int64(info.units))
        sum.add(info.lastKey)
        sum.add(Int64(info.checkpoint.inputChunks))
        sum.add(info.checkpoint.lastPath)
        sum.add(info.checkpoint.note)
        sum.add(info.stats)
        return sum.value
    }
}
