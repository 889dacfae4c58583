package import Platform

/// An index file in its stored form, written and read without ever holding its JSON.
package enum IndexFile {
    /// The longest stored index file that is read, in bytes: more than 400 thousand blobs a pack in
    /// a single file of several packs.
    package static let storedLimit = 256 << 20
    /// The longest JSON of one, in bytes; a defence against a file made to exhaust the machine.
    package static let limit = 4 << 30

    /// Reads the stored form `bytes` of the index file `expected`.
    ///
    /// Throws a `store` failure when the bytes do not have that SHA-256 or are damaged, and what
    /// `each` throws. Packs given before the error were in the file, but count only at its end.
    package static func read(
        _ bytes: Span<UInt8>, expected: Digest?, sealer: Sealer,
        each: (_ pack: Digest, _ entries: [PackEntry]) throws(Failure) -> Void
    ) throws(Failure) {
        try read(
            bytes, expected: expected, sealer: sealer, each: each, marked: { _ throws(Failure) in })
    }

    /// As the other, and calls `marked` for each pack that the file marks for removal.
    package static func read(
        _ bytes: Span<UInt8>, expected: Digest?, sealer: Sealer,
        each: (_ pack: Digest, _ entries: [PackEntry]) throws(Failure) -> Void,
        marked: (MarkedPack) throws(Failure) -> Void
    ) throws(Failure) {
        let plain = try UnpackedFile.unseal(bytes, expected: expected, sealer: sealer)
        var parser = IndexParser()
        if plain.first == UnpackedFile.zstdMark {
            let decompressor = ZstdStreamDecompressor()
            let body = plain.span.extracting(1..<plain.count)
            try decompressor.update(body, limit: limit) { piece throws(Failure) in
                try parser.feed(piece, each: each, marked: marked)
            }
            try decompressor.finish()
        } else {
            try parser.feed(plain.span, each: each, marked: marked)
        }
        try parser.finish()
    }
}

/// Collects packs into an index file; holds the compressed form alone, about 40 bytes a blob.
package final class IndexFileWriter {
    private var encoder: IndexEncoder
    private let form: IndexEncoder.Form
    private let compressor: ZstdStreamCompressor
    private var plain: [UInt8] = []
    /// Bytes of a usual file: to grow to that by doubling would take half as much again.
    private static let usualSize = StoreSession.indexFileBlobLimit * 42

    /// Starts a file.
    package init(_ form: IndexEncoder.Form = .packs) {
        self.form = form
        encoder = IndexEncoder(form)
        // Ids in hex repeat nothing: matches that a higher level finds among them make the file
        // larger by a tenth, in twice the time.
        compressor = ZstdStreamCompressor(level: 1)
        begin()
    }

    /// How many blobs have been added; restic ends an index file at 50 000.
    package var blobCount: Int { encoder.blobCount }
    /// How many packs have been added.
    package var packCount: Int { encoder.packCount }

    /// Adds a pack with all its blobs.
    package func append(pack: Digest, _ entries: [PackEntry]) {
        encoder.append(pack: pack, entries) { compressor.update($0, into: &plain) }
    }

    /// Adds a pack that is marked for removal, in a file of marks.
    package func append(_ marked: MarkedPack) {
        encoder.append(marked) { compressor.update($0, into: &plain) }
    }

    /// The stored form and its name; the writer then starts a new file.
    package func finish(sealer: Sealer) -> (id: Digest, bytes: [UInt8]) {
        encoder.finish { compressor.update($0, into: &plain) }
        compressor.finish(into: &plain)
        let result = UnpackedFile.seal(plain: plain.span, sealer: sealer)
        begin()
        return result
    }

    private func begin() {
        encoder = IndexEncoder(form)
        plain = []
        plain.reserveCapacity(IndexFileWriter.usualSize)
        plain.append(UnpackedFile.zstdMark)
    }
}
