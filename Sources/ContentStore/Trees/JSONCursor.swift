internal import Platform

/// Why reading JSON stopped.
enum JSONProblem: Error {
    /// The bytes end inside of the value: more may complete it.
    case incomplete
    /// The bytes are not what they should be; what was expected there.
    case invalid(String)
}

/// Reads JSON tokens from bytes that stay where they are.
struct JSONCursor: ~Escapable {
    let bytes: Span<UInt8>
    /// The next byte to read.
    var at: Int

    @_lifetime(copy bytes)
    init(_ bytes: Span<UInt8>, at: Int) {
        self.bytes = bytes
        self.at = at
    }

    /// A string token: the range of its inside, and whether it needs decoding because it has
    /// escapes or anything beyond ASCII.
    struct Text {
        var start: Int
        var end: Int
        var plain: Bool
    }

    /// The next byte that is not white space, not consumed.
    @inline(__always)
    @_lifetime(self: copy self)
    mutating func peek() throws(JSONProblem) -> UInt8 {
        while at < bytes.count {
            let byte = bytes[at]
            if byte > 0x20 { return byte }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else {
                throw .invalid("a control character")
            }
            at += 1
        }
        throw .incomplete
    }

    /// Consumes `byte` after white space; false, consuming only that, where another one is next.
    @inline(__always)
    @_lifetime(self: copy self)
    mutating func take(_ byte: UInt8) throws(JSONProblem) -> Bool {
        guard try peek() == byte else { return false }
        at += 1
        return true
    }

    /// Consumes `byte` after white space, which must be next.
    @inline(__always)
    @_lifetime(self: copy self)
    mutating func expect(_ byte: UInt8, _ what: StaticString) throws(JSONProblem) {
        guard try take(byte) else { throw .invalid("\(what)") }
    }

    /// Consumes `null`; false where something else is next.
    @inline(__always)
    @_lifetime(self: copy self)
    mutating func takeNull() throws(JSONProblem) -> Bool {
        guard try peek() == 0x6E else { return false }
        guard at + 4 <= bytes.count else { throw .incomplete }
        guard matches("null", at) else { throw .invalid("a value") }
        at += 4
        return true
    }

    /// Consumes a string token.
    @_lifetime(self: copy self)
    mutating func text() throws(JSONProblem) -> Text {
        try expect(0x22, "a string")
        let start = at
        var plain = true
        while true {
            skipPlainText()
            guard at < bytes.count else { throw .incomplete }
            let byte = bytes[at]
            switch byte {
            case 0x22:
                at += 1
                return Text(start: start, end: at - 1, plain: plain)
            case 0x5C:
                plain = false
                guard at + 1 < bytes.count else { throw .incomplete }
                at += 2
            case 0..<0x20:
                throw .invalid("a control character in a string")
            default:
                if byte >= 0x80 { plain = false }
                at += 1
            }
        }
    }

