import ContentStore
import Platform
import TestSupport
import Testing

@Suite struct CompressibilityTests {
    static let text = Array(
        repeatElement("The quick brown fox jumps over the lazy dog, 12345 times. ", count: 20_000)
            .joined().utf8.prefix(1 << 20))

    static func looksIncompressible(_ bytes: [UInt8]) -> Bool {
        CompressibilityProbe().looksIncompressible(bytes.span)
    }

    @Test(arguments: [40_000, 512 << 10, 1 << 20, 8 << 20])
    func randomDataIsLeftAlone(count: Int) {
        let bytes = ChunkerTests.random(count, seed: 1)
        #expect(Self.looksIncompressible(bytes))
    }

    @Test func compressedDataIsLeftAlone() {
        var generator = SeededGenerator(seed: 3)
        var words: [UInt8] = []
        while words.count < 8 << 20 {
            words += "\(generator.next() % 5000) ".utf8
        }
        var compressed: [UInt8] = []
        ZstdCompressor(level: 3).compress(words.span, into: &compressed)
        #expect(compressed.count > 512 << 10)
        #expect(Self.looksIncompressible(compressed))
    }

    @Test func textAndShortThingsAreCompressed() {
        #expect(!Self.looksIncompressible(Self.text))
        #expect(!Self.looksIncompressible(ChunkerTests.random(100, seed: 1)))
        #expect(!Self.looksIncompressible([]))
    }

    @Test(arguments: [false, true])
    func halfTextIsCompressed(textFirst: Bool) {
        let half = Array(Self.text.prefix(512 << 10))
        let random = ChunkerTests.random(512 << 10, seed: 2)
        let bytes = textFirst ? half + random : random + half
        #expect(!Self.looksIncompressible(bytes))
    }

    /// Every byte is there as often as any other, but base64 holds 6 bits in 8.
    @Test func base64IsCompressed() {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        let bytes = ChunkerTests.random(1 << 20, seed: 4).map { digits[Int($0 & 63)] }
        #expect(!Self.looksIncompressible(bytes))
    }
}
