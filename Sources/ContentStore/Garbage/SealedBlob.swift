internal import Platform

/// Proves that sealed bytes are a blob, and seals anew what other programs stored in a way that
/// restic would change.
///
/// Not for use by two threads at once.
final class SealedBlob {
    private let sealer: Sealer
    private let decompressor = ZstdDecompressor()
    private let compressor = ZstdCompressor(level: 1)
    private let hasher = SHA256Hasher()
    private var opened: [UInt8] = []
    private var plain: [UInt8] = []

    init(key: MasterKey) { sealer = Sealer(key: key) }

    /// Appends the sealed form of the blob `entry` to `output`, given its sealed bytes, which are
    /// taken as they are unless it is a tree without compression.
    ///
    /// - Returns: the entry with the form's lengths; its offset is not set.
    /// - Throws: a `store` failure when the bytes are not what the entry says.
    func copy(
        _ sealed: Span<UInt8>, _ entry: PackEntry, into output: inout [UInt8]
    ) throws(Failure) -> PackEntry {
        var plain = take(&self.plain)
        defer { self.plain = plain }
        if let length = entry.plainLength {
            var opened = take(&self.opened)
            defer { self.opened = opened }
            try sealer.open(sealed, into: &opened)
            try decompressor.decompress(opened.span, into: &plain, limit: Int(length))
        } else {
            try sealer.open(sealed, into: &plain)
        }
        hasher.update(plain.span)
        guard hasher.finish() == entry.id else {
            throw Failure(.store, "the content is not what its id says")
        }
        guard entry.type == .tree && entry.plainLength == nil else {
            output.append(copying: sealed)
            return entry
        }
        let start = output.count
        sealer.seal(into: &output) { compressor.compress(plain.span, into: &$0) }
        var result = entry
        result.storedLength = UInt32(output.count - start)
        result.plainLength = UInt32(plain.count)
        return result
    }
}
