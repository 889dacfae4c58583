package import Platform

/// The header at the end of a pack: `sealed header ‖ LE32(its length)`, restic's format v2.
package enum PackHeader {
    /// The longest sealed header that readers take.
    package static let maximumLength = 16 << 20
    /// The most entries whose header every reader takes.
    package static let maximumEntries = (maximumLength - Sealer.overhead) / 41

    /// The size of a header of `entries` blobs at most, with its length behind it.
    package static func maximumSize(_ entries: Int) -> Int { entries * 41 + Sealer.overhead + 4 }

    private static let firstGuess = 64 << 10

    /// The bytes that end a pack with the blobs `entries`, which lie from offset 0 on without gaps.
    package static func encode(_ entries: [PackEntry], sealer: Sealer) -> [UInt8] {
        precondition(entries.count <= maximumEntries, "a pack of too many blobs")
        var plain: [UInt8] = []
        plain.reserveCapacity(entries.count * 41)
        var offset: UInt64 = 0
        for entry in entries {
            precondition(entry.offset == offset, "a pack with a gap")
            offset += UInt64(entry.storedLength)
            plain.append(entry.type.rawValue + (entry.plainLength == nil ? 0 : 2))
            append(entry.storedLength, to: &plain)
            if let length = entry.plainLength { append(length, to: &plain) }
            entry.id.append(to: &plain)
        }
        var output: [UInt8] = []
        output.reserveCapacity(plain.count + Sealer.overhead + 4)
        sealer.seal(plain.span, into: &output)
        append(UInt32(output.count), to: &output)
        return output
    }

    /// The size of the file of a pack with the blobs `entries`, in bytes.
    package static func expectedSize(_ entries: [PackEntry]) -> UInt64 {
        var size = UInt64(Sealer.overhead + 4)
        for entry in entries { size += UInt64(entry.storedLength) + UInt64(entry.headerLength) }
        return size
    }

    /// Reads the header of a pack of `size` bytes.
    ///
    /// - Parameter read: gives the bytes of a range of the pack; called once or twice.
    /// - Throws: what `read` throws, and a `store` failure when the header is damaged or does not
    ///   account for every byte of the pack.
    package static func decode(
        size: UInt64, sealer: Sealer, reading read: (Range<UInt64>) throws(Failure) -> [UInt8]
    ) throws(Failure) -> [PackEntry] {
        guard size >= UInt64(Sealer.overhead + 4) else {
            throw damaged("the pack has only \(size) bytes")
        }
        let guess = UInt64(min(size, UInt64(firstGuess)))
        var tail = try read((size - guess)..<size)
        guard tail.count == Int(guess) else { throw damaged("the pack is shorter than listed") }
        let length = Int(word(tail.span, tail.count - 4))
        guard length >= Sealer.overhead, length <= maximumLength, UInt64(length) + 4 <= size else {
            throw damaged("its length is given as \(length) bytes")
        }
        if length + 4 > tail.count {
            let start = size - UInt64(length + 4)
            let front = try read(start..<(size - guess))
            guard front.count == length + 4 - tail.count else {
                throw damaged("the pack is shorter than listed")
            }
            tail = front + tail
        }
        var plain: [UInt8] = []
        let sealed = tail.span.extracting((tail.count - 4 - length)..<(tail.count - 4))
        do throws(Failure) {
            try sealer.open(sealed, into: &plain)
        } catch {
            throw damaged(error.description)
        }
        let entries = try parse(plain.span)
        let expected = expectedSize(entries)
        guard expected == size else {
            throw damaged("its blobs give \(expected) bytes, the pack has \(size)")
        }
        return entries
    }

    /// Reads the entries of a header in plain.
    package static func parse(_ plain: Span<UInt8>) throws(Failure) -> [PackEntry] {
        var entries: [PackEntry] = []
        entries.reserveCapacity(plain.count / 41 + 1)
        var at = 0
        var offset: UInt64 = 0
        while at < plain.count {
            let kind = plain[at]
            let isCompressed = kind & 2 != 0
            let end = at + (isCompressed ? 41 : 37)
            guard kind < 4, let type = BlobType(rawValue: kind & 1) else {
                throw damaged("entry \(entries.count) has the unknown type \(kind)")
            }
            guard end <= plain.count, let id = Digest(plain.extracting((end - 32)..<end)) else {
                throw damaged("entry \(entries.count) is cut off")
            }
            let length = word(plain, at + 1)
            guard length >= UInt32(Sealer.overhead) else {
                throw damaged("entry \(entries.count) has a length of \(length) bytes")
            }
            entries.append(
                PackEntry(
                    type: type, id: id, offset: offset, storedLength: length,
                    plainLength: isCompressed ? word(plain, at + 5) : nil))
            offset += UInt64(length)
            at = end
        }
        return entries
    }

    private static func damaged(_ cause: String) -> Failure {
        Failure(.store, "the header of a pack is damaged", cause: cause)
    }

    private static func append(_ value: UInt32, to output: inout [UInt8]) {
        for shift: UInt32 in [0, 8, 16, 24] {
            output.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    private static func word(_ bytes: Span<UInt8>, _ at: Int) -> UInt32 {
        UInt32(bytes[at]) | UInt32(bytes[at + 1]) << 8 | UInt32(bytes[at + 2]) << 16
            | UInt32(bytes[at + 3]) << 24
    }
}
