package import Platform
internal import Synchronization

/// What became of one blob.
package struct StoredBlob: Sendable {
    package var id: Digest
    /// Bytes added to a pack; 0 when the store had the blob.
    package var newBytes: Int
}

/// How data blobs are compressed.
///
/// Trees always are, because restic repacks those that are not.
package enum Compression: Sendable, Equatable {
    /// zstd level 2, which stores about as little as restic does (1 for blobs up to 128 KiB, where
    /// it is as good), and raw for what does not compress.
    case auto
    case off
    /// A zstd level, 1 to 19.
    case level(Int32)

    var zstdLevel: Int32 {
        switch self {
        case .auto, .off: 2
        case .level(let level): level
        }
    }
}

/// One thread's way into a store session: hashes, asks whether the store has the blob, compresses,
/// seals and packs.
///
/// Not for use by two threads at once.
package final class BlobSink {
    /// A pack whose first batch lies this far behind is closed, so that checkpoints keep up.
    package static let maximalLag = 64

    private let session: StoreSession
    private let compression: Compression
    private let sealer: Sealer
    private let compressor: ZstdCompressor
    private let smallCompressor = ZstdCompressor(level: 1)
    /// Blobs up to this size are small for `auto`.
    private static let smallBlob = 128 << 10
    private let hasher = SHA256Hasher()
    private let probe = CompressibilityProbe()
    private let data = OpenPack(limit: StoreSession.dataPackSize)
    private let tree = OpenPack(limit: StoreSession.treePackSize)

    private final class OpenPack {
        let limit: Int
        var ticket: Int?
        var firstBatch = 0
        var bytes: [UInt8] = []
        var entries: [PackEntry] = []

        init(limit: Int) {
            self.limit = limit
        }

        /// Room for blobs beyond the limit: the last one may reach over it.
        private var slack: Int { limit / 16 }
        /// Room for all that a pack may hold, so that its buffer is not moved, but for a blob that
        /// is longer than a pack; what is not used of it costs no memory.
        var capacity: Int {
            limit + slack + PackHeader.maximumSize(StoreSession.packBlobLimit)
        }

        /// Whether a blob of `count` bytes fits, however badly it compresses.
        func hasRoom(for count: Int) -> Bool {
            let most = ZstdCompressor.bound(count) + Sealer.overhead
            return bytes.count + most <= limit + slack
        }

        var isFull: Bool {
            bytes.count >= limit || entries.count >= StoreSession.packBlobLimit
        }
    }

    /// Makes a sink of `session`.
    package init(session: StoreSession, compression: Compression = .auto) {
        self.session = session
        self.compression = compression
        sealer = Sealer(key: session.store.key)
        compressor = ZstdCompressor(level: compression.zstdLevel)
    }

    /// The id of some content, without storing it.
    package func identify(_ plain: Span<UInt8>) -> Digest {
        hasher.update(plain)
        return hasher.finish()
    }

    /// Stores a blob unless the store, or a pack on its way there, has it.
    ///
    /// - Parameter batch: the number of the caller's batch that relies on the blob.
    package func store(
        _ plain: Span<UInt8>, _ type: BlobType, batch: Int
    ) throws(Failure) -> StoredBlob {
        let id = identify(plain)
        let key = StoreSession.BlobKey(id: id, type: type)
        if session.rely(on: key, batch: batch) { return StoredBlob(id: id, newBytes: 0) }
        if try session.store.index.hasForWriting(id, type) {
            return StoredBlob(id: id, newBytes: 0)
        }
        return try put(plain, key, batch)
    }

    /// As `store`, for content that has to be in another pack than `packs`, which are to go.
    package func store(
        _ plain: Span<UInt8>, _ type: BlobType, batch: Int, otherThan packs: Set<Digest>
    ) throws(Failure) -> StoredBlob {
        let id = identify(plain)
        let key = StoreSession.BlobKey(id: id, type: type)
        let copies = try session.store.index.locations(id, type)
        if session.rely(on: key, batch: batch)
            || copies.contains(where: { !packs.contains($0.pack) })
        {
            return StoredBlob(id: id, newBytes: 0)
        }
        return try put(plain, key, batch)
    }

    private func put(
        _ plain: Span<UInt8>, _ key: StoreSession.BlobKey, _ batch: Int
    ) throws(Failure) -> StoredBlob {
        let type = key.type
        let pack = type == .data ? data : tree
        // A large blob goes into the next pack rather than make this one's buffer grow.
        if !pack.entries.isEmpty && !pack.hasRoom(for: plain.count) { try close(pack) }
        guard session.claim(key, ticket: ticket(pack, batch), batch: batch) else {
            return StoredBlob(id: key.id, newBytes: 0)
        }
        let stored = append(plain, key, to: pack)
        if pack.isFull { try close(pack) }
        return StoredBlob(id: key.id, newBytes: stored)
    }

    /// Closes this sink's packs, so that their content becomes durable.
    package func flush() throws(Failure) {
        try close(data)
        try close(tree)
    }

    /// Closes a pack that holds back checkpoints: one that a batch long before `batch` relies on.
    package func flushIfLagging(behind batch: Int) throws(Failure) {
        try session.store.index.filter.update(session.store.index)
        for pack in [data, tree] where pack.ticket != nil {
            if batch - pack.firstBatch >= BlobSink.maximalLag { try close(pack) }
        }
    }

    private func ticket(_ pack: OpenPack, _ batch: Int) -> Int {
        if let ticket = pack.ticket { return ticket }
        let ticket = session.newTicket(batch: batch)
        pack.ticket = ticket
        pack.firstBatch = batch
        if pack.limit == StoreSession.dataPackSize {
            pack.bytes = session.buffers.with { $0.popLast() } ?? []
        }
        pack.bytes.reserveCapacity(pack.capacity)
        return ticket
    }

    private func append(
        _ plain: Span<UInt8>, _ key: StoreSession.BlobKey, to pack: OpenPack
    ) -> Int {
        let offset = pack.bytes.count
        var plainLength: UInt32?
        if shouldCompress(plain, key.type) {
            sealer.seal(into: &pack.bytes) { output in
                let start = output.count
                compressor(for: key.type, size: plain.count).compress(plain, into: &output)
                if key.type == .tree || output.count - start < plain.count {
                    plainLength = UInt32(plain.count)
                } else {
                    output.removeSubrange(start...)
                    output.append(copying: plain)
                }
            }
        } else {
            sealer.seal(plain, into: &pack.bytes)
        }
        let stored = pack.bytes.count - offset
        pack.entries.append(
            PackEntry(
                type: key.type, id: key.id, offset: UInt64(offset),
                storedLength: UInt32(stored), plainLength: plainLength))
        return stored
    }

    private func compressor(for type: BlobType, size: Int) -> ZstdCompressor {
        // Of trees, which are mostly hex digits, higher levels make more bytes, not fewer.
        let isSmall = compression == .auto && size <= BlobSink.smallBlob
        return type == .tree || isSmall ? smallCompressor : compressor
    }

    private func shouldCompress(_ plain: Span<UInt8>, _ type: BlobType) -> Bool {
        switch (type, compression) {
        case (.tree, _): true
        case (.data, .off): false
        case (.data, .auto): !probe.looksIncompressible(plain)
        case (.data, .level): true
        }
    }

    private func close(_ pack: OpenPack) throws(Failure) {
        guard let ticket = pack.ticket else { return }
        guard !pack.entries.isEmpty else {
            // Another sink was faster with the only blob: an empty pack holds back nothing.
            pack.ticket = nil
            session.giveBack(ticket)
            return
        }
        var bytes: [UInt8] = []
        swap(&bytes, &pack.bytes)
        let entries = pack.entries
        pack.ticket = nil
        pack.entries = []
        bytes.append(contentsOf: PackHeader.encode(entries, sealer: sealer))
        try session.enqueue(
            StoreSession.PendingPack(
                ticket: ticket, id: identify(bytes.span), bytes: bytes, entries: entries))
    }
}

