import Dispatcher
import Foundation
import Platform
import TestSupport
import Testing

/// The time that `2016-01-18 12:02:03` names, with a fraction perhaps, in UTC.
func utc(_ text: String) throws -> Timestamp {
    let parts = text.split(separator: ".")
    let formatter = ISO8601DateFormatter()
    let date = try #require(
        formatter.date(from: parts[0].replacingOccurrences(of: " ", with: "T") + "Z"))
    let nanoseconds = parts.count > 1 ? (Double("0.\(parts[1])") ?? 0) * 1e9 : 0
    return Timestamp(
        seconds: Int64(date.timeIntervalSince1970), nanoseconds: UInt32(nanoseconds.rounded()))
}

/// An id that is the greater the smaller `number` is: of equal times the first stays first.
func falling(_ number: Int) -> Digest {
    Digest(words: (UInt64.max - UInt64(number), 0, 0, 0))
}

/// The configuration's words for rules, read by the program.
func rules(_ text: String) throws -> [KeepRule] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
        "retention-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appendingPathComponent("cistern.yaml")
    // The last rule makes the set acceptable where it is tags alone; it is left out again.
    let yaml = """
        store: {url: file:./store}
        modules: []
        retention: [{modules: ["*"], keep: [\(text), {last_n: 1}]}]
        """
    try yaml.write(to: file, atomically: true, encoding: .utf8)
    let groups = try Configuration.load(file.path).retention
    return try #require(groups.first).policy.keep.dropLast()
}

@Suite struct RetentionTests {
    private static func resticSnapshots() throws -> [RetentionSnapshot] {
        try ResticPolicyCases.snapshots.split(separator: "\n").enumerated().map { place, line in
            let words = line.split(separator: " ").map(String.init)
            return RetentionSnapshot(
                id: falling(place), time: try utc("\(words[0]) \(words[1])"),
                tags: Array(words.dropFirst(2)))
        }
    }

    /// `3x2.` as `xxx..`.
    private static func expanded(_ runs: String) -> String {
        var result = ""
        var count = ""
        for character in runs {
            if character.isNumber {
                count.append(character)
            } else {
                result += String(repeating: character, count: Int(count) ?? 1)
                count = ""
            }
        }
        return result
    }

    @Test(arguments: ResticPolicyCases.policies.indices)
    func resticsCases(_ number: Int) throws {
        let snapshots = try Self.resticSnapshots()
        for (text, kept) in ResticPolicyCases.policies[number] {
            let rule = try #require(try rules(text).first)
            let marks = rule.reasons(snapshots, .utc).map { reason in
                reason.map { $0.hasPrefix("oldest ") ? "o" : "x" } ?? "."
            }
            #expect(marks.joined() == Self.expanded(kept), "\(text)")
        }
    }

    @Test func allRulesOfASetKeep() throws {
        let policy = RetentionPolicy(keep: try rules("{daily: 3}, {yearly: 2}"))
        let decisions = policy.decide(try Self.resticSnapshots(), zone: .utc)
        #expect(decisions.filter(\.isKept).count == 4)
        #expect(decisions[0].reasons == ["daily snapshot", "yearly snapshot"])
        #expect(decisions[19].reasons == ["yearly snapshot"])
    }

    // MARK: zrepl's cases

    /// Snapshots as `name@seconds`, a name being a tag.
    private func named(_ text: String) -> [RetentionSnapshot] {
        text.split(separator: " ").enumerated().map { place, word in
            let parts = word.split(separator: "@")
            return RetentionSnapshot(
                id: falling(1000 - place),
                time: Timestamp(seconds: parts.count > 1 ? Int64(parts[1]) ?? 0 : 0),
                tags: [String(parts[0])])
        }
    }

    private func removed(_ snapshots: [RetentionSnapshot], by text: String) throws -> [String] {
        let sorted = snapshots.sorted { ($0.time, $0.id) > ($1.time, $1.id) }
        let reasons = try rules(text).map { $0.reasons(sorted, .utc) }
        return sorted.indices.filter { place in reasons.allSatisfy { $0[place] == nil } }
            .flatMap { sorted[$0].tags }.sorted()
    }

