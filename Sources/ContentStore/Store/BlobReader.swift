package import Platform

/// The state of the store's copies of one blob.
package enum CopyState: Sendable, Equatable {
    case good
    /// In no index file, or in a pack that is gone.
    case missing
    /// There, and not what was written.
    case corrupt
}

/// Reads blobs: authenticates, decompresses and compares with the id. Every usable copy is tried
/// before it gives up. Not for use by two threads at once.
package final class BlobReader {
    /// No blob of content is larger: readers of all versions hold a whole blob in memory.
    static let contentLimit = 512 << 20

    private let store: Store
    private let sealer: Sealer
    private let decompressor = ZstdDecompressor()
    private let hasher = SHA256Hasher()
    private var buffer: [UInt8] = []
    private var opened: [UInt8] = []

    /// Makes a reader of `store`.
    package init(store: Store) {
        self.store = store
        sealer = Sealer(key: store.key)
    }

    /// Appends the content of a blob to `output`.
    ///
    /// - Throws: `Failure` of class store, naming the blob and what is wrong with each copy. Copies
    ///   found damaged are marked in the index, so that nobody relies on them.
    package func read(
        _ id: Digest, _ type: BlobType, into output: inout [UInt8]
    ) throws(Failure) {
        let locations = try store.index.locations(id, type)
        var problems: [String] = []
        for location in locations {
            let start = output.count
            do {
                try read(id, location, into: &output)
                return
            } catch {
                output.removeSubrange(start...)
                if error.kind == .store { try store.index.markBad(id, type, in: location.pack) }
                problems.append("pack \(location.pack.short): \(error)")
            }
        }
        throw Failure(
            .store, "\(type.word) blob \(id.short) cannot be read from \(store.backend.location)",
            cause: problems.isEmpty
                ? "no index file lists it, or its pack is gone"
                : problems.joined(separator: "; "))
    }

    private func read(
        _ id: Digest, _ location: BlobLocation, into output: inout [UInt8]
    ) throws(Failure) {
        guard location.contentLength <= BlobReader.contentLimit else {
            throw Failure(.store, "a blob of \(location.contentLength) bytes is too large")
        }
        let sealed = try fetch(location)
        defer { buffer = sealed }
        let start = output.count
        if let plainLength = location.plainLength {
            var opened = take(&self.opened)
            defer { self.opened = opened }
            try sealer.open(sealed.span, into: &opened)
            try decompressor.decompress(opened.span, into: &output, limit: Int(plainLength))
        } else {
            try sealer.open(sealed.span, into: &output)
        }
        hasher.update(output.span.extracting(start...))
        guard hasher.finish() == id else {
            throw Failure(.store, "the content is not what its id says")
        }
    }

    /// The sealed bytes, in the reader's buffer: give it back after use.
    private func fetch(_ location: BlobLocation) throws(Failure) -> [UInt8] {
        var sealed = take(&buffer)
        do throws(BackendError) {
            let end = location.offset + UInt64(location.storedLength)
            try store.backend.read(
                ObjectKey(.pack, location.pack), location.offset..<end, into: &sealed)
            return sealed
        } catch {
            throw error.failure(at: store.backend.location)
        }
    }

    /// Whether the store can give this blob back, by reading and authenticating the sealed bytes
    /// (Poly1305-AES covers every byte of them) without opening them.
    ///
    /// Copies found damaged are marked in the index; copies marked before and good now are not
    /// any more.
    package func verify(_ id: Digest, _ type: BlobType) throws(Failure) -> CopyState {
        let locations = try store.index.allLocations(id, type)
        var worst = CopyState.missing
        for location in locations {
            let sealed: [UInt8]
            do {
                sealed = try fetch(location)
            } catch {
                if error.kind == .temporary { throw error }
                continue
            }
            defer { buffer = sealed }
            if sealer.isAuthentic(sealed.span) {
                return .good
            }
            try store.index.markBad(id, type, in: location.pack)
            worst = .corrupt
        }
        return worst
    }

    /// As `verify`, without reading: by the index and the last listing of the packs.
    package func isPresent(_ id: Digest, _ type: BlobType) throws(Failure) -> CopyState {
        try store.index.contains(id, type) ? .good : .missing
    }
}

/// Takes a buffer out of its owner, emptied but with its memory, for use as a local value: a span
/// of a property cannot be handed on.
func take(_ buffer: inout [UInt8]) -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &buffer)
    taken.removeAll(keepingCapacity: true)
    return taken
}
