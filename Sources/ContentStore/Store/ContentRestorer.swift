package import Platform

/// Writes files from blobs, each verified by its id before a byte of it is written.
///
/// Not for use by two threads at once.
package final class ContentRestorer {
    private let reader: BlobReader
    private let writer = FileWriter()
    private var plain: [UInt8] = []

    /// Restores from `store`.
    package init(store: Store) {
        reader = BlobReader(store: store)
    }

    /// Begins to fetch what is written next, content after content: see `BlobReader.readAhead`.
    package func readAhead(_ contents: [[Digest]]) throws(Failure) {
        try reader.readAhead(contents, .data)
    }

    /// Writes the content `ids` to an empty open file.
    ///
    /// Long runs of zeros become holes.
    ///
    /// - Parameter direct: write past the page cache, see `FileWriter`.
    /// - Returns: the content's size in bytes.
    /// - Throws: `Failure` when a blob has no good copy, `SystemError` when the file cannot be
    ///   written. What was written until then is verified content, but not all of it.
    package func write(
        _ ids: [Digest], to file: borrowing Descriptor, direct isDirect: Bool = false
    ) throws -> UInt64 {
        var plain = take(&self.plain)
        defer { self.plain = plain }
        writer.begin(file, direct: isDirect)
        for id in ids {
            plain.removeAll(keepingCapacity: true)
            try reader.read(id, .data, into: &plain)
            try writer.append(plain.span, to: file)
        }
        return try writer.finish(file)
    }
}
