/// Amounts as people write them in options: sizes, times, shares.
///
/// Numbers are decimal, with or without a fraction; each function gives nil for anything else.
package enum Quantity {
    /// Bytes: `500M`, `1.5G`, `4096`; units are powers of 1024.
    package static func bytes(_ text: String) -> UInt64? {
        let units: [Character: Double] = [
            "K": 0x1p10, "M": 0x1p20, "G": 0x1p30, "T": 0x1p40,
        ]
        var number = text.uppercased()[...]
        if number.hasSuffix("IB") {
            number.removeLast(2)
        } else if number.hasSuffix("B") {
            number.removeLast()
        }
        guard let value = scaled(number, units), value < 0x1p63 else { return nil }
        return UInt64(value)
    }

    /// Seconds: `90s`, `1.5h`, `7d`, `4w`, or a number of seconds; less than 300 years.
    package static func seconds(_ text: String) -> Double? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800]
        guard let value = scaled(text[...], units), value < 1e10 else { return nil }
        return value
    }

    /// A share, 1 for all: `5%` or `0.05`.
    ///
    /// A number above 1 has to say that it is percent: with `5` some mean the one, some the other.
    package static func share(_ text: String) -> Double? {
        guard text.hasSuffix("%") else {
            return decimal(text[...]).flatMap { $0 <= 1 ? $0 : nil }
        }
        return decimal(text.dropLast()).flatMap { $0 <= 1e6 ? $0 / 100 : nil }
    }

    private static func scaled(_ text: Substring, _ units: [Character: Double]) -> Double? {
        guard let last = text.last, let unit = units[last] else { return decimal(text) }
        return decimal(text.dropLast()).map { $0 * unit }
    }

    /// Digits with at most one point: no sign, no exponent, no word.
    private static func decimal(_ text: Substring) -> Double? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }) else {
            return nil
        }
        return Double(text)
    }
}
