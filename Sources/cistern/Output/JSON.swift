internal import FoundationEssentials
internal import Platform

/// JSON for programs: snake_case keys, sorted, slashes as they are.
enum JSON {
    /// One document over several lines.
    static func document(_ value: some Encodable) throws(Failure) -> String {
        try encode(value, [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]) + "\n"
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
