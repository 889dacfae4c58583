/// Writes JSON into memory whose size was bounded before: every write checks that it fits.
@safe struct JSONWriter {
    private let base: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    /// Bytes written.
    private(set) var count = 0

    /// Writes to `base`, at most `capacity` bytes.
    init(base: UnsafeMutablePointer<UInt8>, capacity: Int) {
        unsafe self.base = unsafe base
        self.capacity = capacity
    }

    /// Appends at most `bound` bytes to `output` by `body`.
    static func append(
        to output: inout [UInt8], bound: Int, _ body: (inout JSONWriter) -> Void
    ) {
        if output.capacity - output.count < bound {
            // Grow geometrically: many lines go into one buffer.
            output.reserveCapacity(max(output.capacity * 2, output.count + bound))
        }
        output.append(
            addingCapacity: bound,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { buffer, initialized in
                    guard let base = buffer.baseAddress else { return }
                    var writer = unsafe JSONWriter(base: base + initialized, capacity: bound)
                    body(&writer)
                    initialized += writer.count
                }
            })
    }

    /// Bytes that are JSON already.
    @inline(__always) mutating func raw(_ text: StaticString) {
        let length = text.utf8CodeUnitCount
        precondition(length <= capacity - count)
        unsafe (base + count).update(from: text.utf8Start, count: length)
        count += length
    }

    /// One byte that is JSON already.
    @inline(__always) mutating func byte(_ byte: UInt8) {
        precondition(count < capacity)
        unsafe base[count] = byte
        count += 1
    }

    @inline(__always) mutating func bool(_ value: Bool) {
        if value { raw("true") } else { raw("false") }
    }

    /// A decimal number.
    mutating func number(_ value: UInt64) {
        if value < 10 { return byte(48 + UInt8(truncatingIfNeeded: value)) }
        var length = 1
        var power: UInt64 = 10
        while value >= power {
            length += 1
            let (next, over) = power.multipliedReportingOverflow(by: 10)
            if over { break }
            power = next
        }
        digits(value, length)
    }

    /// The lowest `length` decimal digits of `value`, with leading zeros.
    private mutating func digits(_ value: UInt64, _ length: Int) {
        precondition(length <= capacity - count)
        var rest = value
        let start = count
        var at = count + length
        count = at
        // Two digits for each division.
        while at >= start + 2 {
            at -= 2
            let next = rest / 100
            let pair = UInt8(truncatingIfNeeded: rest - next * 100)
            let tens = pair / 10
            unsafe base[at] = 48 + tens
            unsafe base[at + 1] = 48 + (pair - tens * 10)
            rest = next
        }
        if at > start { unsafe base[start] = 48 + UInt8(truncatingIfNeeded: rest % 10) }
    }

    /// Nanoseconds since the epoch: `seconds` × 10^9 + `nanoseconds`.
    mutating func time(seconds: Int64, nanoseconds: UInt32) {
        if seconds > 0, nanoseconds < 1_000_000_000 {
            number(UInt64(seconds))
            digits(UInt64(nanoseconds), 9)
        } else {
            let total = Int128(seconds) * 1_000_000_000 + Int128(nanoseconds)
            if let small = UInt64(exactly: total) { return number(small) }
            for digit in String(total).utf8 { byte(digit) }
        }
    }

    /// A signed number.
    mutating func signed(_ value: Int64) {
        if value < 0 { byte(UInt8(ascii: "-")) }
        number(value.magnitude)
    }

    /// A string with its quotes: quote, backslash and control characters are escaped, all other
    /// UTF-8 stays.
    ///
    /// The bytes must be valid UTF-8.
    mutating func string(_ bytes: [UInt8]) {
        byte(UInt8(ascii: "\""))
        let length = bytes.count
        precondition(length <= capacity - count)
        unsafe bytes.withUnsafeBufferPointer { source in
            guard let from = source.baseAddress else { return }
            var at = 0
            while at < length {
                // Eight bytes at once as long as none of them is special.
                while at + 8 <= length {
                    let word = unsafe UnsafeRawPointer(from + at).loadUnaligned(as: UInt64.self)
                    if hasSpecial(word) { break }
                    precondition(capacity - count >= 8)
                    unsafe UnsafeMutableRawPointer(base + count).storeBytes(
                        of: word, as: UInt64.self)
                    count += 8
                    at += 8
                }
                let end = min(length, at + 8)
                while at < end {
                    unsafe escaped(from[at])
                    at += 1
                }
            }
        }
        byte(UInt8(ascii: "\""))
    }

    @inline(__always) private mutating func escaped(_ value: UInt8) {
        switch value {
        case 0x22: raw("\\\"")
        case 0x5C: raw("\\\\")
        case 0x0A: raw("\\n")
        case 0x0D: raw("\\r")
        case 0x09: raw("\\t")
        case 0..<0x20:
            raw("\\u00")
            hexDigit(value >> 4)
            hexDigit(value & 15)
        default: byte(value)
        }
    }

    private mutating func hexDigit(_ value: UInt8) {
        byte(value < 10 ? 48 + value : 87 + value)
    }

    /// Text with its quotes.
    mutating func string(_ text: String) {
        string(Array(text.utf8))
    }

    /// Base64 (RFC 4648 section 4, padded) with its quotes.
    mutating func base64(_ bytes: [UInt8]) {
        byte(UInt8(ascii: "\""))
        var at = 0
        while at < bytes.count {
            let a = bytes[at]
            let b = at + 1 < bytes.count ? bytes[at + 1] : 0
            let c = at + 2 < bytes.count ? bytes[at + 2] : 0
            byte(base64Digit(a >> 2))
            byte(base64Digit((a & 3) << 4 | b >> 4))
            byte(at + 1 < bytes.count ? base64Digit((b & 15) << 2 | c >> 6) : 0x3D)
            byte(at + 2 < bytes.count ? base64Digit(c & 63) : 0x3D)
            at += 3
        }
        byte(UInt8(ascii: "\""))
    }
}

/// Whether one of the eight bytes is a control character, a quote or a backslash.
@inline(__always) func hasSpecial(_ word: UInt64) -> Bool {
    let ones: UInt64 = 0x0101_0101_0101_0101
    let high: UInt64 = 0x8080_8080_8080_8080
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    // The classical zero-byte test; it may report a byte too much beside a real one, never less.
    let found =
        ((word &- ones &* 0x20) & ~word)
        | ((quote &- ones) & ~quote)
        | ((backslash &- ones) & ~backslash)
    return found & high != 0
}

@inline(__always) private func base64Digit(_ value: UInt8) -> UInt8 {
    switch value {
    case 0..<26: 65 + value
    case 26..<52: 71 + value
    case 52..<62: value &- 4
    case 62: UInt8(ascii: "+")
    default: UInt8(ascii: "/")
    }
}

/// Whether the bytes are UTF-8 as JSON text needs it.
func isUTF8(_ bytes: Span<UInt8>) -> Bool {
    var at = 0
    let count = bytes.count
    while at < count, bytes[at] < 0x80 { at += 1 }
    if at == count { return true }
    return (try? UTF8Span(validating: bytes.extracting(at..<count))) != nil
}