    /// retentiongrid_test.go, keep_last_n_test.go, keep_regex_test.go and pruning_test.go.
    @Test(arguments: [
        // Boundaries and alignment: the near end is part of an interval, the far end is not.
        ("1@0 2@-600 3@-1200 4@-1800 5@-2400", "{grid: 3x10m}", "4 5"),
        // The oldest of an interval stay.
        ("1@1 2@2 3@3 4@4 5@5", "{grid: 1x1m(keep=2)}", "3 4 5"),
        ("a@0 b@-1 c@-2 d@-60 e@-61", "{grid: 1x1m(keep=all) | 1x1m}", "d"),
        (
            "b1@0 b3@-120 b2@-180 a@-660 c@-1140 foo@-1500 bar@-1560 border@-1800 d@-4500 q@-5400 "
                + "e@-5460 f@-7200",
            "{grid: \"1x10m(keep=all)|1x10m|1x10m(keep=2)|1x1h\"}", "a border e f q"
        ),
        ("", "{grid: 3x10m | 1x1h}", ""),
        ("1@600 2@1200 3@900 4@1800 5@1800", "{last_n: 2}", "1 2 3"),
        ("1@600 2@1200 3@900 4@1800 5@1800", "{last_n: 1}", "1 2 3 4"),
        ("1@600 2@1200 3@900 4@1800 5@1800", "{last_n: 100}", ""),
        ("1@600 2@1200 3@900 4@1800 5@1800", "{last_n: 4}", "1"),
        (
            "a1@600 b1@660 a2@1200 b2@1260 a3@1800 b3@1860",
            "{last_n: 2, regex: ^a}, {last_n: 2, regex: ^b}", "a1 b1"
        ),
        ("a1@600 b1@660 a2@720", "{last_n: 4, regex: a}", "b1"),
        ("foo_123 foo_456 bar_123", "{regex: foo_}", "bar_123"),
        ("foo_123 foo_456 bar_123", "{regex: foo_}, {regex: bar_}", ""),
        ("foo_123 foo_456 bar_123", "{regex: notInS1}, {regex: bar_}", "foo_123 foo_456"),
        ("z_foobar zrepl barfoo", "{regex: ^z_}", "barfoo zrepl"),
        ("z_foobar zrepl barfoo", "{regex: ^z_, negate: true}", "z_foobar"),
        (
            "p1_a@4 p2_a@5 p1_b@14 p2_b@15 p1_c@29 p2_c@30",
            "{grid: 1x10s | 1x10s, regex: ^p1_}, {grid: 1x10s | 1x10s, regex: ^p2_}", "p1_a p2_a"
        ),
    ])
    func zreplsCases(_ snapshots: String, _ text: String, _ expected: String) throws {
        #expect(try removed(named(snapshots), by: text).joined(separator: " ") == expected)
    }

    @Test func aTimeIsANameToo() throws {
        let snapshots = [
            RetentionSnapshot(id: falling(1), time: try utc("2026-03-01 00:00:00")),
            RetentionSnapshot(id: falling(2), time: try utc("2026-03-02 00:00:00")),
        ]
        let rule = try #require(try rules("{regex: -01T}").first)
        #expect(rule.reasons(snapshots, .utc) == ["regex -01T", nil])
    }

    // MARK: Safety

    @Test func theNewestStaysWhateverTheRulesSay() throws {
        let policy = RetentionPolicy(keep: try rules("{regex: nothing}"))
        let decisions = policy.decide(named("a@1 b@2 c@3"), zone: .utc)
        #expect(decisions.map(\.reasons) == [["newest"], [], []])
        #expect(decisions[0].snapshot.tags == ["c"])
        #expect(policy.decide([], zone: .utc).isEmpty)
    }

    @Test func withoutRulesEverythingStays() {
        let decisions = RetentionPolicy(keep: []).decide(named("a@1 b@2"), zone: .utc)
        #expect(decisions.filter(\.isKept).count == 2)
    }

    @Test func whatIsNotMirroredStays() {
        var snapshots = named("a@1 b@2 c@3")
        snapshots[2].isMirrored = true
        snapshots[0].isMirrored = true
        let decisions = RetentionPolicy(keep: [.notMirrored]).decide(snapshots, zone: .utc)
        #expect(decisions.map(\.reasons) == [["newest"], ["not mirrored"], []])
    }

