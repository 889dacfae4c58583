package import Platform

/// Writes the JSON of an index file pack by pack, as restic does.
///
/// The text goes to `body` block by block: that of one pack may be megabytes.
package struct IndexEncoder {
    /// What an index file holds.
    package enum Form: Sendable {
        /// Packs that can be relied on.
        case packs
        /// Packs that are marked for removal.
        case marks
    }

    /// Takes the text that is ready, which is then forgotten.
    package typealias Body = (Span<UInt8>) -> Void

    private static let blockSize = 64 << 10

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
    package mutating func append(pack: Digest, _ entries: [PackEntry], into body: Body) {
        begin(pack)
        end(entries, body)
    }

    /// Adds a pack that is marked for removal.
    package mutating func append(_ marked: MarkedPack, into body: Body) {
        begin(marked.id)
        put("\",\"time\":\"")
        appendRFC3339Nano(marked.time, to: &bytes)
        end(marked.entries, body)
    }

    private mutating func begin(_ pack: Digest) {
        put(isFirst ? "{\"id\":\"" : ",{\"id\":\"")
        isFirst = false
        pack.appendHex(to: &bytes)
    }

    private mutating func end(_ entries: [PackEntry], _ body: Body) {
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
            if bytes.count >= IndexEncoder.blockSize { drain(body) }
        }
        put("]}")
        packCount += 1
        blobCount += entries.count
    }

    /// Ends the text.
    package mutating func finish(into body: Body) {
        put("]}\n")
        drain(body)
    }

    private mutating func drain(_ body: Body) {
        body(bytes.span)
        bytes.removeAll(keepingCapacity: true)
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
