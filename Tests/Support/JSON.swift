internal import Foundation

/// Any JSON value, for the documents and streams that the programs under test print.
package enum JSON: Sendable, Equatable, Decodable, ExpressibleByStringLiteral {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    package init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let x = try? value.decode(String.self) {
            self = .string(x)
        } else if let x = try? value.decode(Int.self) {
            self = .integer(x)
        } else if let x = try? value.decode([String: JSON].self) {
            self = .object(x)
        } else if let x = try? value.decode(Bool.self) {
            self = .bool(x)
        } else if let x = try? value.decode([JSON].self) {
            self = .array(x)
        } else {
            self = .number(try value.decode(Double.self))
        }
    }

    /// The document in `bytes`.
    package init(_ bytes: [UInt8]) throws {
        do {
            self = try JSONDecoder().decode(JSON.self, from: Data(bytes))
        } catch {
            let text = String(decoding: bytes.prefix(400), as: UTF8.self)
            throw TestError("not JSON (\(error)): \(text)")
        }
    }

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

    package init(stringLiteral value: String) { self = .string(value) }

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
