package import Platform

/// A regular expression over what a snapshot is called.
///
/// A snapshot has no name of its own, so it is looked for in each of its tags and in its time,
/// written as `2026-03-01T07:05:09Z`; one match is enough. Negated, none of them may match.
package struct SnapshotPattern: Sendable, Hashable, Codable, CustomStringConvertible {
    /// An extended regular expression of POSIX, anchored nowhere.
    package let pattern: String
    package let isNegated: Bool

    /// Tags are compared up to this many bytes.
    private static let tagLimit = 4096

    /// Reads a pattern.
    ///
    /// - Throws: a `usage` failure that says what is wrong with it.
    package init(_ pattern: String, negated: Bool = false) throws(Failure) {
        guard pattern.utf8.count <= 1024 else {
            throw Failure(.usage, "a pattern has more than 1024 bytes")
        }
        _ = try Expression(pattern)
        self.pattern = pattern
        isNegated = negated
    }

    package var description: String { (isNegated ? "not " : "") + "regex \(pattern)" }

    /// Those of `snapshots` that match, as a list of the same length.
    func matches(_ snapshots: [RetentionSnapshot]) -> [Bool] {
        // It was compiled once already; what cannot be compiled must not make anything go.
        guard let expression = try? Expression(pattern) else {
            return snapshots.map { _ in !isNegated }
        }
        return snapshots.map { snapshot in
            let names = snapshot.tags + [SnapshotPattern.text(snapshot.time)]
            let found = names.contains {
                expression.matches(String($0.prefix(SnapshotPattern.tagLimit)))
            }
            return found != isNegated
        }
    }

    private static func text(_ time: Timestamp) -> String {
        let date = CivilDate(time.seconds, .utc)
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let clock = [date.secondOfDay / 3600, date.secondOfDay / 60 % 60, date.secondOfDay % 60]
        return "\(date.year)-\(two(date.month))-\(two(date.day))T"
            + clock.map(two).joined(separator: ":") + "Z"
    }
}
