import ContentStore
import Platform
import TestSupport
import Testing

@Suite struct ChunkerTests {
    static func key(_ seed: UInt8) -> [UInt8] { (0..<32).map { seed &+ $0 } }

    static func random(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            var word = generator.next()
            for _ in 0..<8 {
                bytes.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        bytes.removeSubrange(count...)
        return bytes
    }

    /// The chunk lengths of `bytes` where `cut` sees at most `window` bytes at a time.
    static func cuts(_ bytes: [UInt8], _ chunker: Chunker, window: Int = Chunker.maximum) -> [Int] {
        var lengths: [Int] = []
        var at = 0
        while at < bytes.count {
            var seen = min(window, bytes.count - at)
            while true {
                let span = bytes.span.extracting(at..<(at + seen))
                if let length = chunker.cut(span, atEnd: at + seen == bytes.count) {
                    lengths.append(length)
                    at += length
                    break
                }
                seen = min(seen + window, bytes.count - at)
            }
        }
        return lengths
    }

    @Test(arguments: [0, 1, 511 << 10, 512 << 10, (512 << 10) + 1, 3_000_000, 20 << 20])
    func chunksAreWithinBoundsAndAddUp(count: Int) {
        let bytes = Self.random(count, seed: 7)
        let lengths = Self.cuts(bytes, Chunker(key: Self.key(1)))
        #expect(lengths.reduce(0, +) == count)
        for length in lengths.dropLast() {
            #expect(length >= Chunker.minimum && length <= Chunker.maximum)
        }
        #expect((lengths.last ?? 1) > 0 && (lengths.last ?? 1) <= Chunker.maximum)
    }

    @Test func contentWithoutCutsIsCutAtTheMaximum() {
        let bytes = [UInt8](repeating: 0, count: 20 << 20)
        let lengths = Self.cuts(bytes, Chunker(key: Self.key(1)))
        // The hash of a run of one byte never changes: a cut at every minimum or never.
        #expect(lengths == [8 << 20, 8 << 20, 4 << 20])
    }

    @Test func piecesDoNotMatter() {
        let bytes = Self.random(12 << 20, seed: 9)
        let chunker = Chunker(key: Self.key(2))
        let whole = Self.cuts(bytes, chunker)
        for window in [70_000, 600_001, 1 << 20] {
            #expect(Self.cuts(bytes, chunker, window: window) == whole)
        }
    }

    @Test func needsMoreWhereTheCutMayLieBeyond() {
        let chunker = Chunker(key: Self.key(1))
        let few = Self.random(Chunker.minimum, seed: 1)
        func cut(_ bytes: [UInt8], atEnd: Bool) -> Int? { chunker.cut(bytes.span, atEnd: atEnd) }
        #expect(cut(few, atEnd: false) == nil)
        #expect(cut(few, atEnd: true) == few.count)
        #expect(cut([], atEnd: true) == 0)
    }

    @Test func anInsertionMovesOnlyTheCutsAroundIt() {
        let bytes = Self.random(64 << 20, seed: 3)
        let chunker = Chunker(key: Self.key(3))
        func ends(_ bytes: [UInt8]) -> Set<Int> {
            var at = 0
            // Counted from the end, which the insertion does not move.
            return Set(
                Self.cuts(bytes, chunker).map {
                    at += $0
                    return bytes.count - at
                })
        }
        let before = ends(bytes)
        for place in [0, 1000, 700_000] {
            var changed = bytes
            changed.insert(0x55, at: place)
            let shared = before.intersection(ends(changed))
            #expect(shared.count >= before.count - 6, "insertion at \(place)")
        }
    }

    @Test func sizesAreDrawnTogetherAroundOneMebibyte() {
        let lengths = Self.cuts(Self.random(256 << 20, seed: 11), Chunker(key: Self.key(4)))
        let average = (256 << 20) / lengths.count
        #expect(average > 1000 << 10 && average < 1350 << 10, "average \(average)")
        let near = lengths.filter { $0 > 900 << 10 && $0 < 2 << 20 }.count
        #expect(near * 10 > lengths.count * 7, "\(near) of \(lengths.count)")
    }

    @Test func keysCutDifferently() {
        let bytes = Self.random(32 << 20, seed: 5)
        func ends(_ seed: UInt8) -> Set<Int> {
            var at = 0
            return Set(
                Self.cuts(bytes, Chunker(key: Self.key(seed))).map {
                    at += $0
                    return at
                })
        }
        #expect(ends(1) == ends(1))
        // Only the end of the content is shared.
        #expect(ends(1).intersection(ends(2)).count <= 2)
    }

    /// Stored chunks are found again only while these stay as they are.
    @Test func cutsArePartOfTheFormat() {
        let lengths = Self.cuts(Self.random(8 << 20, seed: 21), Chunker(key: Self.key(0)))
        #expect(
            lengths == [
                1_267_707, 725_528, 1_301_744, 1_244_252, 1_107_933, 1_065_910, 1_488_378, 187_156,
            ])
    }
}
