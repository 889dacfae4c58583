package import Platform

/// Writes files from blobs, each verified by its id before a byte of it is written.
///
/// Not for use by two threads at once.
package final class ContentRestorer {
    /// Holes are kept in steps of this size: the block size of most file systems.
    private static let holeSize = 64 << 10

    private let reader: BlobReader
    private lazy var direct = DirectWriter()
    private var plain: [UInt8] = []

    /// Restores from `store`.
    package init(store: Store) {
        reader = BlobReader(store: store)
    }

    /// Fetches the small ones of the blobs that are written next, in few long reads: see
    /// `BlobReader.readAhead`.
    package func readAhead(_ ids: [Digest]) throws(Failure) {
        try reader.readAhead(ids, .data)
    }

    /// Writes the content `ids` to an empty open file.
    ///
    /// Long runs of zeros become holes.
    ///
    /// - Parameter direct: write past the page cache, see `DirectWriter`.
    /// - Returns: the content's size in bytes.
    /// - Throws: `Failure` when a blob has no good copy, `SystemError` when the file cannot be
    ///   written. What was written until then is verified content, but not all of it.
    package func write(
        _ ids: [Digest], to file: borrowing Descriptor, direct isDirect: Bool = false
    ) throws -> UInt64 {
        if isDirect { return try writeDirectly(ids, to: file) }
        var offset: UInt64 = 0
        /// Where the last write ended: how long the file is.
        var written: UInt64 = 0
        var plain = take(&self.plain)
        defer { self.plain = plain }
        for id in ids {
            plain.removeAll(keepingCapacity: true)
            try reader.read(id, .data, into: &plain)
            if let end = try write(plain.span, to: file, at: offset) { written = end }
            offset += UInt64(plain.count)
        }
        // A hole at the end is not written by anything.
        if written != offset { try file.truncate(to: offset) }
        return offset
    }

    private func writeDirectly(
        _ ids: [Digest], to file: borrowing Descriptor
    ) throws -> UInt64 {
        var plain = take(&self.plain)
        defer { self.plain = plain }
        direct.begin(file)
        for id in ids {
            plain.removeAll(keepingCapacity: true)
            try reader.read(id, .data, into: &plain)
            try direct.append(plain.span, to: file)
        }
        return try direct.finish(file)
    }

    /// Writes what is no hole; says where the last of it ends, nil when all is one.
    private func write(
        _ bytes: Span<UInt8>, to file: borrowing Descriptor, at offset: UInt64
    ) throws(SystemError) -> UInt64? {
        var end: UInt64?
        var start = 0
        var at = 0
        while at < bytes.count {
            let next = min(at + ContentRestorer.holeSize, bytes.count)
            if next - at == ContentRestorer.holeSize && isZero(bytes.extracting(at..<next)) {
                if start < at {
                    try file.write(bytes.extracting(start..<at), at: offset + UInt64(start))
                    end = offset + UInt64(at)
                }
                start = next
            }
            at = next
        }
        if start < bytes.count {
            try file.write(bytes.extracting(start...), at: offset + UInt64(start))
            end = offset + UInt64(bytes.count)
        }
        return end
    }

    private func isZero(_ bytes: Span<UInt8>) -> Bool {
        for i in bytes.indices where bytes[i] != 0 { return false }
        return true
    }
}