extension StoreSession {
    /// Whether `key` is in a pack on its way; if so, that pack holds back `batch` too.
    func rely(on key: BlobKey, batch: Int) -> Bool {
        open.blobs.withLock { blobs in
            guard let ticket = blobs.tickets[key] else { return false }
            blobs.firstBatch[ticket] = min(blobs.firstBatch[ticket] ?? batch, batch)
            return true
        }
    }

    /// Enters `key` into the pack `ticket`; false when another sink was faster.
    func claim(_ key: BlobKey, ticket: Int, batch: Int) -> Bool {
        open.blobs.withLock { blobs in
            let other = blobs.tickets[key]
            if other == nil { blobs.tickets[key] = ticket }
            let pack = other ?? ticket
            blobs.firstBatch[pack] = min(blobs.firstBatch[pack] ?? batch, batch)
            return other == nil
        }
    }

    /// Forgets the ticket of a pack that nothing was put into.
    func giveBack(_ ticket: Int) {
        open.blobs.withLock { $0.firstBatch[ticket] = nil }
    }

    func newTicket(batch: Int) -> Int {
        open.blobs.withLock { blobs in
            blobs.nextTicket += 1
            blobs.firstBatch[blobs.nextTicket] = batch
            return blobs.nextTicket
        }
    }
}
