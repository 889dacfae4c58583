package import Platform

/// Stores blobs that do not fit in memory, each in a pack of its own, in constant memory.
package enum LargeBlob {
    private static let blockSize = 1 << 20

    /// Stores the first `size` bytes of `file`, whose SHA-256 is `id`, unless the store has them.
    ///
    /// - Throws: `SystemError` when the file or the spool cannot be used, `Failure` when the store
    ///   cannot be written or the blob is longer than the format's 4 GiB.
    package static func store(
        _ file: borrowing Descriptor, size: UInt64, id: Digest, type: BlobType,
        session: StoreSession
    ) throws -> StoredBlob {
        let store = session.store
        if try store.index.contains(id, type) { return StoredBlob(id: id, newBytes: 0) }
        guard let plainLength = UInt32(exactly: size) else {
            throw Failure(.module, "a directory's list of \(size) bytes is more than 4 GiB")
        }
        let spool = try Descriptor.temporary(in: store.spoolDirectory)
        let hasher = SHA256Hasher()
        var written: UInt64 = 0
        func write(_ bytes: [UInt8]) throws(SystemError) {
            try spool.write(bytes.span, at: written)
            hasher.update(bytes.span)
            written += UInt64(bytes.count)
        }
        try seal(file, size: size, key: store.key, write)
        guard let storedLength = UInt32(exactly: written) else {
            throw Failure(.module, "a directory's list of \(size) bytes is more than 4 GiB")
        }
        let entry = PackEntry(
            type: type, id: id, offset: 0, storedLength: storedLength, plainLength: plainLength)
        try write(PackHeader.encode([entry], sealer: Sealer(key: store.key)))
        let pack = hasher.finish()
        try store.index.journal(
            pack, size: Int(written), entries: [entry], session: session.name,
            seen: store.clock.now().seconds)
        do {
            try store.backend.put(ObjectKey(.pack, pack), from: spool, size: written)
        } catch {
            throw error.failure(at: store.backend.location)
        }
        try store.index.markUploaded(pack, entries: [entry])
        return StoredBlob(id: id, newBytes: Int(storedLength))
    }

    /// Compresses and seals the file block by block.
    private static func seal(
        _ file: borrowing Descriptor, size: UInt64, key: MasterKey,
        _ write: ([UInt8]) throws(SystemError) -> Void
    ) throws {
        let compressor = ZstdStreamCompressor(level: 1)
        let sealer = StreamSealer(key: key)
        var plain: [UInt8] = []
        var compressed: [UInt8] = []
        var sealed: [UInt8] = []
        sealer.begin(into: &sealed)
        try file.seek(to: 0)
        var rest = size
        while rest > 0 {
            plain.removeAll(keepingCapacity: true)
            let n = try file.read(appending: &plain, upTo: Int(min(rest, UInt64(blockSize))))
            guard n > 0 else { throw SystemError(Errno.inputOutput, "read", "spool file") }
            rest -= UInt64(n)
            compressor.update(plain.span, into: &compressed)
            sealer.update(compressed.span, into: &sealed)
            try write(sealed)
            compressed.removeAll(keepingCapacity: true)
            sealed.removeAll(keepingCapacity: true)
        }
        compressor.finish(into: &compressed)
        sealer.update(compressed.span, into: &sealed)
        sealer.finish(into: &sealed)
        try write(sealed)
    }
}
