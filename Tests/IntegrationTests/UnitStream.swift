import TestSupport
import Testing

/// A stage's stream, read as whoever uses it would: units by path, and the last line.
struct UnitStream {
    var units: [String: JSON] = [:]
    var order: [String] = []
    var stats = JSON.null

    /// Reads a stream; throws when it does not end with its one `stats` unit or has a path twice.
    init(_ lines: [JSON]) throws {
        for (i, line) in lines.enumerated() {
            if line["type"].string == "stats" {
                guard i == lines.count - 1 else { throw TestError("stats before the end") }
                stats = line["stats"]
            } else {
                let path = line["path"].string ?? "base64:\(line["path_b64"].string ?? "?")"
                guard units.updateValue(line, forKey: path) == nil else {
                    throw TestError("twice in the list: \(path)")
                }
                order.append(path)
            }
        }
        guard stats != .null else {
            throw TestError("the stream has no stats: \(lines.count) lines")
        }
    }

    init(_ result: Command.Result) throws {
        try self.init(JSON.lines(result.output))
    }

    subscript(path: String) -> JSON { units[path] ?? .null }

    /// The units without what may differ between two runs over the same module and store.
    ///
    /// Which of two equal contents was stored first, and so counts as new, depends on the order in
    /// which threads came to them.
    var comparable: [JSON] {
        order.map { self[$0].without(["stored_bytes", "new_bytes"]) }
    }
}

/// The part of a check that a table of expectations can state.
struct Verdict: Equatable, CustomStringConvertible {
    var state: String
    var healthy: Bool
    var recoverable: Bool
    var description: String {
        "\(state)\(healthy ? " healthy" : "")\(recoverable ? " recoverable" : "")"
    }

    init(_ state: String, healthy: Bool, recoverable: Bool) {
        self.state = state
        self.healthy = healthy
        self.recoverable = recoverable
    }

    /// What the check in `unit` says.
    init(_ unit: JSON, _ key: String = "check") throws {
        let check = unit[key]
        state = try #require(check["state"].string, "no check in \(unit)")
        healthy = try #require(check["healthy"].bool as Bool?)
        recoverable = try #require(check["recoverable"].bool as Bool?)
    }
}
