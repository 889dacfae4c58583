/// Appends `text` as a JSON string with its quotes (RFC 8259): control characters, quote and
/// backslash are escaped, everything else stays as it is.
package func appendJSONString(_ text: String, to output: inout [UInt8]) {
    output.append(0x22)
    for byte in text.utf8 {
        switch byte {
        case 0x22, 0x5C:
            output.append(0x5C)
            output.append(byte)
        case 0..<0x20:
            output += Array("\\u00".utf8)
            for digit in [byte >> 4, byte & 15] {
                output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
            }
        default: output.append(byte)
        }
    }
    output.append(0x22)
}
