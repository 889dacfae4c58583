internal import Platform

/// A span of the calendar, as restic writes it: `1y5m7d2h`.
///
/// `m` is months. Years, months and days are those of the calendar, so that `1m` is 28 to 31 days.
package struct CalendarSpan: Sendable, Hashable, Codable, CustomStringConvertible {
    package var years: Int64 = 0
    package var months: Int64 = 0
    package var days: Int64 = 0
    package var hours: Int64 = 0

    /// What each unit may be at most: ten thousand years.
    private static let limit: [Character: Int64] = [
        "y": 10_000, "m": 120_000, "d": 3_652_500, "h": 87_660_000,
    ]

    /// Reads a span; nil when it is none, when a unit comes twice or when all of it is zero.
    package init?(_ text: String) {
        var number: Int64?
        var seen: Set<Character> = []
        for character in text {
            if let digit = character.isASCII ? character.wholeNumberValue : nil {
                let value = (number ?? 0) * 10 + Int64(digit)
                guard value <= 1_000_000_000 else { return nil }
                number = value
                continue
            }
            guard let value = number, let limit = CalendarSpan.limit[character], value <= limit,
                seen.insert(character).inserted
            else { return nil }
            switch character {
            case "y": years = value
            case "m": months = value
            case "d": days = value
            default: hours = value
            }
            number = nil
        }
        guard number == nil, years + months + days + hours > 0 else { return nil }
    }

    package var description: String {
        [(years, "y"), (months, "m"), (days, "d"), (hours, "h")].filter { $0.0 != 0 }
            .map { "\($0.0)\($0.1)" }.joined()
    }

    /// How long it is at least, in seconds.
    var seconds: Int64 {
        ((years * 365 + months * 28 + days) * 24 + hours) * 3600
    }

    /// The time so long before `time`.
    func before(_ time: Timestamp, _ zone: LocalZone) -> Timestamp {
        let date = CivilDate(time.seconds, zone)
        let seconds = date.seconds(backYears: years, months: months, days: days, zone)
        return Timestamp(seconds: seconds - hours * 3600, nanoseconds: time.nanoseconds)
    }
}
