/// A pattern over names: `*` any run of bytes, `?` one character, `[a-z]` and `[!a-z]` one of a
/// set.
///
/// Names have no slashes, so that `*` is not limited by one. Everything else stands for itself.
package struct Glob: Sendable, Hashable, Codable, CustomStringConvertible {
    /// The pattern as written.
    package let pattern: String
    private let parts: [Part]

    private enum Part: Sendable, Hashable {
        case literal(Unicode.Scalar)
        case any
        case run
        case set([ClosedRange<Unicode.Scalar>], negated: Bool)

        func matches(_ c: Unicode.Scalar) -> Bool {
            switch self {
            case .literal(let l): l == c
            case .any: true
            case .run: false
            case .set(let ranges, let negated): ranges.contains { $0.contains(c) } != negated
            }
        }
    }

    /// Reads a pattern; nil when a `[` has no end.
    package init?(_ pattern: String) {
        self.pattern = pattern
        var parts: [Part] = []
        var rest = Array(pattern.unicodeScalars)[...]
        while let c = rest.popFirst() {
            switch c {
            case "*": if parts.last != .run { parts.append(.run) }
            case "?": parts.append(.any)
            case "[":
                guard let set = Glob.set(&rest) else { return nil }
                parts.append(set)
            default: parts.append(.literal(c))
            }
        }
        self.parts = parts
    }

    package init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let glob = Glob(text) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "not a pattern: \(text)"))
        }
        self = glob
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(pattern)
    }

    package var description: String { pattern }

    /// Whether the whole of `name` matches.
    package func matches(_ name: String) -> Bool {
        let name = Array(name.unicodeScalars)
        var p = 0
        var n = 0
        // Where to go on when a comparison fails: behind the last run, one character later. Only
        // the last run ever has to be tried again, so that the time is at most |name| x |pattern|.
        var retry: (p: Int, n: Int)?
        while n < name.count {
            if p < parts.count, parts[p] == .run {
                retry = (p + 1, n + 1)
                p += 1
            } else if p < parts.count, parts[p].matches(name[n]) {
                p += 1
                n += 1
            } else if let again = retry {
                (p, n) = again
                retry = (again.p, again.n + 1)
            } else {
                return false
            }
        }
        return parts[p...].allSatisfy { $0 == .run }
    }

    private static func set(_ rest: inout ArraySlice<Unicode.Scalar>) -> Part? {
        var negated = false
        if rest.first == "!" || rest.first == "^" {
            negated = true
            rest.removeFirst()
        }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        while let low = rest.popFirst() {
            if low == "]" && !ranges.isEmpty { return .set(ranges, negated: negated) }
            guard rest.first == "-", let high = rest.dropFirst().first, high != "]" else {
                ranges.append(low...low)
                continue
            }
            guard low <= high else { return nil }
            rest.removeFirst(2)
            ranges.append(low...high)
        }
        return nil
    }
}
