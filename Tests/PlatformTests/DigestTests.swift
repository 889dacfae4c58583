import Platform
import TestSupport
import Testing

/// The digits of digests.
@Suite struct DigestTests {
    @Test func digitsComeBack() throws {
        var generator = SeededGenerator(seed: 8)
        for _ in 0..<100 {
            let words = (generator.next(), generator.next(), generator.next(), generator.next())
            let digest = Digest(words: words)
            let text = "\(digest)"
            #expect(text.utf8.count == 64)
            #expect(Digest(hex: text) == digest)
            let line = Array("xy\(text)z".utf8)
            #expect(Digest(hex: line.span, at: 2) == digest)
            #expect(Digest(hex: line.span, at: 3) == nil)
            #expect(Digest(hex: line.span, at: 4) == nil)
            #expect(Digest(hex: line.span, at: -1) == nil)
        }
    }

    /// Each byte in each place that is no lower-case digit is refused.
    @Test func nothingButDigits() {
        let digits = Set("0123456789abcdef".utf8)
        var bytes = [UInt8](repeating: 0x61, count: 64)
        for at in 0..<64 {
            for byte in UInt8.min...UInt8.max {
                bytes[at] = byte
                #expect((Digest(hex: bytes.span) != nil) == digits.contains(byte))
            }
            bytes[at] = 0x61
        }
        for count in [0, 1, 63, 65, 128] {
            let other = [UInt8](repeating: 0x61, count: count)
            #expect(Digest(hex: other.span) == nil)
        }
    }
}
