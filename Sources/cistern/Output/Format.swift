internal import Platform

/// Numbers and times as people read them.
enum Format {
    /// `0 B`, `1.5 KiB`, `12 MiB`: three digits are enough to judge a size.
    static func bytes(_ count: Int64) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1024 && unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit > 0 && value < 10
            ? "\(tenths(value)) \(units[unit])" : "\(Int64(value.rounded())) \(units[unit])"
    }

    /// `1234567` as `1,234,567`.
    static func count(_ value: Int64) -> String {
        let digits = Array(String(value.magnitude))
        var text = value < 0 ? "-" : ""
        for (i, digit) in digits.enumerated() {
            if i > 0 && (digits.count - i) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }

    /// `0.4s`, `12s`, `3m05s`, `2h07m`, `3d04h`.
    static func duration(_ seconds: Double) -> String {
        guard seconds.isFinite, seconds >= 0 else { return "-" }
        if seconds < 10 { return "\(tenths(seconds))s" }
        let s = Int(min(seconds, 1e9).rounded())
        switch s {
        case ..<60: return "\(s)s"
        case ..<3600: return "\(s / 60)m\(padded(s % 60))s"
        case ..<86400: return "\(s / 3600)h\(padded(s / 60 % 60))m"
        default: return "\(s / 86400)d\(padded(s / 3600 % 24))h"
        }
    }

    /// The time between two points.
    static func duration(from start: Timestamp, to end: Timestamp) -> Double {
        Double(end.nanosecondsSinceEpoch - start.nanosecondsSinceEpoch) / 1e9
    }

    /// `2026-03-01 07:05:09Z`.
    static func time(_ time: Timestamp) -> String {
        let days = Int((Double(time.seconds) / 86400).rounded(.down))
        let rest = Int(time.seconds) - days * 86400
        let (year, month, day) = civil(days)
        return "\(year)-\(padded(month))-\(padded(day)) "
            + "\(padded(rest / 3600)):\(padded(rest / 60 % 60)):\(padded(rest % 60))Z"
    }

    /// The date of a day number since 1970-01-01.
    ///
    /// After Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    private static func civil(_ days: Int) -> (Int, Int, Int) {
        let z = days + 719_468
        let era = (z >= 0 ? z : z - 146_096) / 146_097
        let doe = z - era * 146_097
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100)
        let mp = (5 * doy + 2) / 153
        let month = mp < 10 ? mp + 3 : mp - 9
        return (yoe + era * 400 + (month <= 2 ? 1 : 0), month, doy - (153 * mp + 2) / 5 + 1)
    }

    private static func tenths(_ value: Double) -> String {
        let scaled = Int((value * 10).rounded())
        return "\(scaled / 10).\(scaled % 10)"
    }

    private static func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
