internal import FoundationEssentials
internal import Platform

/// Writes one JSON object as Go's encoding/json does, with the fields in the order of the calls.
struct JSONObject {
    private(set) var bytes: [UInt8] = [0x7B]

    private mutating func key(_ key: String) {
        if bytes.count > 1 { bytes.append(0x2C) }
        JSONObject.append(key, to: &bytes)
        bytes.append(0x3A)
    }

    mutating func add(_ name: String, _ value: String) {
        key(name)
        JSONObject.append(value, to: &bytes)
    }

    mutating func add(_ name: String, _ values: [String]) {
        key(name)
        bytes.append(0x5B)
        for (i, value) in values.enumerated() {
            if i > 0 { bytes.append(0x2C) }
            JSONObject.append(value, to: &bytes)
        }
        bytes.append(0x5D)
    }

    mutating func add(_ name: String, _ value: some BinaryInteger) {
        key(name)
        bytes += Array("\(value)".utf8)
    }

    mutating func add(_ name: String, _ value: Bool) {
        key(name)
        bytes += Array((value ? "true" : "false").utf8)
    }

    mutating func add(_ name: String, _ time: Timestamp) {
        key(name)
        bytes.append(0x22)
        appendRFC3339Nano(time, to: &bytes)
        bytes.append(0x22)
    }

    mutating func add(_ name: String, _ object: JSONObject) {
        key(name)
        bytes += object.finished
    }

    /// The complete object.
    var finished: [UInt8] { bytes + [0x7D] }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(0x22)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": bytes += [0x5C, 0x22]
            case "\\": bytes += [0x5C, 0x5C]
            case "\n": bytes += [0x5C, 0x6E]
            case "\r": bytes += [0x5C, 0x72]
            case "\t": bytes += [0x5C, 0x74]
            case "<", ">", "&", "\u{2028}", "\u{2029}", "\u{0}"..."\u{1F}":
                let hex = String(scalar.value, radix: 16)
                bytes += Array("\\u\(String(repeating: "0", count: 4 - hex.count))\(hex)".utf8)
            default: bytes += Array(String(scalar).utf8)
            }
        }
        bytes.append(0x22)
    }
}

/// Reads small JSON files: the config, keys, snapshots and locks.
enum SmallJSON {
    /// The longest file that is read this way, in bytes.
    static let limit = 8 << 20

    /// Reads a value of type `T`; `what` names the file in the failure of class `store`.
    static func decode<T: Decodable>(
        _ type: T.Type, _ bytes: [UInt8], _ what: String
    ) throws(Failure) -> T {
        guard bytes.count <= limit else {
            throw Failure(.store, "\(what) is damaged", cause: "it has \(bytes.count) bytes")
        }
        do {
            return try JSONDecoder().decode(T.self, from: Data(bytes))
        } catch let error as DecodingError {
            throw Failure(.store, "\(what) is damaged", cause: reason(error))
        } catch {
            throw Failure(.store, "\(what) is damaged", cause: "\(error)")
        }
    }

    /// Reads a time; `what` names the file in the failure of class `store`.
    static func time(_ text: String, _ what: String) throws(Failure) -> Timestamp {
        let bytes = Array(text.utf8)
        guard let time = parseRFC3339Nano(bytes.span) else {
            throw Failure(.store, "\(what) is damaged", cause: "its time is no RFC 3339 time")
        }
        return time
    }

    private static func reason(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, _): "the field \(key.stringValue) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "the field \(context.codingPath.map(\.stringValue).joined(separator: ".")) has the "
                + "wrong type"
        default: "it is no JSON of the expected form"
        }
    }
}
