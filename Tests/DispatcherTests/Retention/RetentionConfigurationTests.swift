import Dispatcher
import Foundation
import Platform
import TestSupport
import Testing

@Suite(.temporaryFolder) struct RetentionConfigurationTests {
    private func check(
        _ retention: String
    ) throws -> (configuration: Configuration?, problems: [ConfigurationProblem]) {
        let folder = try #require(TemporaryFolder.current)
        let path = folder("cistern.yaml")
        let text = "store: {url: file:./store}\nmodules: []\n" + retention
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let (configuration, problems) = try Configuration.check(path)
        return (configuration, problems)
    }

    @Test func groupsAreRead() throws {
        let (configuration, problems) = try check(
            """
            retention:
              - modules: ["db-*", mail]
                keep:
                  - last_n: 10
                  - grid: 1x1h(keep=all) | 24x1h | 14x1d
                    regex: ^auto
                    negate: true
                  - within_daily: 1m14d
                  - monthly: all
                  - regex: ^release
                  - tags: [keep, gold]
              - modules: ["*"]
                keep: [{daily: 14}]
            """)
        #expect(problems.filter { $0.severity == .error }.isEmpty, "\(problems)")
        let found = try #require(configuration)
        let daily = RetentionPolicy(keep: [.periods(.daily, .atMost(14))])
        #expect(found.retention(for: "web") == daily)
        let database = try #require(found.retention(for: "db-1"))
        #expect(found.retention(for: "mail") == database)
        #expect(
            database.keep == [
                .last(.atMost(10), nil),
                .grid(
                    try RetentionGrid("1x1h(keep=all) | 24x1h | 14x1d"),
                    try SnapshotPattern("^auto", negated: true)),
                .periodsWithin(.daily, try #require(CalendarSpan("1m14d"))),
                .periods(.monthly, .all), .matching(try SnapshotPattern("^release")),
                .tags(["keep", "gold"]),
            ])
        #expect(try check("").configuration?.retention(for: "web") == nil)
    }

    private static let head = "retention: [{modules: [\"*\"], keep: ["

    @Test(arguments: [
        Mistake("retention: 1", 3, 12, "`retention` must be a list"),
        Mistake("retention: [{keep: []}]", 3, 13, "without `modules`"),
        Mistake("retention: [{modules: [\"*\"]}]", 3, 13, "without `keep`"),
        Mistake("retention: [{modules: [\"*\"], keep: 3}]", 3, 36, "must be a list of rules"),
        Mistake(head + "]}]", 3, 36, "could remove every snapshot", "last_n: 1"),
        Mistake(head + "{tags: [a]}, {regex: b}]}]", 3, 36, "could remove every snapshot"),
        Mistake(head + "{last_n: 3, regex: b}]}]", 3, 36, "could remove every snapshot"),
        Mistake(head + "{last_n: 0}]}]", 3, 46, "`last_n` cannot be `0`", "1 to"),
        Mistake(head + "{daily: -2}]}]", 3, 45, "`daily` cannot be `-2`", "or all"),
        Mistake(head + "{daly: 2}]}]", 3, 38, "unknown key `daly`", "did you mean `daily`"),
        Mistake(head + "{daily: 2, weekly: 3}]}]", 3, 37, "two rules in one item"),
        Mistake(head + "{negate: true}]}]", 3, 37, "`negate` without `regex`"),
        Mistake(head + "{}]}]", 3, 37, "a keep rule without a name"),
        Mistake(head + "{daily: 2, regex: x}]}]", 3, 38, "`regex` cannot narrow `daily`"),
        Mistake(head + "{regex: \"(\"}]}]", 3, 45, "`(` is not a regular expression"),
        Mistake(head + "{within: 0d}]}]", 3, 46, "`within` cannot be `0d`", "30d"),
        Mistake(head + "{within: 5w}]}]", 3, 46, "`within` cannot be `5w`"),
        Mistake(head + "{tags: []}]}]", 3, 44, "`tags` is empty"),
        Mistake(head + "{not_mirrored: true}]}]", 3, 38, "in a store without mirrors"),
        Mistake(head + "{grid: 1x1h(keep=0)}]}]", 3, 44, "keeps nothing"),
        Mistake(head + "{grid: 1x1h(keep=-2)}]}]", 3, 44, "is not an interval"),
        Mistake(head + "{grid: 0x1h}]}]", 3, 44, "stands for no interval"),
        Mistake(head + "{grid: 1x0h}]}]", 3, 44, "is not a length of time"),
        Mistake(head + "{grid: 1x1y}]}]", 3, 44, "is not a length of time"),
        Mistake(head + "{grid: 1x1d | 1x1h}]}]", 3, 44, "is shorter than the one before"),
        Mistake(
            head + "{grid: 1x2d(keep=all) | 1x1h | 1x5m}]}]", 3, 44, "`1x5m` is shorter than"),
        Mistake(head + "{grid: 1x1h |}]}]", 3, 44, "`` is not an interval"),
        Mistake(head + "{grid: 99999x1h}]}]", 3, 44, "more than 10000 intervals"),
    ])
    func everyMistakeHasAPlace(_ mistake: Mistake) throws {
        let (configuration, problems) = try check(mistake.yaml)
        #expect(configuration == nil)
        #expect(mistake.isAmong(problems), "\(problems)")
    }

    /// Grids of zrepl's manual, and one that gets shorter after all was kept.
    @Test(arguments: [
        "1x1h(keep=all) | 24x1h | 35x1d | 6x30d", "1x1h(keep=all)", "12 x 30s ( keep=3 )",
        "1x2d(keep=all) | 1x1h | 1x2h",
    ])
    func aGridIsRead(_ text: String) throws {
        #expect(try RetentionGrid(text).description == text)
    }

    @Test func agroupWithoutModulesWarns() throws {
        let folder = try #require(TemporaryFolder.current)
        try FileManager.default.createDirectory(
            atPath: folder("web"), withIntermediateDirectories: true)
        let path = folder("cistern.yaml")
        try """
        store: {url: file:./store}
        modules: [{name: web, path: web}]
        retention: [{modules: [mial], keep: [{last_n: 1}]}]
        """.write(toFile: path, atomically: true, encoding: .utf8)
        let (configuration, problems) = try Configuration.check(path)
        #expect(configuration != nil)
        #expect(
            Mistake("", 3, 23, "no module matches `mial`", severity: .warning).isAmong(problems))
    }
}
