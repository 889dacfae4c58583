internal import Platform

/// Amounts on the command line: sizes, durations, shares.
enum Quantity {
    /// Bytes: `500M`, `1.5G`, `4096`; units are powers of 1024.
    static func bytes(_ text: String, _ option: String) throws(Failure) -> UInt64 {
        let units: [Character: Double] = [
            "K": 0x1p10, "M": 0x1p20, "G": 0x1p30, "T": 0x1p40,
        ]
        var number = text.uppercased()
        if number.hasSuffix("IB") {
            number.removeLast(2)
        } else if number.hasSuffix("B") {
            number.removeLast()
        }
        var unit = 1.0
        if let last = number.last, let factor = units[last] {
            unit = factor
            number.removeLast()
        }
        guard let value = Double(number), value >= 0, value * unit < 0x1p63 else {
            throw Failure(
                .usage, "\(option) cannot be `\(text)`", hint: "A size: 500M, 1.5G, 4096")
        }
        return UInt64(value * unit)
    }

    /// Seconds: `90s`, `30m`, `24h`, `7d`, `0`.
    static func seconds(_ text: String, _ option: String) throws(Failure) -> Double {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800]
        var number = text
        var unit = 1.0
        if let last = number.last, let factor = units[last] {
            unit = factor
            number.removeLast()
        }
        guard let value = Double(number), value >= 0, value * unit < 1e10 else {
            throw Failure(
                .usage, "\(option) cannot be `\(text)`", hint: "A duration: 90s, 30m, 24h, 7d")
        }
        return value * unit
    }

    /// A share: `5%` or `0.05`.
    static func share(_ text: String, _ option: String) throws(Failure) -> Double {
        let isPercent = text.hasSuffix("%")
        guard let value = Double(isPercent ? String(text.dropLast()) : text), value >= 0,
            value <= 1e6
        else {
            throw Failure(.usage, "\(option) cannot be `\(text)`", hint: "A share: 5% or 0.05")
        }
        return isPercent ? value / 100 : value
    }
}
