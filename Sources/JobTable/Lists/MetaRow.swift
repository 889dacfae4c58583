internal import FoundationEssentials
internal import GRDB
internal import Platform

/// The one row of `meta`: whose file it is, how many rows there are, and the baseline.
struct MetaRow: Equatable {
    struct BaselineRow: Equatable {
        var list: Int64
        var snapshot: Digest
        var rootTree: Digest
        var store: String
        var generation: Int64
        var time: Timestamp
    }

    var module: String
    var nextList: Int64 = 1
    var lists: Int64 = 0
    var notes: Int64 = 0
    var baseline: BaselineRow?

    init(module: String) { self.module = module }

    /// Reads the row; throws `DamagedRow` when it is missing or its sum is wrong.
    init(_ db: Database) throws {
        let sql = """
            SELECT module, next_list, lists, notes, baseline_list, snapshot, root_tree, store,
            store_generation, baseline_time, sum FROM meta WHERE id = 1
            """
        guard let row = try Row.fetchOne(db.cachedStatement(sql: sql)) else {
            throw DamagedRow(description: "its row of meta is missing")
        }
        var columns = Columns(row)
        module = try columns.text()
        nextList = try columns.int()
        lists = try columns.int()
        notes = try columns.int()
        if let list = try columns.optionalInt() {
            baseline = BaselineRow(
                list: list, snapshot: try MetaRow.digest(&columns),
                rootTree: try MetaRow.digest(&columns), store: try columns.text(),
                generation: try columns.int(), time: try columns.time())
        } else {
            for _ in 0..<5 { try columns.skip() }
        }
        guard try columns.int() == sum else {
            throw DamagedRow(description: "its row of meta has a wrong checksum")
        }
    }

    private static func digest(_ columns: inout Columns) throws(DamagedRow) -> Digest {
        let bytes = try columns.blob()
        guard let digest = Digest(bytes.span) else {
            throw DamagedRow(description: "a digest has \(bytes.count) bytes")
        }
        return digest
    }

    /// Writes the row.
    func save(_ db: Database) throws {
        let sql = """
            REPLACE INTO meta (id, module, next_list, lists, notes, baseline_list, snapshot,
            root_tree, store, store_generation, baseline_time, sum)
            VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """
        try db.cachedStatement(sql: sql).execute(arguments: [
            module, nextList, lists, notes, baseline?.list,
            baseline.map { Data($0.snapshot.bytes) },
            baseline.map { Data($0.rootTree.bytes) }, baseline?.store, baseline?.generation,
            baseline?.time.databaseValue, sum,
        ])
    }

    private var sum: Int64 {
        var sum = RowSum()
        sum.add(module)
        sum.add(nextList)
        sum.add(lists)
        sum.add(notes)
        if let baseline {
            sum.add(baseline.list)
            sum.add(baseline.snapshot.bytes)
            sum.add(baseline.rootTree.bytes)
            sum.add(baseline.store)
            sum.add(baseline.generation)
            sum.add(baseline.time.databaseValue)
        }
        return sum.value
    }
}