    /// Whatever the rules are: one more rule never removes more, the order of listing does not
    /// matter, and the newest stays.
    @Test(arguments: 0..<200)
    func oneMoreRuleNeverRemovesMore(_ number: Int) throws {
        let seed = UInt64(number) &* 0x9E37_79B9_7F4A_7C15 &+ 1
        var random = SeededGenerator(seed: seed)
        let snapshots = (0..<Int.random(in: 0...60, using: &random)).map { place in
            RetentionSnapshot(
                id: falling(place),
                time: Timestamp(seconds: Int64.random(in: 0...200_000_000, using: &random)),
                tags: ["a", "b", "c"].filter { _ in Bool.random(using: &random) },
                isMirrored: Bool.random(using: &random))
        }
        let all =
            try rules(
                """
                {last_n: 3}, {last_n: 2, regex: a}, {grid: 1x1d(keep=all) | 20x7d | 12x30d}, \
                {grid: 5x30d, regex: b, negate: true}, {within: 1y2m}, {hourly: 5}, {daily: 7}, \
                {weekly: 5}, {monthly: all}, {yearly: 2}, {within_weekly: 2y}, {regex: c}, \
                {tags: [a, b]}
                """) + [.notMirrored]
        let zone = LocalZone { $0 % 31_536_000 < 15_000_000 ? 3600 : 7200 }
        var rules: [KeepRule] = []
        var removed = Set(snapshots.map(\.id))
        for rule in all.shuffled(using: &random) {
            rules.append(rule)
            let decisions = RetentionPolicy(keep: rules)
                .decide(snapshots.shuffled(using: &random), zone: zone)
            let gone = Set(decisions.filter { !$0.isKept }.map(\.snapshot.id))
            #expect(gone.isSubset(of: removed), "seed \(seed)")
            #expect(decisions.count == snapshots.count, "seed \(seed)")
            if let newest = snapshots.max(by: { ($0.time, $0.id) < ($1.time, $1.id) }) {
                #expect(!gone.contains(newest.id), "seed \(seed)")
            }
            removed = gone
        }
    }

    // MARK: Time

    /// Days are those of the machine's zone: 23:30 and 00:30 UTC are one day in New York.
    @Test func periodsAreThoseOfTheZone() throws {
        let snapshots = [
            RetentionSnapshot(id: falling(1), time: try utc("2026-03-02 00:30:00")),
            RetentionSnapshot(id: falling(2), time: try utc("2026-03-01 23:30:00")),
            RetentionSnapshot(id: falling(3), time: try utc("2026-02-01 12:00:00")),
        ]
        let rule = KeepRule.periods(.daily, .all)
        #expect(rule.reasons(snapshots, .utc).compactMap(\.self).count == 3)
        let newYork = LocalZone { _ in -5 * 3600 }
        #expect(rule.reasons(snapshots, newYork).compactMap(\.self).count == 2)
    }

    /// What Go's time.AddDate gives, with which restic reckons.
    @Test(arguments: [
        ("2026-03-31 10:00:00", "1m", "2026-03-03 10:00:00"),
        ("2024-02-29 10:00:00", "1y", "2023-03-01 10:00:00"),
        ("2026-01-15 10:00:00", "1m14d", "2025-12-01 10:00:00"),
        ("2026-01-01 01:00:00", "2h", "2025-12-31 23:00:00"),
        ("2026-01-01 01:00:00", "1y1m1d1h", "2024-11-30 00:00:00"),
    ])
    func spansAreOfTheCalendar(_ newest: String, _ text: String, _ start: String) throws {
        let span = try #require(CalendarSpan(text))
        let start = try utc(start)
        let snapshots = [
            RetentionSnapshot(id: falling(1), time: try utc(newest)),
            RetentionSnapshot(
                id: falling(2), time: Timestamp(seconds: start.seconds, nanoseconds: 1)),
            RetentionSnapshot(id: falling(3), time: start),
        ]
        let kept = KeepRule.within(span).reasons(snapshots, .utc).map { $0 != nil }
        #expect(kept == [true, true, false])
    }

