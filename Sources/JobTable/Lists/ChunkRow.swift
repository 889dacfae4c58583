internal import FoundationEssentials
internal import GRDB
internal import Platform

/// A row of `chunk`.
struct ChunkRow {
    /// The number of chunks a list can have.
    static let limit = 1 << 31

    /// The row's key.
    static func id(list: Int64, number: Int) -> Int64 { list << 32 | Int64(number) }

    /// Writes a chunk.
    static func insert(_ db: Database, list: Int64, _ chunk: CompressedChunk) throws {
        let id = id(list: list, number: chunk.number)
        let dataSum = Int64(bitPattern: chunk.dataSum)
        let sql = """
            INSERT INTO chunk (id, first_seq, count, last_key, raw_size, data_sum, sum, data)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """
        try db.cachedStatement(sql: sql).execute(arguments: [
            id, chunk.firstSeq, chunk.count, Data(chunk.lastKey), chunk.rawSize, dataSum,
            sum(
                id: id, firstSeq: Int64(chunk.firstSeq), count: Int64(chunk.count),
                lastKey: chunk.lastKey, rawSize: Int64(chunk.rawSize), dataSum: dataSum),
            Data(chunk.data),
        ])
    }

    /// Reads a chunk that must be there, as it is stored.
    static func fetch(_ db: Database, list: Int64, number: Int) throws -> CompressedChunk {
        let id = id(list: list, number: number)
        let sql = """
            SELECT first_seq, count, last_key, raw_size, data_sum, sum, data FROM chunk WHERE id = ?
            """
        guard let row = try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [id]) else {
            throw DamagedRow(description: "chunk \(number) of list \(list) is missing")
        }
        var columns = Columns(row)
        let header = try Header(&columns, id: id)
        let data = try columns.blob()
        guard Int64(bitPattern: xxHash64(data.span)) == header.dataSum else {
            throw DamagedRow(description: "chunk \(number) of list \(list) has a wrong checksum")
        }
        return CompressedChunk(
            number: number, firstSeq: Int(header.firstSeq), count: Int(header.count),
            lastKey: header.lastKey, data: data, rawSize: Int(header.rawSize),
            dataSum: UInt64(bitPattern: header.dataSum))
    }

    /// The last sort key of a chunk that must be there.
    static func lastKey(_ db: Database, list: Int64, number: Int) throws -> [UInt8] {
        let id = id(list: list, number: number)
        let sql =
            "SELECT first_seq, count, last_key, raw_size, data_sum, sum FROM chunk WHERE id = ?"
        guard let row = try Row.fetchOne(db.cachedStatement(sql: sql), arguments: [id]) else {
            throw DamagedRow(description: "chunk \(number) of list \(list) is missing")
        }
        var columns = Columns(row)
        return try Header(&columns, id: id).lastKey
    }

    /// The columns before the data, checked against their sum.
    private struct Header {
        var firstSeq: Int64
        var count: Int64
        var lastKey: [UInt8]
        var rawSize: Int64
        var dataSum: Int64

        init(_ columns: inout Columns, id: Int64) throws {
            firstSeq = try columns.int()
            count = try columns.int()
            lastKey = try columns.blob()
            rawSize = try columns.int()
            dataSum = try columns.int()
            let expected = sum(
                id: id, firstSeq: firstSeq, count: count, lastKey: lastKey, rawSize: rawSize,
                dataSum: dataSum)
            guard try columns.int() == expected else {
                throw DamagedRow(description: "a row of chunk has a wrong checksum")
            }
        }
    }

    private static func sum(
        id: Int64, firstSeq: Int64, count: Int64, lastKey: [UInt8], rawSize: Int64, dataSum: Int64
    ) -> Int64 {
        var sum = RowSum()
        sum.add(id)
        sum.add(firstSeq)
        sum.add(count)
        sum.add(lastKey)
        sum.add(rawSize)
        sum.add(dataSum)
        return sum.value
    }
}
