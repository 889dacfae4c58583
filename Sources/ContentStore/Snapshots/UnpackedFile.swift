package import Platform

/// The stored form of snapshots, locks and small index files: sealed, with zstd inside or without.
package enum UnpackedFile {
    /// The byte before zstd data; a file without it begins with `{` or `[`.
    static let zstdMark: UInt8 = 2

    /// The stored form of `json` and its name.
    package static func seal(
        _ json: Span<UInt8>, sealer: Sealer, compressor: ZstdCompressor
    ) -> (id: Digest, bytes: [UInt8]) {
        var plain = [zstdMark]
        compressor.compress(json, into: &plain)
        return seal(plain: plain.span, sealer: sealer)
    }

    /// The stored form of bytes that are compressed already, or are not to be, and its name.
    package static func seal(
        plain: Span<UInt8>, sealer: Sealer
    ) -> (id: Digest, bytes: [UInt8]) {
        var bytes: [UInt8] = []
        sealer.seal(plain, into: &bytes)
        return (SHA256Hasher.hash(bytes.span), bytes)
    }

    /// The JSON in the stored form `bytes`, of at most `limit` bytes.
    ///
    /// Throws a `store` failure when the bytes do not have the SHA-256 `expected`, or are damaged.
    package static func open(
        _ bytes: Span<UInt8>, expected: Digest?, sealer: Sealer, limit: Int = 64 << 20
    ) throws(Failure) -> [UInt8] {
        let plain = try unseal(bytes, expected: expected, sealer: sealer)
        guard plain.first == zstdMark else {
            guard plain.count <= limit else { throw damaged("it has \(plain.count) bytes") }
            return plain
        }
        var json: [UInt8] = []
        let decompressor = ZstdStreamDecompressor()
        try decompressor.update(
            plain.span.extracting(1..<plain.count), into: &json, limit: limit)
        try decompressor.finish()
        return json
    }

    /// What was sealed: `{…}`, `[…]` or `0x02 ‖ zstd`.
    static func unseal(
        _ bytes: Span<UInt8>, expected: Digest?, sealer: Sealer
    ) throws(Failure) -> [UInt8] {
        if let expected {
            guard SHA256Hasher.hash(bytes) == expected else {
                throw damaged("its SHA-256 is not its name \(expected.short)")
            }
        }
        var plain: [UInt8] = []
        try sealer.open(bytes, into: &plain)
        switch plain.first {
        case zstdMark, 0x7B, 0x5B: return plain
        case .some(let byte): throw damaged("its form \(byte) is unknown")
        case nil: throw damaged("it is empty")
        }
    }

    private static func damaged(_ cause: String) -> Failure {
        Failure(.store, "a file of the store is damaged", cause: cause)
    }
}
