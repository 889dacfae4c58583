package import Platform

/// What storing one file's content gave.
package struct StoredContent: Sendable {
    package var ids: [Digest] = []
    /// Bytes of content read.
    package var size: UInt64 = 0
    /// Bytes added to packs.
    package var newBytes: UInt64 = 0

    package init() {}
}

/// Cuts files into chunks and stores them through a sink.
///
/// Not for use by two threads at once.
package final class ContentWriter {
    /// A few usual chunks; for one that is longer the buffer grows, to `Chunker.maximum` at most.
    private static let bufferSize = 3 * Chunker.normal

    private let sink: BlobSink
    private let chunker: Chunker
    private var buffer: [UInt8] = []

    /// Writes through `sink` with the store's own chunker.
    package init(store: Store, sink: BlobSink) {
        self.sink = sink
        chunker = store.chunker
    }

    /// Reads an open file to its end and stores its content for `batch`.
    ///
    /// The caller compares the size that was read with the file's: a file that grows meanwhile may
    /// give less.
    ///
    /// - Throws: `SystemError` when the file cannot be read, `Failure` when the store cannot be
    ///   written.
    package func store(_ file: borrowing Descriptor, batch: Int) throws -> StoredContent {
        var result = StoredContent()
        var start = 0
        // Most files end within the first read, so that is a short one.
        var wanted = Chunker.minimum
        var atEnd = false
        var buffer = take(&self.buffer)
        defer { keep(&buffer) }
        while true {
            if wanted > 0 {
                atEnd = try file.readOnce(appending: &buffer, upTo: wanted) < wanted
                wanted = 0
            }
            if start == buffer.count && atEnd { return result }
            let cut = chunker.cut(buffer.span.extracting(start...), atEnd: atEnd)
            guard let length = cut else {
                let count = buffer.count - start
                guard count < Chunker.maximum else {
                    throw Failure(.bug, "no chunk was cut from \(count) bytes")
                }
                buffer.removeSubrange(..<start)
                start = 0
                wanted =
                    min(Chunker.maximum, max(ContentWriter.bufferSize, 2 * count)) - count
                continue
            }
            let chunk = buffer.span.extracting(start..<(start + length))
            let blob = try sink.store(chunk, .data, batch: batch)
            result.ids.append(blob.id)
            result.size += UInt64(length)
            result.newBytes += UInt64(blob.newBytes)
            start += length
        }
    }

    /// Reads an open file and stores those of its pieces that the store has no good copy of, along
    /// the borders of the blobs `ids` that it was stored as.
    ///
    /// - Returns: false when the file is not that content; nothing wrong was stored then, only
    ///   perhaps some of the right pieces.
    package func storeAgain(
        _ file: borrowing Descriptor, ids: [Digest], index: BlobIndex, batch: Int
    ) throws -> Bool {
        var lengths: [Int] = []
        for id in ids {
            guard let length = try index.allLocations(id, .data).first?.contentLength else {
                // The index has lost the blob and with it its length: cut the file anew.
                return try storeCut(file, ids, batch)
            }
            lengths.append(length)
        }
        var buffer = take(&self.buffer)
        defer { keep(&buffer) }
        for (id, length) in zip(ids, lengths) {
            buffer.removeAll(keepingCapacity: true)
            guard try file.read(appending: &buffer, upTo: length) == length,
                sink.identify(buffer.span) == id
            else { return false }
            _ = try sink.store(buffer.span, .data, batch: batch)
        }
        buffer.removeAll(keepingCapacity: true)
        return try file.read(appending: &buffer, upTo: 1) == 0
    }

    /// As `storeAgain`, along the borders that this store's chunker finds.
    private func storeCut(
        _ file: borrowing Descriptor, _ ids: [Digest], _ batch: Int
    ) throws -> Bool {
        var buffer = take(&self.buffer)
        defer { keep(&buffer) }
        var rest = ids[...]
        var atEnd = false
        while true {
            if !atEnd && buffer.count < Chunker.maximum {
                let wanted = Chunker.maximum - buffer.count
                atEnd = try file.read(appending: &buffer, upTo: wanted) < wanted
            }
            if buffer.isEmpty { return rest.isEmpty }
            guard let length = chunker.cut(buffer.span, atEnd: atEnd) else { return false }
            guard sink.identify(buffer.span.extracting(..<length)) == rest.popFirst()
            else { return false }
            _ = try sink.store(buffer.span.extracting(..<length), .data, batch: batch)
            buffer.removeSubrange(..<length)
        }
    }

    /// Keeps a buffer for the next file, unless this one had a very large chunk.
    private func keep(_ buffer: inout [UInt8]) {
        swap(&self.buffer, &buffer)
        if self.buffer.capacity > ContentWriter.bufferSize * 3 / 2 { self.buffer = [] }
    }
}
