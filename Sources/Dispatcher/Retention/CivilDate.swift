internal import Platform

/// A time taken apart into the fields of the Gregorian calendar in some zone.
struct CivilDate: Equatable {
    var year: Int64
    var month: Int64
    var day: Int64
    /// 0 to 86399.
    var secondOfDay: Int64

    /// The fields that clocks of `zone` show at `seconds` since the epoch.
    init(_ seconds: Int64, _ zone: LocalZone) {
        let local = seconds + zone.offset(seconds)
        let days = floorDivide(local, 86_400)
        secondOfDay = local - days * 86_400
        (year, month, day) = CivilDate.date(of: days)
    }

    /// The year and the number of the week after ISO 8601: weeks begin on Mondays, and belong to
    /// the year of their Thursday.
    var isoWeek: (year: Int64, week: Int64) {
        let days = CivilDate.days(year, month, day)
        // 1970-01-01 was a Thursday.
        let sinceMonday = (days + 3) - floorDivide(days + 3, 7) * 7
        let thursday = days + 3 - sinceMonday
        let year = CivilDate.date(of: thursday).year
        return (year, (thursday - CivilDate.days(year, 1, 1)) / 7 + 1)
    }

    /// The time at which clocks of `zone` show these fields less years, months and days.
    ///
    /// As Go's `Time.AddDate` and `Date` have it, with which restic reckons: months and days that
    /// there are not run over into the next (one month before March 31st is March 3rd), and a
    /// time that a zone leaves out becomes one beside the gap.
    func seconds(backYears: Int64, months: Int64, days: Int64, _ zone: LocalZone) -> Int64 {
        let month = (year - backYears) * 12 + (self.month - 1) - months
        let first = CivilDate.days(
            floorDivide(month, 12), month - floorDivide(month, 12) * 12 + 1, 1)
        let local = (first + day - 1 - days) * 86_400 + secondOfDay
        let offset = zone.offset(local)
        return offset == 0 ? local : local - zone.offset(local - offset)
    }

    /// Days from 1970-01-01 to a date.
    ///
    /// After Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = floorDivide(y, 400)
        let yearOfEra = y - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The date of a day number (Hinnant's civil_from_days).
    private static func date(of days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}

/// The quotient rounded down, for dates before the epoch.
func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
    let quotient = a / b
    return a % b < 0 ? quotient - 1 : quotient
}
