internal import Platform

/// Adjacent intervals that go back from the newest snapshot, each of which keeps some: zrepl's
/// grid, `1x1h(keep=all) | 24x1h | 14x1d`.
package struct RetentionGrid: Sendable, Hashable, Codable, CustomStringConvertible {
    /// One interval.
    struct Interval: Sendable, Hashable, Codable {
        /// Seconds.
        var length: Int64
        /// How many of its snapshots stay, the oldest; nil for all.
        var keep: Int?
    }

    /// The grid as it was written.
    package let description: String
    let intervals: [Interval]

    /// What is wrong with a grid.
    package struct Mistake: Error, Equatable {
        package var message: String
    }

    /// A grid has at most this many intervals.
    private static let limit = 10_000
    /// An interval lasts at most this long: a thousand years, in seconds.
    private static let longest: Int64 = 1000 * 366 * 86_400

    /// Reads a grid: `COUNT x DURATION` with `(keep=COUNT)` or `(keep=all)` where more than one
    /// stays, several of them with `|` between.
    ///
    /// - Throws: `Mistake` also for a `keep` of 0, and for intervals that get shorter with age:
    ///   these would keep more of what is old than of what is new. After intervals that keep all
    ///   they may, since those only say how long everything stays.
    package init(_ text: String) throws(Mistake) {
        description = text
        var intervals: [Interval] = []
        var longestSoFar: Int64 = 0
        for part in text.split(separator: "|", omittingEmptySubsequences: false) {
            let (count, interval) = try RetentionGrid.interval(RetentionGrid.trimmed(part))
            guard intervals.count + count <= RetentionGrid.limit else {
                throw Mistake(message: "more than \(RetentionGrid.limit) intervals")
            }
            if interval.length < longestSoFar, !intervals.allSatisfy({ $0.keep == nil }) {
                throw Mistake(
                    message: "interval `\(RetentionGrid.trimmed(part))` is shorter than the one "
                        + "before it")
            }
            longestSoFar = interval.length
            intervals += Array(repeating: interval, count: count)
        }
        self.intervals = intervals
    }

    package init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// Which of `times`, the newest first, the grid keeps.
    ///
    /// An interval holds what is younger than its far end and not younger than its near end. What
    /// is older than the last one is not kept.
    func keeps(_ times: [Timestamp]) -> [Bool] {
        guard let newest = times.first else { return [] }
        var kept = [Bool](repeating: false, count: times.count)
        var near = newest.nanosecondsSinceEpoch
        var next = 0
        for interval in intervals {
            let far = near - Int128(interval.length) * 1_000_000_000
            let first = next
            while next < times.count, times[next].nanosecondsSinceEpoch > far { next += 1 }
            let count = min(interval.keep ?? .max, next - first)
            for place in (next - count)..<next { kept[place] = true }
            if next == times.count { break }
            near = far
        }
        return kept
    }

    private static func interval(
        _ text: Substring
    ) throws(Mistake) -> (count: Int, interval: Interval) {
        let wrong = Mistake(message: "`\(text)` is not an interval")
        guard let x = text.firstIndex(of: "x") else { throw wrong }
        guard let count = number(text[..<x]) else { throw wrong }
        guard count > 0 else { throw Mistake(message: "`\(text)` stands for no interval") }
        var duration = trimmed(text[text.index(after: x)...])
        var keep: Int? = 1
        if let open = duration.firstIndex(of: "(") {
            guard duration.last == ")" else { throw wrong }
            let option = trimmed(duration[duration.index(after: open)...].dropLast())
            guard option.hasPrefix("keep=") else { throw wrong }
            let value = trimmed(option.dropFirst("keep=".count))
            if value == "all" {
                keep = nil
            } else {
                guard let number = number(value) else { throw wrong }
                guard number > 0 else {
                    throw Mistake(message: "`\(text)` keeps nothing: `keep` must be 1 or more")
                }
                keep = number
            }
            duration = trimmed(duration[..<open])
        }
        guard let length = seconds(duration) else {
            throw Mistake(message: "`\(duration)` in `\(text)` is not a length of time")
        }
        return (count, Interval(length: length, keep: keep))
    }

    private static func seconds(_ text: Substring) -> Int64? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
        guard let unit = text.last.flatMap({ units[$0] }),
            let count = number(trimmed(text.dropLast())), count > 0, count <= longest / unit
        else { return nil }
        return Int64(count) * unit
    }

    /// Decimal digits alone, at most twelve.
    private static func number(_ text: Substring) -> Int? {
        let digits = trimmed(text)
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), digits.utf8.count <= 12
        else { return nil }
        return Int(digits)
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }
}
