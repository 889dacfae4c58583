/// SipHash-2-4 of a short message under a 128-bit key (Aumasson and Bernstein, 2012).
///
/// A keyed function whose values nobody can tell from random ones without the key.
package func sipHash24(key: (UInt64, UInt64), _ message: Span<UInt8>) -> UInt64 {
    var v0 = key.0 ^ 0x736F_6D65_7073_6575
    var v1 = key.1 ^ 0x646F_7261_6E64_6F6D
    var v2 = key.0 ^ 0x6C79_6765_6E65_7261
    var v3 = key.1 ^ 0x7465_6462_7974_6573

    func rotate(_ x: UInt64, _ n: UInt64) -> UInt64 { x << n | x >> (64 - n) }
    func round() {
        v0 &+= v1
        v1 = rotate(v1, 13) ^ v0
        v0 = rotate(v0, 32)
        v2 &+= v3
        v3 = rotate(v3, 16) ^ v2
        v0 &+= v3
        v3 = rotate(v3, 21) ^ v0
        v2 &+= v1
        v1 = rotate(v1, 17) ^ v2
        v2 = rotate(v2, 32)
    }
    func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    let whole = message.count & ~7
    for start in stride(from: 0, to: whole, by: 8) {
        absorb(littleEndianWord(message.extracting(start..<(start + 8))))
    }
    // The last word holds what is left and, in its top byte, the length.
    absorb(
        littleEndianWord(message.extracting(whole..<message.count))
            | UInt64(message.count & 0xFF) << 56)
    v2 ^= 0xFF
    for _ in 0..<4 { round() }
    return v0 ^ v1 ^ v2 ^ v3
}

/// The number that at most 8 bytes spell, lowest byte first.
func littleEndianWord(_ bytes: Span<UInt8>) -> UInt64 {
    var word: UInt64 = 0
    for i in bytes.indices { word |= UInt64(bytes[i]) << UInt64(8 * i) }
    return word
}