    /// Goes on to the next byte that is not printable ASCII, or is a quote or a backslash; near the
    /// end of the bytes it may stop earlier.
    @inline(__always)
    @_lifetime(self: copy self)
    private mutating func skipPlainText() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        while at &+ 8 <= bytes.count {
            let word = unsafe bytes.bytes.unsafeLoadUnaligned(
                fromByteOffset: at, as: UInt64.self
            ).littleEndian
            // Each term has the top bit of the first byte that it looks for: below 0x20, the quote,
            // the backslash; the last also has those beyond ASCII.
            let quote = word ^ ones &* 0x22
            let backslash = word ^ ones &* 0x5C
            let found =
                ((word &- ones &* 0x20) & ~word | (quote &- ones) & ~quote
                    | (backslash &- ones) & ~backslash | word) & (ones &* 0x80)
            if found != 0 {
                at &+= found.trailingZeroBitCount &>> 3
                return
            }
            at &+= 8
        }
    }

    /// Consumes a number without sign, fraction and exponent.
    @_lifetime(self: copy self)
    mutating func unsigned() throws(JSONProblem) -> UInt64 {
        var value = UInt64(try peek() &- 0x30)
        guard value < 10 else { throw .invalid("a whole number") }
        at += 1
        while at < bytes.count {
            let byte = bytes[at]
            let digit = byte &- 0x30
            if digit < 10 {
                let (product, over) = value.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
                guard !over, !carry else { throw .invalid("a number of at most 64 bits") }
                value = sum
                at += 1
                continue
            }
            guard byte != 0x2E, byte | 0x20 != 0x65 else { throw .invalid("a whole number") }
            return value
        }
        // The number may go on in what follows.
        throw .incomplete
    }

    /// Consumes a number of at most 32 bits.
    @_lifetime(self: copy self)
    mutating func unsigned32() throws(JSONProblem) -> UInt32 {
        guard let value = UInt32(exactly: try unsigned()) else {
            throw .invalid("a number of at most 32 bits")
        }
        return value
    }

    /// Consumes a string of 64 hexadecimal digits.
    @_lifetime(self: copy self)
    mutating func digest() throws(JSONProblem) -> Digest {
        try expect(0x22, "an id")
        guard at + 65 <= bytes.count else {
            _ = try textAfterQuote()
            throw .invalid("an id of 64 digits")
        }
        guard bytes[at + 64] == 0x22, let digest = Digest(hex: bytes, at: at) else {
            throw .invalid("an id of 64 digits")
        }
        at += 65
        return digest
    }

    @_lifetime(self: copy self)
    private mutating func textAfterQuote() throws(JSONProblem) -> Text {
        at -= 1
        return try text()
    }

    /// Consumes any value.
    @_lifetime(self: copy self)
    mutating func skipValue() throws(JSONProblem) {
        switch try peek() {
        case 0x7D, 0x5D, 0x2C, 0x3A: throw .invalid("a value")
        default: break
        }
        var boundary = JSONBoundary()
        guard let end = boundary.scan(bytes, from: at) else { throw .incomplete }
        at = end
    }

    /// The bytes that a string token means, valid UTF-8: escapes undone, and as in Go anything that
    /// is not Unicode replaced by U+FFFD.
    func decode(_ text: Text) throws(JSONProblem) -> [UInt8] {
        let inside = bytes.extracting(text.start..<text.end)
        var output: [UInt8] = []
        output.reserveCapacity(inside.count)
        if text.plain {
            for i in inside.indices { output.append(inside[i]) }
            return output
        }
        var at = 0
        while at < inside.count {
            let byte = inside[at]
            if byte == 0x5C {
                try unescape(inside, &at, &output)
            } else if byte < 0x80 {
                output.append(byte)
                at += 1
            } else if let (scalar, width) = decodeScalar(inside, at) {
                appendUTF8(scalar, to: &output)
                at += width
            } else {
                appendUTF8(0xFFFD, to: &output)
                at += 1
            }
        }
        return output
    }

    private func unescape(
        _ text: Span<UInt8>, _ at: inout Int, _ output: inout [UInt8]
    ) throws(JSONProblem) {
        // `text()` has seen to it that a byte follows each backslash.
        let letter = text[at + 1]
        at += 2
        switch letter {
        case 0x22, 0x5C, 0x2F: output.append(letter)
        case 0x62: output.append(0x08)
        case 0x66: output.append(0x0C)
        case 0x6E: output.append(0x0A)
        case 0x72: output.append(0x0D)
        case 0x74: output.append(0x09)
        case 0x75:
            guard let unit = codeUnit(text, at) else { throw .invalid("four digits after \\u") }
            at += 4
            if unit & 0xFC00 == 0xD800, at + 6 <= text.count, text[at] == 0x5C,
                text[at + 1] == 0x75, let low = codeUnit(text, at + 2), low & 0xFC00 == 0xDC00
            {
                at += 6
                appendUTF8(0x10000 + (unit & 0x3FF) << 10 + (low & 0x3FF), to: &output)
            } else {
                appendUTF8(unit & 0xF800 == 0xD800 ? 0xFFFD : unit, to: &output)
            }
        default: throw .invalid("an escape of JSON's")
        }
    }

    private func codeUnit(_ text: Span<UInt8>, _ at: Int) -> UInt32? {
        guard at + 4 <= text.count else { return nil }
        var value: UInt32 = 0
        for i in at..<(at + 4) {
            guard let digit = hexDigit(text[i]) else { return nil }
            value = value << 4 | digit
        }
        return value
    }

    /// Whether the bytes from `index` start with `literal`.
    @inline(__always)
    func matches(_ literal: StaticString, _ index: Int) -> Bool {
        guard index + literal.utf8CodeUnitCount <= bytes.count else { return false }
        let start = unsafe literal.utf8Start
        for i in 0..<literal.utf8CodeUnitCount
        where unsafe bytes[index + i] != start[i] { return false }
        return true
    }

    /// Whether the inside of a string token is exactly `literal`.
    @inline(__always)
    func equals(_ text: Text, _ literal: StaticString) -> Bool {
        text.end - text.start == literal.utf8CodeUnitCount && matches(literal, text.start)
    }
}
