package import Platform

// Times as Go's encoding/json writes and reads them (time.RFC3339Nano).

/// Seconds from 1970-01-01 to the start of 0001-01-01: Go's zero time, which a missing field means.
package let goZeroSeconds: Int64 = -62_135_596_800

/// Appends `t` in UTC as time.RFC3339Nano does: `2024-02-29T12:00:00.5Z`, at most 30 bytes.
///
/// The fraction has no trailing zeros and is left out when zero. Years outside 0...9999, which JSON
/// times cannot express, become 0 or 9999 with month, day and time kept, as restic's FixTime does.
package func appendRFC3339Nano(_ t: Timestamp, to output: inout [UInt8]) {
    output.append(
        addingCapacity: CivilTime.longestText,
        initializingWith: { (span: inout OutputSpan<UInt8>) in
            CivilTime(t).append(to: &span)
        })
}

/// The time that an RFC 3339 text with `Z` or an offset names; nil for any other text.
///
/// Any number of fraction digits is accepted, those after the ninth are dropped, as in Go.
package func parseRFC3339Nano(_ text: Span<UInt8>) -> Timestamp? {
    // 2006-01-02T15:04:05Z
    guard text.count >= 20, text[4] == 0x2D, text[7] == 0x2D, text[10] == 0x54,
        text[13] == 0x3A, text[16] == 0x3A,
        let century = twoDigits(text, 0), let yearInCentury = twoDigits(text, 2),
        let month = twoDigits(text, 5), let day = twoDigits(text, 8),
        let hour = twoDigits(text, 11), let minute = twoDigits(text, 14),
        let second = twoDigits(text, 17)
    else { return nil }
    let year = century * 100 + yearInCentury
    guard (1...12).contains(month), day >= 1, day <= daysIn(month: month, year: year),
        hour < 24, minute < 60, second < 60
    else { return nil }

    var at = 19
    var nanoseconds: UInt32 = 0
    if text[at] == 0x2E {
        at += 1
        let start = at
        var scale: UInt32 = 100_000_000
        while at < text.count, text[at] &- 0x30 < 10 {
            nanoseconds += UInt32(text[at] - 0x30) * scale
            scale /= 10
            at += 1
        }
        guard at > start, at < text.count else { return nil }
    }
    guard let offset = zoneOffset(text, at) else { return nil }
    let days = daysSinceEpoch(year: Int64(year), month: Int64(month), day: Int64(day))
    let time = Int64(hour * 3600 + minute * 60 + second)
    return Timestamp(seconds: days * 86_400 + time - offset, nanoseconds: nanoseconds)
}

/// A point in time taken apart into the fields of the Gregorian calendar in UTC.
struct CivilTime {
    /// The longest text: `9999-12-31T23:59:59.999999999Z`.
    static let longestText = 30

    var year: Int64
    var month: Int64
    var day: Int64
    var secondOfDay: Int64
    var nanoseconds: UInt32

    /// Takes `t` apart; the year is brought into 0...9999.
    init(_ t: Timestamp) {
        let days = floorDivide(t.seconds, 86_400)
        // Not by multiplying back, which overflows near the least second.
        let remainder = t.seconds % 86_400
        secondOfDay = remainder < 0 ? remainder + 86_400 : remainder
        nanoseconds = min(t.nanoseconds, 999_999_999)
        // Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days. The era
        // starts on March 1st, so that the leap day is the last of its year.
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        if year > 9999 || year < 0 { clampYear() }
    }

    private mutating func clampYear() {
        year = year < 0 ? 0 : 9999
        // Go's AddDate normalises a February 29th that the year does not have to March 1st.
        if month == 2, day == 29, daysIn(month: 2, year: Int(year)) == 28 {
            month = 3
            day = 1
        }
    }

    /// Appends the RFC 3339 text; `output` must have room for `longestText` bytes.
    func append(to output: inout OutputSpan<UInt8>) {
        CivilTime.pair(year / 100, &output)
        CivilTime.pair(year % 100, &output)
        output.append(0x2D)
        CivilTime.pair(month, &output)
        output.append(0x2D)
        CivilTime.pair(day, &output)
        output.append(0x54)
        CivilTime.pair(secondOfDay / 3600, &output)
        output.append(0x3A)
        CivilTime.pair(secondOfDay / 60 % 60, &output)
        output.append(0x3A)
        CivilTime.pair(secondOfDay % 60, &output)
        if nanoseconds > 0 {
            output.append(0x2E)
            var rest = nanoseconds
            var scale: UInt32 = 100_000_000
            while rest > 0 {
                output.append(0x30 + UInt8(truncatingIfNeeded: rest / scale))
                rest %= scale
                scale /= 10
            }
        }
        output.append(0x5A)
    }

    private static func pair(_ value: Int64, _ output: inout OutputSpan<UInt8>) {
        output.append(0x30 + UInt8(truncatingIfNeeded: value / 10))
        output.append(0x30 + UInt8(truncatingIfNeeded: value % 10))
    }
}

private func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
    let quotient = a / b
    return a % b < 0 ? quotient - 1 : quotient
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Hinnant's days_from_civil).
private func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
    let y = month <= 2 ? year - 1 : year
    let era = floorDivide(y, 400)
    let yearOfEra = y - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return era * 146_097 + dayOfEra - 719_468
}

private func daysIn(month: Int, year: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
}

private func twoDigits(_ text: Span<UInt8>, _ at: Int) -> Int? {
    let tens = text[at] &- 0x30
    let ones = text[at + 1] &- 0x30
    return tens < 10 && ones < 10 ? Int(tens) * 10 + Int(ones) : nil
}

/// Seconds east of UTC for the `Z`, `+hh:mm` or `-hh:mm` that is all of `text` from `at`.
private func zoneOffset(_ text: Span<UInt8>, _ at: Int) -> Int64? {
    if text[at] == 0x5A { return text.count == at + 1 ? 0 : nil }
    guard text.count == at + 6, text[at + 3] == 0x3A, text[at] == 0x2B || text[at] == 0x2D,
        let hours = twoDigits(text, at + 1), let minutes = twoDigits(text, at + 4),
        hours < 24, minutes < 60
    else { return nil }
    let offset = Int64(hours * 3600 + minutes * 60)
    return text[at] == 0x2B ? offset : -offset
}
