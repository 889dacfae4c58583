/// A SHA-256 digest, or anything else of 32 bytes that names a thing: blobs, packs, trees.
package struct Digest: Sendable, Hashable, Comparable, CustomStringConvertible {
    private var a: UInt64
    private var b: UInt64
    private var c: UInt64
    private var d: UInt64

    /// The digest from 32 bytes; nil for any other count.
    package init?(_ bytes: Span<UInt8>) {
        guard bytes.count == 32 else { return nil }
        a = Digest.word(bytes, 0)
        b = Digest.word(bytes, 8)
        c = Digest.word(bytes, 16)
        d = Digest.word(bytes, 24)
    }

    /// The digest from its four words, most significant byte first.
    package init(words: (UInt64, UInt64, UInt64, UInt64)) {
        (a, b, c, d) = words
    }

    /// The four words that `init(words:)` takes, for codecs that write digits in bulk.
    package var words: (UInt64, UInt64, UInt64, UInt64) { (a, b, c, d) }

    /// The digest from 64 lower-case hexadecimal digits; nil for anything else.
    package init?(hex: Span<UInt8>) {
        guard hex.count == 64 else { return nil }
        self.init(hex: hex, at: 0)
    }

    /// The digest from the 64 lower-case hexadecimal digits that begin at `start`; nil for anything
    /// else.
    package init?(hex: Span<UInt8>, at start: Int) {
        guard start >= 0, start <= hex.count - 64, let a = Digest.hexWord(hex, start),
            let b = Digest.hexWord(hex, start + 16), let c = Digest.hexWord(hex, start + 32),
            let d = Digest.hexWord(hex, start + 48)
        else { return nil }
        self.init(words: (a, b, c, d))
    }

    /// The digest from a string of 64 lower-case hexadecimal digits; nil for anything else.
    package init?(hex: String) {
        let bytes = Array(hex.utf8)
        self.init(hex: bytes.span)
    }

    /// One word is as good as all: it is part of a hash already.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(a)
    }

    /// Appends the 32 bytes.
    package func append(to output: inout [UInt8]) {
        for word in [a, b, c, d] {
            for shift in stride(from: 56, through: 0, by: -8) {
                output.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
    }

    /// Appends the 64 lower-case hexadecimal digits.
    package func appendHex(to output: inout [UInt8]) {
        Digest.appendHex(a, &output)
        Digest.appendHex(b, &output)
        Digest.appendHex(c, &output)
        Digest.appendHex(d, &output)
    }

    /// The 32 bytes.
    package var bytes: [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(32)
        append(to: &output)
        return output
    }

    /// The 64 lower-case hexadecimal digits.
    package var description: String {
        var output: [UInt8] = []
        output.reserveCapacity(64)
        appendHex(to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    /// The first 8 digits, for people.
    package var short: String { String(description.prefix(8)) }

    /// The first 64 bits, for filters that need a hash of a hash.
    package var prefix64: UInt64 { a }

    package static func < (x: Digest, y: Digest) -> Bool {
        (x.a, x.b, x.c, x.d) < (y.a, y.b, y.c, y.d)
    }

    private static func word(_ bytes: Span<UInt8>, _ at: Int) -> UInt64 {
        var word: UInt64 = 0
        for i in at..<(at + 8) { word = word << 8 | UInt64(bytes[i]) }
        return word
    }

    /// Of 16 digits; without a branch for each.
    private static func hexWord(_ bytes: Span<UInt8>, _ at: Int) -> UInt64? {
        var word: UInt64 = 0
        var bad: UInt8 = 0
        for i in at..<(at + 16) {
            let value = hexValues[Int(bytes[i])]
            bad |= value
            word = word << 4 | UInt64(value & 15)
        }
        return bad & 0xF0 == 0 ? word : nil
    }

    private static func appendHex(_ word: UInt64, _ output: inout [UInt8]) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
            output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }
}

/// The value of each lower-case hexadecimal digit, 0xFF for other bytes.
private let hexValues: [256 of UInt8] = InlineArray { (index: Int) -> UInt8 in
    switch index {
    case 0x30...0x39: UInt8(index - 0x30)
    case 0x61...0x66: UInt8(index - 0x57)
    default: 0xFF
    }
}
