/// Cuts content into chunks at places that the content itself names, so that an insertion moves
/// the cuts around it and leaves the others.
///
/// A FastCDC-like chunker (Xia et al., USENIX ATC 2016): a gear hash, `h = 2h + gear[byte]`, whose
/// top bits depend on the last 64 bytes, and a cut where they are all zero. Chunking is normalised
/// at level 2: below `normal` bytes 22 bits must be zero, beyond it 18, which draws the sizes
/// together; random data averages 1.2 MiB. The gear table comes from a key of the store, so that
/// the sizes of its chunks tell nothing about what is in them to somebody without the key.
package struct Chunker: Sendable {
    /// No chunk but the last of a file is shorter: 512 KiB.
    package static let minimum = 512 << 10
    /// Where the cut becomes likelier: 1 MiB.
    package static let normal = 1 << 20
    /// No chunk is longer: 8 MiB.
    package static let maximum = 8 << 20
    /// Bytes of the key.
    package static let keyLength = 32

    /// The bytes that the hash at a place depends on.
    private static let window = 64
    private static let maskBeforeNormal: UInt64 = ~0 << 42
    private static let maskBeyondNormal: UInt64 = ~0 << 46

    private let gear: [UInt64]

    /// Makes the chunker of a store from its 32-byte key; the same key cuts the same way.
    ///
    /// The table is `SipHash-2-4(first half, [b, 0]) ^ SipHash-2-4(second half, [b, 1])` over the
    /// bytes b. It is part of the format: a change makes stored chunks useless for new content.
    package init(key: [UInt8]) {
        precondition(key.count == Chunker.keyLength, "a chunker's key has 32 bytes")
        let words = (0..<4).map { littleEndianWord(key.span.extracting($0 * 8..<$0 * 8 + 8)) }
        gear = (0..<256).map { value in
            let first: [UInt8] = [UInt8(value), 0]
            let second: [UInt8] = [UInt8(value), 1]
            return sipHash24(key: (words[0], words[1]), first.span)
                ^ sipHash24(key: (words[2], words[3]), second.span)
        }
    }

    /// The length of the first chunk of `bytes`; nil when more bytes are needed to tell.
    ///
    /// `bytes` starts where the chunk does. With `maximum` bytes, or with all that is left and
    /// `atEnd`, there is always an answer; for no bytes at the end it is 0.
    package func cut(_ bytes: Span<UInt8>, atEnd: Bool) -> Int? {
        let limit = min(bytes.count, Chunker.maximum)
        guard limit > Chunker.minimum else { return atEnd ? limit : nil }
        // The hash starts a window early, so that the first cut depends on the content alone.
        var hash: UInt64 = 0
        var at = Chunker.minimum - Chunker.window
        let found = unsafe bytes.withUnsafeBufferPointer { buffer -> Bool in
            guard let source = buffer.baseAddress else { return false }
            return unsafe gear.withUnsafeBufferPointer { table -> Bool in
                guard let table = table.baseAddress else { return false }
                while at < Chunker.minimum {
                    hash = unsafe hash << 1 &+ table[Int(source[at])]
                    at += 1
                }
                let normal = min(limit, Chunker.normal)
                return roll(source, table, &at, normal, &hash, Chunker.maskBeforeNormal)
                    || roll(source, table, &at, limit, &hash, Chunker.maskBeyondNormal)
            }
        }
        return found || limit == Chunker.maximum || atEnd ? at : nil
    }
}

/// Rolls the hash over `source[at..<end]`; true with `at` one past the first byte after which no
/// bit of `mask` is set, false with `at` at the end.
@inline(__always)
@safe private func roll(
    _ source: UnsafePointer<UInt8>, _ gear: UnsafePointer<UInt64>, _ at: inout Int, _ end: Int,
    _ hash: inout UInt64, _ mask: UInt64
) -> Bool {
    var h = hash
    var i = at
    defer {
        hash = h
        at = i
    }
    // Eight bytes for each turn of the loop, loaded at once. A step of two bytes from `h` does not
    // wait for the step of one: that chain is what limits the speed.
    while i &+ 8 <= end {
        var word = unsafe UnsafeRawPointer(source + i).loadUnaligned(as: UInt64.self).littleEndian
        for offset in 0..<4 {
            let first = unsafe gear[Int(truncatingIfNeeded: word & 0xFF)]
            let second = unsafe gear[Int(truncatingIfNeeded: word &>> 8 & 0xFF)]
            word &>>= 16
            let between = h &<< 1 &+ first
            h = h &<< 2 &+ (first &<< 1 &+ second)
            if between & mask == 0 {
                h = between
                i &+= offset &* 2 &+ 1
                return true
            }
            if h & mask == 0 {
                i &+= offset &* 2 &+ 2
                return true
            }
        }
        i &+= 8
    }
    while i < end {
        h = unsafe h &<< 1 &+ gear[Int(source[i])]
        i &+= 1
        if h & mask == 0 { return true }
    }
    return false
}
