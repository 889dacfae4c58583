package import Platform

/// The periods of the calendar of which rules keep one snapshot each.
package enum CalendarPeriod: String, Sendable, Codable, CaseIterable {
    case hourly, daily, weekly, monthly, yearly

    /// A number that two times share when they are in one period; it may be of any size.
    func number(_ time: Timestamp, _ zone: LocalZone) -> Int64 {
        let date = CivilDate(time.seconds, zone)
        switch self {
        case .hourly:
            return ((date.year * 100 + date.month) * 100 + date.day) * 100
                + date.secondOfDay / 3600
        case .daily: return (date.year * 100 + date.month) * 100 + date.day
        case .weekly:
            let week = date.isoWeek
            return week.year * 100 + week.week
        case .monthly: return date.year * 100 + date.month
        case .yearly: return date.year
        }
    }
}

/// How many snapshots a counting rule keeps.
package enum KeepCount: Sendable, Hashable, Codable {
    case all
    /// At least 1.
    case atMost(Int)
}

/// One reason to keep snapshots.
///
/// A rule looks at all snapshots of a module; what it does not keep may still be kept by another.
package enum KeepRule: Sendable, Hashable, Codable {
    /// The newest ones; with a pattern, of those that match.
    case last(KeepCount, SnapshotPattern?)
    /// What fits a grid; with a pattern, of those that match.
    case grid(RetentionGrid, SnapshotPattern?)
    /// Everything younger than a span before the newest.
    case within(CalendarSpan)
    /// The newest of each of the last periods that have any.
    case periods(CalendarPeriod, KeepCount)
    /// The newest of each period within a span before the newest.
    case periodsWithin(CalendarPeriod, CalendarSpan)
    /// What matches.
    case matching(SnapshotPattern)
    /// What has all of these tags.
    case tags([String])
    /// What some mirror does not have yet.
    case notMirrored

    /// Whether the rule keeps something of any snapshots there are.
    package var keepsSomething: Bool {
        switch self {
        case .last(_, let pattern), .grid(_, let pattern): pattern == nil
        case .within, .periods, .periodsWithin: true
        case .matching, .tags, .notMirrored: false
        }
    }

    /// Seconds before the newest snapshot beyond which the rule keeps nothing; nil for a rule that
    /// does not go by time, or not by time alone.
    var reach: Int64? {
        switch self {
        case .grid(let grid, _): grid.intervals.reduce(0) { $0 + $1.length }
        case .within(let span), .periodsWithin(_, let span): span.seconds
        case .last, .periods, .matching, .tags, .notMirrored: nil
        }
    }

    /// For each of `snapshots`, which are sorted newest first, why the rule keeps it; nil where it
    /// does not.
    package func reasons(
        _ snapshots: [RetentionSnapshot], _ zone: LocalZone
    ) -> [String?] {
        switch self {
        case .last(let count, let pattern):
            return KeepRule.among(snapshots, pattern) { some in
                KeepRule.counted(some, count, "last snapshot") { place, _ in Int64(place) }
            }
        case .grid(let grid, let pattern):
            return KeepRule.among(snapshots, pattern) { some in
                grid.keeps(some.map(\.time)).map { $0 ? "grid \(grid)" : nil }
            }
        case .within(let span):
            let start = KeepRule.start(span, snapshots, zone)
            return snapshots.map { $0.time > start ? "within \(span)" : nil }
        case .periods(let period, let count):
            return KeepRule.counted(snapshots, count, "\(period) snapshot") { _, snapshot in
                period.number(snapshot.time, zone)
            }
        case .periodsWithin(let period, let span):
            return KeepRule.within(
                snapshots, since: KeepRule.start(span, snapshots, zone), "\(period) within",
                " \(span)"
            ) { period.number($0.time, zone) }
        case .matching(let pattern):
            return pattern.matches(snapshots).map { $0 ? pattern.description : nil }
        case .tags(let tags):
            let reason = "has tags [\(tags.joined(separator: ", "))]"
            return snapshots.map { snapshot in
                tags.allSatisfy(snapshot.tags.contains) ? reason : nil
            }
        case .notMirrored:
            return snapshots.map { $0.isMirrored ? nil : "not mirrored" }
        }
    }

    private static func start(
        _ span: CalendarSpan, _ snapshots: [RetentionSnapshot], _ zone: LocalZone
    ) -> Timestamp {
        // From the newest and not from the clock: a module that was quiet for long keeps its last.
        span.before(snapshots.first?.time ?? Timestamp(seconds: 0), zone)
    }

    /// Applies `rule` to those that match `pattern`.
    private static func among(
        _ snapshots: [RetentionSnapshot], _ pattern: SnapshotPattern?,
        _ rule: ([RetentionSnapshot]) -> [String?]
    ) -> [String?] {
        guard let pattern else { return rule(snapshots) }
        let places = zip(snapshots.indices, pattern.matches(snapshots)).filter(\.1).map(\.0)
        var reasons = [String?](repeating: nil, count: snapshots.count)
        for (place, reason) in zip(places, rule(places.map { snapshots[$0] })) {
            reasons[place] = reason
        }
        return reasons
    }

    /// The first of each run of equal numbers, while the count lasts.
    ///
    /// The oldest of all is kept too when there is count left: it is the longest history there is.
    private static func counted(
        _ snapshots: [RetentionSnapshot], _ count: KeepCount, _ reason: String,
        number: (Int, RetentionSnapshot) -> Int64
    ) -> [String?] {
        var left =
            switch count {
            case .all: Int.max
            case .atMost(let count): count
            }
        var last: Int64?
        var reasons: [String?] = []
        for (place, snapshot) in snapshots.enumerated() {
            let number = number(place, snapshot)
            let isNew = number != last
            guard left > 0, isNew || place == snapshots.count - 1 else {
                reasons.append(nil)
                continue
            }
            reasons.append(isNew ? reason : "oldest \(reason)")
            last = number
            if left != .max { left -= 1 }
        }
        return reasons
    }

    private static func within(
        _ snapshots: [RetentionSnapshot], since start: Timestamp, _ reason: String,
        _ suffix: String, number: (RetentionSnapshot) -> Int64
    ) -> [String?] {
        var last: Int64?
        return snapshots.enumerated().map { place, snapshot in
            guard snapshot.time > start else { return nil }
            let number = number(snapshot)
            let isNew = number != last
            guard isNew || place == snapshots.count - 1 else { return nil }
            last = number
            return (isNew ? reason : "oldest \(reason)") + suffix
        }
    }
}
