package import Platform

/// Writes the JSON of an index file pack by pack, as restic does.
///
/// The text grows in `bytes`; a caller that streams takes it away between packs by `drain`.
package struct IndexEncoder {
    /// What an index file holds.
    package enum Form: Sendable {
        /// Packs that can be relied on.
        case packs
        /// Packs that are marked for removal.
        case marks
    }

    private var bytes: [UInt8]
    private var isFirst = true

    /// How many blobs have been added.
    package private(set) var blobCount = 0
    /// How many packs have been added.
    package private(set) var packCount = 0

    /// Begins a file.
    package init(_ form: Form = .packs) {
        switch form {
        case .packs: bytes = Array("{\"packs\":[".utf8)
        case .marks: bytes = Array("{\"packs\":[],\"packs_to_delete\":[".utf8)
        }
    }

    /// Adds a pack with all its blobs: one pack split over two index files is damage to restic.
    package mutating func append(pack: Digest, _ entries: [PackEntry]) {
        begin(pack, entries.count)
        end(entries)
    }

    /// Adds a pack that is marked for removal.
    package mutating func append(_ marked: MarkedPack) {
        begin(marked.id, marked.entries.count)
        put("\",\"time\":\"")
        appendRFC3339Nano(marked.time, to: &bytes)
        end(marked.entries)
    }

    private mutating func begin(_ pack: Digest, _ count: Int) {
        bytes.reserveCapacity(bytes.count + 96 + count * 180)
        put(isFirst ? "{\"id\":\"" : ",{\"id\":\"")
        isFirst = false
        pack.appendHex(to: &bytes)
    }

    private mutating func end(_ entries: [PackEntry]) {
        put("\",\"blobs\":[")
        for (i, entry) in entries.enumerated() {
            put(i == 0 ? "{\"id\":\"" : ",{\"id\":\"")
            entry.id.appendHex(to: &bytes)
            put("\",\"type\":\"")
            put(entry.type.word)
            put("\",\"offset\":")
            put(entry.offset)
            put(",\"length\":")
            put(UInt64(entry.storedLength))
            if let length = entry.plainLength {
                put(",\"uncompressed_length\":")
                put(UInt64(length))
            }
            bytes.append(0x7D)
        }
        put("]}")
        packCount += 1
        blobCount += entries.count
    }

    /// Ends the text.
    package mutating func finish() {
        put("]}\n")
    }

    /// Gives the text written since the last call to `body`, then forgets it.
    package mutating func drain(_ body: (Span<UInt8>) -> Void) {
        body(bytes.span)
        bytes.removeAll(keepingCapacity: bytes.capacity <= 1 << 20)
    }

    private mutating func put(_ text: StaticString) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }

    private mutating func put(_ number: UInt64) {
        let start = bytes.count
        var rest = number
        repeat {
            bytes.append(0x30 + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }
}
