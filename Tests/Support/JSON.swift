/// Any JSON value, for the documents and streams that the programs under test print.
package enum JSON: Sendable, Equatable, ExpressibleByStringLiteral {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    /// The document in `bytes`; throws at the first byte that is not JSON.
    package init(_ bytes: [UInt8]) throws {
        var parser = JSONParser(bytes)
        do {
            self = try parser.document()
        } catch {
            let text = String(decoding: bytes.prefix(400), as: UTF8.self)
            throw TestError("not JSON at byte \(parser.at): \(text)")
        }
    }

    package init(stringLiteral value: String) { self = .string(value) }

    /// The values of a stream with one document a line.
    package static func lines(_ bytes: [UInt8]) throws -> [JSON] {
        try bytes.split(separator: 0x0A).map { try JSON(Array($0)) }
    }

    /// The member `key` of an object; null where there is none.
    package subscript(key: String) -> JSON {
        if case .object(let members) = self { members[key] ?? .null } else { .null }
    }

    /// The element `index` of an array; null where there is none.
    package subscript(index: Int) -> JSON {
        let all = array
        return all.indices.contains(index) ? all[index] : .null
    }

    package var array: [JSON] { if case .array(let x) = self { x } else { [] } }
    package var object: [String: JSON] { if case .object(let x) = self { x } else { [:] } }
    package var string: String? { if case .string(let x) = self { x } else { nil } }
    package var integer: Int? { if case .integer(let x) = self { x } else { nil } }
    package var bool: Bool? { if case .bool(let x) = self { x } else { nil } }

    /// The same value without the members `keys`, at every depth.
    package func without(_ keys: Set<String>) -> JSON {
        switch self {
        case .array(let all): .array(all.map { $0.without(keys) })
        case .object(let members):
            .object(members.filter { !keys.contains($0.key) }.mapValues { $0.without(keys) })
        default: self
        }
    }
}

/// A parser of our own: Foundation's needs a try for each case of each value, which makes lists of
/// many thousand units slow to compare.
private struct JSONParser {
    private struct Wrong: Error {}
    private let bytes: [UInt8]
    private(set) var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws -> JSON {
        let value = try value(depth: 0)
        guard peek() == nil else { throw Wrong() }
        return value
    }

    /// The next byte that is no white space.
    private mutating func peek() -> UInt8? {
        while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
        return at < bytes.count ? bytes[at] : nil
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        at += 1
        return true
    }

    private mutating func value(depth: Int) throws -> JSON {
        guard depth < 100, let byte = peek() else { throw Wrong() }
        switch byte {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ text: StaticString, _ value: JSON) throws -> JSON {
        let expected = text.description.utf8
        guard bytes[at...].starts(with: expected) else { throw Wrong() }
        at += expected.count
        return value
    }

    private mutating func object(_ depth: Int) throws -> JSON {
        at += 1
        var members: [String: JSON] = [:]
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            guard peek() == UInt8(ascii: "\"") else { throw Wrong() }
            let key = try string()
            guard take(UInt8(ascii: ":")) else { throw Wrong() }
            // A member twice would be read by each reader in its own way.
            guard members.updateValue(try value(depth: depth + 1), forKey: key) == nil else {
                throw Wrong()
            }
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw Wrong() }
        return .object(members)
    }

    private mutating func array(_ depth: Int) throws -> JSON {
        at += 1
        var all: [JSON] = []
        if take(UInt8(ascii: "]")) { return .array(all) }
        repeat { all.append(try value(depth: depth + 1)) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw Wrong() }
        return .array(all)
    }

    private mutating func number() throws -> JSON {
        let start = at
        while at < bytes.count, "+-.0123456789eE".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if let integer = Int(text) { return .integer(integer) }
        guard let number = Double(text) else { throw Wrong() }
        return .number(number)
    }

    private mutating func string() throws -> String {
        at += 1
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else { throw Wrong() }
                return string
            case UInt8(ascii: "\\"): try escape(into: &text)
            case ..<0x20: throw Wrong()
            default: text.append(byte)
            }
        }
        throw Wrong()
    }

    private mutating func escape(into text: inout [UInt8]) throws {
        guard at < bytes.count else { throw Wrong() }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            var unit = try hex()
            if unit >> 10 == 0x36 {
                guard bytes[at...].starts(with: "\\u".utf8) else { throw Wrong() }
                at += 2
                let low = try hex()
                guard low >> 10 == 0x37 else { throw Wrong() }
                unit = 0x10000 + (unit & 0x3FF) << 10 + low & 0x3FF
            }
            guard let scalar = Unicode.Scalar(unit) else { throw Wrong() }
            text += Array(String(Character(scalar)).utf8)
        default: throw Wrong()
        }
    }

    private mutating func hex() throws -> UInt32 {
        guard at + 4 <= bytes.count else { throw Wrong() }
        let text = String(decoding: bytes[at..<(at + 4)], as: UTF8.self)
        guard let unit = UInt32(text, radix: 16) else { throw Wrong() }
        at += 4
        return unit
    }
}
