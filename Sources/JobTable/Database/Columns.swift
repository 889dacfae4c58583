internal import FoundationEssentials
internal import GRDB
internal import Platform

/// A row whose content is not what was written.
struct DamagedRow: Error, CustomStringConvertible {
    var description: String
}

/// Reads columns without ever trapping: damaged data gives a `DamagedRow`.
///
/// GRDB's typed subscripts stop the process when a value has another type, which a flipped bit in
/// the file can bring about.
struct Columns {
    private let row: Row
    private var index = -1

    init(_ row: Row) { self.row = row }

    private mutating func next() throws(DamagedRow) -> DatabaseValue {
        index += 1
        guard index < row.count else { throw DamagedRow(description: "a column is missing") }
        return row[index]
    }

    mutating func skip() throws(DamagedRow) { _ = try next() }

    mutating func optionalInt() throws(DamagedRow) -> Int64? {
        switch try next().storage {
        case .null: return nil
        case .int64(let value): return value
        default: throw DamagedRow(description: "column \(index) is no integer")
        }
    }

    mutating func int() throws(DamagedRow) -> Int64 {
        guard let value = try optionalInt() else {
            throw DamagedRow(description: "column \(index) is empty")
        }
        return value
    }

    mutating func optionalText() throws(DamagedRow) -> String? {
        switch try next().storage {
        case .null: return nil
        case .string(let value): return value
        default: throw DamagedRow(description: "column \(index) is no text")
        }
    }

    mutating func text() throws(DamagedRow) -> String {
        guard let value = try optionalText() else {
            throw DamagedRow(description: "column \(index) is empty")
        }
        return value
    }

    mutating func optionalBlob() throws(DamagedRow) -> [UInt8]? {
        switch try next().storage {
        case .null: return nil
        case .blob(let value): return [UInt8](value)
        default: throw DamagedRow(description: "column \(index) is no blob")
        }
    }

    mutating func blob() throws(DamagedRow) -> [UInt8] {
        guard let value = try optionalBlob() else {
            throw DamagedRow(description: "column \(index) is empty")
        }
        return value
    }

    mutating func optionalTime() throws(DamagedRow) -> Timestamp? {
        try optionalInt().map { Timestamp(nanosecondsSinceEpoch: Int128($0)) }
    }

    mutating func time() throws(DamagedRow) -> Timestamp {
        Timestamp(nanosecondsSinceEpoch: Int128(try int()))
    }
}

extension Timestamp {
    /// Nanoseconds since the epoch as SQLite keeps them; the table's own times end in 2262.
    var databaseValue: Int64 { Int64(clamping: nanosecondsSinceEpoch) }
}

/// The checksum of a row: XXH64 over its columns, each with its kind and length before it.
struct RowSum {
    private var bytes: [UInt8] = []

    mutating func add(_ value: Int64?) {
        guard let value else { return bytes.append(0) }
        bytes.append(1)
        append(UInt64(bitPattern: value))
    }

    mutating func add(_ value: [UInt8]?) {
        guard let value else { return bytes.append(0) }
        bytes.append(2)
        append(UInt64(value.count))
        bytes += value
    }

    mutating func add(_ value: String) { add(Array(value.utf8)) }

    private mutating func append(_ word: UInt64) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: word >> shift))
        }
    }

    /// The sum as SQLite keeps it.
    var value: Int64 { Int64(bitPattern: xxHash64(bytes.span)) }
}
