/// Names as restic keeps them: Go's strconv.Quote without the outer quotes, over any bytes.
package enum GoQuote {
    /// Appends the quoted form of `bytes`.
    package static func quote(_ bytes: Span<UInt8>, into output: inout [UInt8]) {
        var at = 0
        while at < bytes.count {
            guard let (scalar, width) = decodeScalar(bytes, at) else {
                output.append(0x5C)
                output.append(0x78)
                appendHex(UInt32(bytes[at]), digits: 2, to: &output)
                at += 1
                continue
            }
            if scalar == 0x22 || scalar == 0x5C {
                output.append(0x5C)
                output.append(UInt8(scalar))
            } else if isPrint(scalar) {
                for i in at..<(at + width) { output.append(bytes[i]) }
            } else {
                appendEscape(scalar, to: &output)
            }
            at += width
        }
    }

    /// The bytes that `text`, valid UTF-8 without outer quotes, stands for, as Go's strconv.Unquote
    /// reads it; nil where Go reports a syntax error.
    package static func unquote(_ text: Span<UInt8>) -> [UInt8]? {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var at = 0
        while at < text.count {
            let byte = text[at]
            at += 1
            switch byte {
            case 0x5C:
                guard unescape(text, &at, &output) else { return nil }
            case 0x22, 0x0A:
                return nil
            default:
                output.append(byte)
            }
        }
        return output
    }

    /// Whether Go's unicode.IsPrint holds: letters, marks, numbers, punctuation, symbols and the
    /// ASCII space, of the characters that Unicode 15.0 (the tables of Go 1.21 and later) assigns.
    package static func isPrint(_ scalar: UInt32) -> Bool {
        if scalar < 0x80 { return scalar >= 0x20 && scalar < 0x7F }
        // The common blocks that are printable throughout.
        if (0xAE...0x24F).contains(scalar) || (0x4E00...0x9FFF).contains(scalar)
            || (0xAC00...0xD7A3).contains(scalar)
        {
            return true
        }
        guard let properties = Unicode.Scalar(scalar)?.properties, let age = properties.age,
            age.major < 15 || age.major == 15 && age.minor == 0
        else { return false }
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .spaceSeparator,
            .lineSeparator, .paragraphSeparator:
            return false
        default:
            return true
        }
    }

    private static func appendEscape(_ scalar: UInt32, to output: inout [UInt8]) {
        output.append(0x5C)
        switch scalar {
        case 0x07: output.append(0x61)
        case 0x08: output.append(0x62)
        case 0x0C: output.append(0x66)
        case 0x0A: output.append(0x6E)
        case 0x0D: output.append(0x72)
        case 0x09: output.append(0x74)
        case 0x0B: output.append(0x76)
        case ..<0x20, 0x7F:
            output.append(0x78)
            appendHex(scalar, digits: 2, to: &output)
        case ..<0x10000:
            output.append(0x75)
            appendHex(scalar, digits: 4, to: &output)
        default:
            output.append(0x55)
            appendHex(scalar, digits: 8, to: &output)
        }
    }

    private static func appendHex(_ value: UInt32, digits: Int, to output: inout [UInt8]) {
        for i in stride(from: (digits - 1) * 4, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: value >> UInt32(i) & 15)
            output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }

    /// Reads what follows a backslash; false where it is no escape of Go's.
    private static func unescape(
        _ text: Span<UInt8>, _ at: inout Int, _ output: inout [UInt8]
    ) -> Bool {
        guard at < text.count else { return false }
        let letter = text[at]
        at += 1
        switch letter {
        case 0x61: output.append(0x07)
        case 0x62: output.append(0x08)
        case 0x66: output.append(0x0C)
        case 0x6E: output.append(0x0A)
        case 0x72: output.append(0x0D)
        case 0x74: output.append(0x09)
        case 0x76: output.append(0x0B)
        case 0x22, 0x5C: output.append(letter)
        case 0x78:
            guard let value = readHex(text, &at, digits: 2) else { return false }
            output.append(UInt8(value))
        case 0x75, 0x55:
            guard let value = readHex(text, &at, digits: letter == 0x75 ? 4 : 8),
                Unicode.Scalar(value) != nil
            else { return false }
            appendUTF8(value, to: &output)
        case 0x30...0x37:
            guard at + 2 <= text.count, text[at] & 0xF8 == 0x30, text[at + 1] & 0xF8 == 0x30
            else { return false }
            let value =
                Int(letter & 7) << 6 | Int(text[at] & 7) << 3 | Int(text[at + 1] & 7)
            guard value < 256 else { return false }
            output.append(UInt8(value))
            at += 2
        default: return false
        }
        return true
    }

    private static func readHex(_ text: Span<UInt8>, _ at: inout Int, digits: Int) -> UInt32? {
        guard at + digits <= text.count else { return nil }
        var value: UInt32 = 0
        for i in at..<(at + digits) {
            guard let digit = hexDigit(text[i]) else { return nil }
            value = value << 4 | digit
        }
        at += digits
        return value
    }
}

/// The value of a hexadecimal digit of either case.
func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(byte - 0x30)
    case 0x61...0x66: UInt32(byte - 0x57)
    case 0x41...0x46: UInt32(byte - 0x37)
    default: nil
    }
}
