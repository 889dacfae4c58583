internal import FoundationEssentials
internal import Platform

/// JSON for programs: snake_case keys, sorted, slashes as they are.
enum JSON {
    /// One document over several lines.
    static func document(_ value: some Encodable) throws(Failure) -> String {
        try encode(value, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]) + "\n"
    }

    /// As `document`, with a key more that names the module whose own store it is about, if it is.
    static func document(
        _ value: some Encodable, of module: String?
    ) throws(Failure) -> String {
        guard let module else { return try document(value) }
        return try document(Named(module: module, value: value))
    }

    /// As `line`, with a key more that names the module whose own store it is about, if it is.
    static func line(_ value: some Encodable, of module: String?) throws(Failure) -> String {
        guard let module else { return try line(value) }
        return try line(Named(module: module, value: value))
    }

    private struct Named<Value: Encodable>: Encodable {
        private enum Key: String, CodingKey { case module }

        var module: String
        var value: Value

        func encode(to encoder: any Encoder) throws {
            try value.encode(to: encoder)
            var container = encoder.container(keyedBy: Key.self)
            try container.encode(module, forKey: .module)
        }
    }

    /// One line of NDJSON.
    static func line(_ value: some Encodable) throws(Failure) -> String {
        try encode(value, [.sortedKeys, .withoutEscapingSlashes]) + "\n"
    }

    private static func encode(
        _ value: some Encodable, _ formatting: JSONEncoder.OutputFormatting
    ) throws(Failure) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = formatting
        encoder.keyEncodingStrategy = .convertToSnakeCase
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch {
            throw Failure(.bug, "cannot encode the output", cause: "\(error)")
        }
    }
}