    /// A day back over a change of the clocks is the same time of the day before.
    @Test func spansKeepTheTimeOfDay() throws {
        let change = try utc("2026-03-29 01:00:00").seconds
        let berlin = LocalZone { $0 < change ? 3600 : 7200 }
        let snapshots = [
            RetentionSnapshot(id: falling(1), time: try utc("2026-03-29 10:00:00")),
            RetentionSnapshot(id: falling(2), time: try utc("2026-03-28 11:00:01")),
            RetentionSnapshot(id: falling(3), time: try utc("2026-03-28 11:00:00")),
        ]
        let rule = try #require(try rules("{within: 1d}").first)
        #expect(rule.reasons(snapshots, berlin).map { $0 != nil } == [true, true, false])
    }

    @Test(arguments: ["", "1", "d", "-1d", "1x", "1d1d", "0d", "99999999y", "1d 2h", "１d"])
    func aWrongSpanIsRefused(_ text: String) {
        #expect(CalendarSpan(text) == nil)
    }

    @Test func theMachinesZoneIsRead() {
        // Between -12 and +14 hours, whatever the machine's zone is.
        #expect((-43_200...50_400).contains(LocalZone.system.offset(1_700_000_000)))
        #expect(LocalZone.system.offset(.max) == 0)
    }

    // MARK: The clock

    /// Rules that go by time alone keep nothing beyond their reach; a pause as long is doubted.
    @Test(
        arguments: [
            ([KeepRule.within(CalendarSpan("30d")!)], 100, true),
            ([.within(CalendarSpan("30d")!)], 29, false),
            ([.within(CalendarSpan("1y")!), .within(CalendarSpan("7d")!)], 100, false),
            ([.periodsWithin(.daily, CalendarSpan("2m")!)], 100, true),
            // Hours, and the doubt is of two days at least.
            ([.within(CalendarSpan("6h")!)], 1, false),
            // Counted ones stay whatever the clock says.
            ([.within(CalendarSpan("30d")!), .last(.atMost(3), nil)], 100, false),
            ([.within(CalendarSpan("30d")!), .tags(["gold"])], 100, true),
        ] as [([KeepRule], Int64, Bool)])
    func aPauseBeyondTheReachOfTheRules(
        _ rules: [KeepRule], _ days: Int64, _ isDoubted: Bool
    ) throws {
        let snapshots = [10, 10 + days * 86_400].enumerated().map { place, age in
            RetentionSnapshot(id: falling(place), time: Timestamp(seconds: Self.now - age))
        }
        var failure: Failure?
        do throws(Failure) {
            try RetentionClock.check(
                snapshots, among: snapshots, now: Timestamp(seconds: Self.now),
                reach: RetentionPolicy(keep: rules).reach)
        } catch {
            failure = error
        }
        #expect((failure != nil) == isDoubted, "\(failure as Any)")
    }

    private static let now: Int64 = 1_800_000_000

    /// Times of snapshots in seconds before now, and what is said about them.
    @Test(arguments: [
        ([], false, nil), ([10], false, nil), ([-300], false, nil), ([-301, 10], false, "future"),
        ([-301, 10], true, "future"), ([10, 86_400], false, nil),
        // The clock jumped two years ahead: all that is new is new since then.
        ([10, 63_000_000], false, "for 729 days"), ([10, 63_000_000], true, nil),
        ([10, 500, 100_000, 63_000_000], false, "for 728 days"),
        // An old pause is history.
        ([10, 86_400, 172_900, 63_000_000], false, nil),
    ])
    func aClockThatJumpedIsRefused(
        _ ages: [Int64], _ trusted: Bool, _ message: String?
    ) throws {
        let snapshots = ages.enumerated().map { place, age in
            RetentionSnapshot(id: falling(place), time: Timestamp(seconds: Self.now - age))
        }
        var failure: Failure?
        do throws(Failure) {
            try RetentionClock.check(
                snapshots, among: snapshots.reversed(), now: Timestamp(seconds: Self.now),
                trusted: trusted)
        } catch {
            failure = error
        }
        #expect(failure?.kind == message.map { _ in .unhealthy })
        if let message { #expect(failure?.message.contains(message) == true, "\(failure as Any)") }
    }
}
