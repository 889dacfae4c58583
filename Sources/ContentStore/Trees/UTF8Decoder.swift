/// Decodes one code point as Go's utf8.DecodeRune does: nil where the bytes at `at` are not valid
/// UTF-8, in which case exactly one byte counts as bad.
func decodeScalar(_ bytes: Span<UInt8>, _ at: Int) -> (scalar: UInt32, width: Int)? {
    let first = bytes[at]
    if first < 0x80 { return (UInt32(first), 1) }
    let left = bytes.count - at
    guard first >= 0xC2, first <= 0xF4, left >= 2 else { return nil }
    let second = bytes[at + 1]
    // RFC 3629, section 4: the second byte's range excludes overlong forms and surrogates.
    let low: UInt8 = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80
    let high: UInt8 = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF
    guard second >= low, second <= high else { return nil }
    if first < 0xE0 { return (UInt32(first & 0x1F) << 6 | UInt32(second & 0x3F), 2) }
    guard left >= 3, bytes[at + 2] & 0xC0 == 0x80 else { return nil }
    let third = UInt32(bytes[at + 2] & 0x3F)
    if first < 0xF0 {
        return (UInt32(first & 0x0F) << 12 | UInt32(second & 0x3F) << 6 | third, 3)
    }
    guard left >= 4, bytes[at + 3] & 0xC0 == 0x80 else { return nil }
    let fourth = UInt32(bytes[at + 3] & 0x3F)
    return (UInt32(first & 0x07) << 18 | UInt32(second & 0x3F) << 12 | third << 6 | fourth, 4)
}

/// Appends the UTF-8 form of a Unicode scalar value.
func appendUTF8(_ scalar: UInt32, to output: inout [UInt8]) {
    switch scalar {
    case ..<0x80: output.append(UInt8(scalar))
    case ..<0x800:
        output.append(UInt8(0xC0 | scalar >> 6))
        output.append(UInt8(0x80 | scalar & 0x3F))
    case ..<0x10000:
        output.append(UInt8(0xE0 | scalar >> 12))
        output.append(UInt8(0x80 | scalar >> 6 & 0x3F))
        output.append(UInt8(0x80 | scalar & 0x3F))
    default:
        output.append(UInt8(0xF0 | scalar >> 18 & 0x07))
        output.append(UInt8(0x80 | scalar >> 12 & 0x3F))
        output.append(UInt8(0x80 | scalar >> 6 & 0x3F))
        output.append(UInt8(0x80 | scalar & 0x3F))
    }
}
