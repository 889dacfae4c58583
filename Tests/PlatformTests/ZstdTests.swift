import Platform
import TestSupport
import Testing

@Suite struct ZstdTests {
    private func sample(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { i in i % 3 == 0 ? UInt8.random(in: 0...255, using: &generator) : 0
        }
    }

    @Test(arguments: [0, 1, 100, 70_000, 1 << 20], [Int32(1), 3, 19])
    func bytesComeBack(_ count: Int, _ level: Int32) throws {
        let bytes = sample(count, seed: 5)
        var packed: [UInt8] = [42]
        ZstdCompressor(level: level).compress(bytes.span, into: &packed)
        #expect(packed[0] == 42)
        var plain: [UInt8] = [43]
        try ZstdDecompressor().decompress(
            packed.span.extracting(1..<packed.count), into: &plain, limit: count)
        #expect(plain[0] == 43)
        #expect(Array(plain[1...]) == bytes)
    }

    @Test func moreThanTheLimitIsRefused() throws {
        var packed: [UInt8] = []
        ZstdCompressor(level: 3).compress([UInt8](repeating: 0, count: 1 << 20).span, into: &packed)
        var plain: [UInt8] = []
        let failure = #expect(throws: Failure.self) {
            try ZstdDecompressor().decompress(packed.span, into: &plain, limit: 1 << 19)
        }
        #expect(failure?.kind == .store)
    }

    @Test func damageIsRefusedAndTheContextGoesOn() throws {
        let decompressor = ZstdDecompressor()
        let bytes = sample(10_000, seed: 6)
        var packed: [UInt8] = []
        ZstdCompressor(level: 3).compress(bytes.span, into: &packed)
        for cut in [0, 1, 10, packed.count / 2, packed.count - 1] {
            let part = Array(packed[..<cut])
            var plain: [UInt8] = []
            if cut > 0 {
                #expect(throws: Failure.self) {
                    try decompressor.decompress(part.span, into: &plain, limit: bytes.count)
                }
            }
            var whole: [UInt8] = []
            try decompressor.decompress(packed.span, into: &whole, limit: bytes.count)
            #expect(whole == bytes)
        }
    }
}
