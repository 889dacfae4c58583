import ContentStore
import Platform
import TestSupport
import Testing

@Suite struct GoTimeTests {
    static func format(_ t: Timestamp) -> String {
        var output: [UInt8] = []
        appendRFC3339Nano(t, to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    static func parse(_ text: String) -> Timestamp? {
        let bytes = Array(text.utf8)
        return parseRFC3339Nano(bytes.span)
    }

    @Test(
        arguments: [
            (0, 0, "1970-01-01T00:00:00Z"), (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (0, 120_000_000, "1970-01-01T00:00:00.12Z"), (0, 1, "1970-01-01T00:00:00.000000001Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"), (4_107_542_400, 0, "2100-03-01T00:00:00Z"),
            (-2_147_483_648, 5, "1901-12-13T20:45:52.000000005Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            (-62_167_219_200, 0, "0000-01-01T00:00:00Z"),
            (253_402_300_799, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
        ] as [(Int64, UInt32, String)])
    func bothWays(seconds: Int64, nanoseconds: UInt32, text: String) {
        let time = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        #expect(Self.format(time) == text)
        #expect(Self.parse(text) == time)
    }

    /// Month, day and time stay; the day that the year does not have becomes the next.
    @Test(
        arguments: [
            (253_402_300_800, "9999-01-01T00:00:00Z"), (-62_167_219_201, "0000-12-31T23:59:59Z"),
            // February 29th of the year 12000, and of the year -4.
            (316_521_302_400, "9999-03-01T00:00:00Z"), (-62_288_352_000, "0000-02-29T00:00:00Z"),
        ] as [(Int64, String)])
    func yearsBeyondJSONAreClamped(seconds: Int64, text: String) {
        #expect(Self.format(Timestamp(seconds: seconds)) == text)
    }

    @Test(arguments: [Int64.min, Int64.max])
    func extremesDoNotTrap(seconds: Int64) {
        #expect(Self.format(Timestamp(seconds: seconds)).hasSuffix("Z"))
    }

    @Test(
        arguments: [
            ("2020-01-01T01:30:00+01:30", 1_577_836_800, 0),
            ("2019-12-31T16:00:00-08:00", 1_577_836_800, 0),
            ("2020-01-01T00:00:00.5000000009Z", 1_577_836_800, 500_000_000),
            ("2020-01-01T00:00:00.000+00:00", 1_577_836_800, 0),
        ] as [(String, Int64, UInt32)])
    func otherFormsThatGoReads(text: String, seconds: Int64, nanoseconds: UInt32) {
        #expect(Self.parse(text) == Timestamp(seconds: seconds, nanoseconds: nanoseconds))
    }

    @Test(arguments: [
        "", "2020", "2020-01-01T00:00:00", "2020-01-01 00:00:00Z", "2020-00-01T00:00:00Z",
        "2020-13-01T00:00:00Z", "2019-02-29T00:00:00Z", "2020-01-32T00:00:00Z",
        "2020-01-01T24:00:00Z", "2020-01-01T00:60:00Z", "2020-01-01T00:00:60Z",
        "2020-01-01T00:00:00.Z", "2020-01-01T00:00:00.5", "2020-01-01T00:00:00,5Z",
        "2020-01-01T00:00:00Zx", "2020-01-01T00:00:00+1:00", "2020-01-01T00:00:00+24:00",
        "2020-01-01T00:00:00+00:60", "2020-01-01T00:00:00z", "-020-01-01T00:00:00Z",
        "2020-01-00T00:00:00Z",
    ])
    func whatIsNoTime(text: String) {
        #expect(Self.parse(text) == nil)
    }

    @Test func everyDaySurvives() {
        var generator = SeededGenerator(seed: 5)
        for day in stride(from: Int64(-719_528), to: 2_932_896, by: 7) {
            let time = Timestamp(
                seconds: day * 86_400 + Int64(generator.next() % 86_400),
                nanoseconds: UInt32(generator.next() % 1_000_000_000))
            if Self.parse(Self.format(time)) != time { Issue.record("\(time), seed 5") }
        }
    }
}
