import ContentStore
import Platform
import TestSupport
import Testing

/// Entries of a pack, without gaps, that depend on `seed` alone.
func packEntries(_ count: Int, seed: UInt64, type: BlobType = .data) -> [PackEntry] {
    var generator = SeededGenerator(seed: seed)
    var offset: UInt64 = 0
    return (0..<count).map { i in
        let id = someDigest(generator.next())
        let length = UInt32.random(in: 33...9000, using: &generator)
        let plain = UInt32.random(in: 1...20_000, using: &generator)
        defer { offset += UInt64(length) }
        return PackEntry(
            type: type, id: id, offset: offset, storedLength: length,
            plainLength: i % 3 == 0 ? nil : plain)
    }
}

@Suite struct PackHeaderTests {
    let sealer = Sealer(key: .random())

    /// The file of a pack whose blobs are zeros, and a reader that counts its calls.
    func pack(_ entries: [PackEntry]) -> [UInt8] {
        let length = entries.reduce(0) { $0 + Int($1.storedLength) }
        return [UInt8](repeating: 0, count: length) + PackHeader.encode(entries, sealer: sealer)
    }

    @Test(arguments: [0, 1, 2, 1000, 1595, 1596, 1597, 5000])
    func readsBackWhatItWrote(count: Int) throws {
        let written = packEntries(count, seed: 5)
        let file = pack(written)
        #expect(PackHeader.expectedSize(written) == UInt64(file.count))
        var reads = 0
        let read = try PackHeader.decode(size: UInt64(file.count), sealer: sealer) {
            range throws(Failure) in
            reads += 1
            return Array(file[Int(range.lowerBound)..<Int(range.upperBound)])
        }
        #expect(read == written)
        #expect(reads <= 2)
    }

    @Test func refusesWhatDoesNotFit() throws {
        let file = pack(packEntries(10, seed: 6))
        func decode(_ file: [UInt8]) throws(Failure) {
            _ = try PackHeader.decode(size: UInt64(file.count), sealer: sealer) {
                range throws(Failure) in
                Array(file[Int(range.lowerBound)..<Int(range.upperBound)])
            }
        }
        try decode(file)
        #expect(throws: Failure.self, "a byte too many") { try decode([0] + file) }
        #expect(throws: Failure.self, "a byte too few") { try decode(Array(file.dropFirst())) }
        #expect(throws: Failure.self, "cut off") { try decode(Array(file.dropLast())) }
        #expect(throws: Failure.self, "empty") { try decode([]) }
        for value: UInt8 in [0, 0xFF] {
            var damaged = file
            damaged[file.count - 1] = value
            damaged[file.count - 3] ^= 0xFF
            #expect(throws: Failure.self) { try decode(damaged) }
        }
        var flipped = file
        flipped[file.count - 50] ^= 1
        #expect(throws: Failure.self) { try decode(flipped) }
    }

    @Test func refusesImpossibleEntries() {
        let id = [UInt8](repeating: 1, count: 32)
        let good: [UInt8] = [0, 33, 0, 0, 0] + id
        func parse(_ plain: [UInt8]) throws { _ = try PackHeader.parse(plain.span) }
        #expect(throws: Never.self) { try parse(good) }
        #expect(throws: Failure.self, "type 4") { try parse([4] + good[1...]) }
        #expect(throws: Failure.self, "shorter than a seal") { try parse([0, 31] + good[2...]) }
        #expect(throws: Failure.self, "cut off") { try parse(good.dropLast()) }
    }

    @Test func survivesFuzzedHeaders() throws {
        var corpus: [[UInt8]] = [[]]
        for count in [1, 3, 9] {
            var plain: [UInt8] = []
            let tail = PackHeader.encode(packEntries(count, seed: UInt64(count)), sealer: sealer)
            try sealer.open(tail.span.extracting(0..<(tail.count - 4)), into: &plain)
            corpus.append(plain)
        }
        fuzz("pack header", corpus: corpus) { _ = try? PackHeader.parse($0.span) }
        let files = [pack(packEntries(2, seed: 1)), pack([])]
        fuzz("pack", corpus: files, rounds: 5000) { file in
            _ = try? PackHeader.decode(size: UInt64(file.count), sealer: sealer) {
                range throws(Failure) in
                Array(file[Int(range.lowerBound)..<Int(range.upperBound)])
            }
        }
    }
}
