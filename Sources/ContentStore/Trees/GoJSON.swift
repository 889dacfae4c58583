internal import Platform

// Strings, numbers and byte slices as Go's encoding/json writes them. Everything appends to an
// OutputSpan whose room the caller has made sure of; running out of it traps.

extension OutputSpan<UInt8> {
    /// Appends constant text.
    @inline(__always)
    mutating func append(literal: StaticString) {
        unsafe withUnsafeMutableBufferPointer { pointer, initialized in
            let count = literal.utf8CodeUnitCount
            precondition(count <= pointer.count - initialized)
            guard let base = pointer.baseAddress else { return }
            unsafe (base + initialized).update(from: literal.utf8Start, count: count)
            initialized += count
        }
    }

    /// Appends bytes as they are.
    @inline(__always)
    mutating func append(raw bytes: Span<UInt8>) {
        unsafe withUnsafeMutableBufferPointer { pointer, initialized in
            unsafe bytes.withUnsafeBufferPointer { source in
                precondition(source.count <= pointer.count - initialized)
                guard let base = pointer.baseAddress, let from = source.baseAddress else { return }
                unsafe (base + initialized).update(from: from, count: source.count)
                initialized += source.count
            }
        }
    }

    /// Appends a number in decimal.
    mutating func append(decimal value: UInt64) {
        if value < 10 {
            append(0x30 + UInt8(truncatingIfNeeded: value))
            return
        }
        unsafe withUnsafeMutableBufferPointer { pointer, initialized in
            var digits = 1
            var rest = value
            while rest >= 10 {
                rest /= 10
                digits += 1
            }
            precondition(digits <= pointer.count - initialized)
            rest = value
            for i in stride(from: initialized + digits - 1, through: initialized, by: -1) {
                unsafe pointer[i] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
            initialized += digits
        }
    }

    /// Appends the 64 lower-case hexadecimal digits of a digest.
    mutating func append(hex digest: Digest) {
        let (a, b, c, d) = digest.words
        append(hexWord: a)
        append(hexWord: b)
        append(hexWord: c)
        append(hexWord: d)
    }

    private mutating func append(hexWord word: UInt64) {
        append(hexHalf: word >> 32)
        append(hexHalf: word & 0xFFFF_FFFF)
    }

    /// Appends 8 digits, all computed at once: one digit in each byte of a word.
    @inline(__always)
    private mutating func append(hexHalf half: UInt64) {
        var x = UInt64(UInt32(truncatingIfNeeded: half).byteSwapped)
        x = (x << 16 | x) & 0x0000_FFFF_0000_FFFF
        x = (x << 8 | x) & 0x00FF_00FF_00FF_00FF
        x = x >> 4 & 0x000F_000F_000F_000F | (x & 0x000F_000F_000F_000F) << 8
        let letters = ((x &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        let text = x &+ 0x3030_3030_3030_3030 &+ letters &* 0x27
        unsafe withUnsafeMutableBufferPointer { pointer, initialized in
            precondition(8 <= pointer.count - initialized)
            guard let base = pointer.baseAddress else { return }
            unsafe UnsafeMutableRawPointer(base + initialized)
                .storeBytes(of: text.littleEndian, as: UInt64.self)
            initialized += 8
        }
    }

    /// Appends the inside of a JSON string: valid UTF-8 mostly as it is, at most 6 bytes for each.
    ///
    /// `<`, `>`, `&`, U+2028 and U+2029 are escaped, and a byte that is not UTF-8 becomes `\ufffd`
    /// (Go 1.22 and later, which write `\b` and `\f` in short).
    mutating func append(jsonText text: Span<UInt8>) {
        if isPlain(text) {
            append(raw: text)
            return
        }
        var at = 0
        while at < text.count {
            let byte = text[at]
            if byte < 0x80 {
                append(jsonASCII: byte)
                at += 1
                continue
            }
            guard let (scalar, width) = decodeScalar(text, at) else {
                append(literal: "\\ufffd")
                at += 1
                continue
            }
            switch scalar {
            case 0x2028: append(literal: "\\u2028")
            case 0x2029: append(literal: "\\u2029")
            default: for i in at..<(at + width) { append(text[i]) }
            }
            at += width
        }
    }

    private mutating func append(jsonASCII byte: UInt8) {
        switch byte {
        case 0x22: append(literal: "\\\"")
        case 0x5C: append(literal: "\\\\")
        case 0x08: append(literal: "\\b")
        case 0x0C: append(literal: "\\f")
        case 0x0A: append(literal: "\\n")
        case 0x0D: append(literal: "\\r")
        case 0x09: append(literal: "\\t")
        case 0x3C, 0x3E, 0x26, 0..<0x20:
            append(literal: "\\u00")
            append(0x30 + byte >> 4)
            append(byte & 15 < 10 ? 0x30 + byte & 15 : 0x57 + byte & 15)
        default: append(byte)
        }
    }

    /// Appends standard base64 with padding.
    mutating func append(base64 bytes: Span<UInt8>) {
        var at = 0
        while at < bytes.count {
            let left = bytes.count - at
            var group = UInt32(bytes[at]) << 16
            if left > 1 { group |= UInt32(bytes[at + 1]) << 8 }
            if left > 2 { group |= UInt32(bytes[at + 2]) }
            append(base64Digit(group >> 18))
            append(base64Digit(group >> 12))
            append(left > 1 ? base64Digit(group >> 6) : 0x3D)
            append(left > 2 ? base64Digit(group) : 0x3D)
            at += 3
        }
    }
}

/// Whether a JSON string, and strconv.Quote, keep `text` as it is: ASCII without anything special.
func isPlain(_ text: Span<UInt8>) -> Bool {
    for i in text.indices {
        let byte = text[i]
        // Printable ASCII, as one comparison; then what JSON or Quote escape.
        guard byte &- 0x20 < 0x5F else { return false }
        if byte == 0x22 || byte == 0x5C || byte == 0x3C || byte == 0x3E || byte == 0x26 {
            return false
        }
    }
    return true
}

/// Whether the whole text is UTF-8, as Go's utf8.Valid says.
func isValidUTF8(_ text: Span<UInt8>) -> Bool {
    var at = 0
    while at < text.count {
        guard let (_, width) = decodeScalar(text, at) else { return false }
        at += width
    }
    return true
}

private func base64Digit(_ group: UInt32) -> UInt8 {
    switch UInt8(truncatingIfNeeded: group & 63) {
    case let v where v < 26: 0x41 + v
    case let v where v < 52: 0x61 + (v - 26)
    case let v where v < 62: 0x30 + (v - 52)
    case 62: 0x2B
    default: 0x2F
    }
}

/// The bytes of standard padded base64, line breaks ignored as in Go; nil for anything else.
func decodeBase64(_ text: Span<UInt8>) -> [UInt8]? {
    var output: [UInt8] = []
    output.reserveCapacity(text.count / 4 * 3)
    var group: UInt32 = 0
    var digits = 0
    var padding = 0
    for i in text.indices {
        let byte = text[i]
        if byte == 0x0A || byte == 0x0D { continue }
        let value: UInt32
        switch byte {
        case 0x41...0x5A: value = UInt32(byte - 0x41)
        case 0x61...0x7A: value = UInt32(byte - 0x61) + 26
        case 0x30...0x39: value = UInt32(byte - 0x30) + 52
        case 0x2B: value = 62
        case 0x2F: value = 63
        case 0x3D:
            padding += 1
            value = 0
        default: return nil
        }
        // Padding is at most the last two digits of the last group.
        if padding > 0, byte != 0x3D || digits < 2 || padding > 2 { return nil }
        group = group << 6 | value
        digits += 1
        guard digits == 4 else { continue }
        output.append(UInt8(truncatingIfNeeded: group >> 16))
        if padding < 2 { output.append(UInt8(truncatingIfNeeded: group >> 8)) }
        if padding < 1 { output.append(UInt8(truncatingIfNeeded: group)) }
        group = 0
        digits = 0
    }
    return digits == 0 ? output : nil
}
