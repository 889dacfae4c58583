package import Platform

/// The state of the store's copies of one blob.
package enum CopyState: Sendable, Equatable {
    case good
    /// In no index file, or in a pack that is gone.
    case missing
    /// There, and not what was written.
    case corrupt
}

/// Reads blobs: authenticates, decompresses and compares with the id.
///
/// Every usable copy is tried before it gives up, then what the mirrors have. Not for use by two
/// threads at once.
package final class BlobReader {
    /// No blob of content is larger: readers of all versions hold a whole blob in memory.
    static let contentLimit = 512 << 20

    private let store: Store
    private let sealer: Sealer
    private let decompressor = ZstdDecompressor()
    private let hasher = SHA256Hasher()
    private var buffer: [UInt8] = []
    private var opened: [UInt8] = []
    private let ahead: BlobsAhead

    /// Makes a reader of `store`.
    package init(store: Store) {
        self.store = store
        sealer = Sealer(key: store.key)
        ahead = BlobsAhead(store: store)
    }

    /// Begins to fetch the blobs that are read next, list after list, in few long reads.
    ///
    /// Takes up to 8 MiB, until the next call. Each blob is verified when it is read, and one that
    /// could not be fetched or is damaged is then read as if this had not been called.
    ///
    /// - Throws: `Failure` when the index cannot be asked.
    package func readAhead(_ lists: [[Digest]], _ type: BlobType) throws(Failure) {
        try ahead.expect(lists, type)
    }

    /// Appends the content of a blob to `output`.
    ///
    /// - Throws: `Failure` of class store, naming the blob and what is wrong with each copy. Copies
    ///   found damaged or gone are marked in the index, so that nobody relies on them.
    package func read(
        _ id: Digest, _ type: BlobType, into output: inout [UInt8]
    ) throws(Failure) {
        if let (bytes, range, location) = try ahead.blob(id, type) {
            let start = output.count
            do throws(Failure) {
                try open(bytes.span.extracting(range), id, location, into: &output)
                return
            } catch {
                // Read again alone, which notes the damage and tries the other copies.
                (store.backend as? BlockCache)?.forget(location.pack)
                output.removeSubrange(start...)
            }
        }
        let readable = try store.index.readableLocations(id, type)
        var problems: [String] = []
        var kind = FailureClass.store
        for location in readable {
            do throws(CopyProblem) {
                try readTwice(id, location, into: &output)
                return
            } catch {
                try error.mark(id, type, location.pack, in: store.index)
                if case .unknown(let failure) = error { kind = failure.kind }
                problems.append("pack \(location.pack.short): \(error.failure)")
            }
        }
        if problems.isEmpty { problems = ["no index file lists it, or its pack is gone"] }
        if try readFromMirror(id, type, &problems, into: &output) { return }
        throw Failure(
            kind, "\(type.word) blob \(id.short) cannot be read from \(store.backend.location)",
            cause: problems.joined(separator: "; "))
    }

    /// Reads the blob where a mirror has it; also where the store's own pack is gone or damaged.
    private func readFromMirror(
        _ id: Digest, _ type: BlobType, _ problems: inout [String], into output: inout [UInt8]
    ) throws(Failure) -> Bool {
        guard !store.mirrors.isEmpty else { return false }
        let locations = try store.index.allLocations(id, type)
        for mirror in store.mirrors {
            for location in locations {
                do throws(CopyProblem) {
                    try read(id, location, from: mirror, into: &output)
                    store.fallbacks.note(
                        "blob \(id.short)", Int(location.storedLength), from: mirror,
                        because: problems.first ?? "")
                    return true
                } catch {
                    problems.append("mirror \(mirror.location): \(error.failure)")
                }
            }
        }
        return false
    }

    /// Reads from the store, once more before a copy counts as damaged: what is spoiled on the way
    /// looks the same.
    private func readTwice(
        _ id: Digest, _ location: BlobLocation, into output: inout [UInt8]
    ) throws(CopyProblem) {
        do throws(CopyProblem) {
            return try read(id, location, from: store.backend, into: &output)
        } catch {
            guard case .damaged = error else { throw error }
            (store.backend as? BlockCache)?.forget(location.pack)
        }
        try read(id, location, from: store.backend, into: &output)
    }

    /// Leaves `output` as it was when it throws.
    private func read(
        _ id: Digest, _ location: BlobLocation, from backend: any Backend,
        into output: inout [UInt8]
    ) throws(CopyProblem) {
        guard location.contentLength <= BlobReader.contentLimit else {
            throw .damaged(
                Failure(.store, "a blob of \(location.contentLength) bytes is too large"))
        }
        let sealed = try fetch(location, from: backend)
        defer { buffer = sealed }
        let start = output.count
        do throws(Failure) {
            try open(sealed.span, id, location, into: &output)
        } catch {
            output.removeSubrange(start...)
            throw .damaged(error)
        }
    }

    private func open(
        _ sealed: Span<UInt8>, _ id: Digest, _ location: BlobLocation, into output: inout [UInt8]
    ) throws(Failure) {
        let start = output.count
        if let plainLength = location.plainLength {
            var opened = take(&self.opened)
            defer { self.opened = opened }
            try sealer.open(sealed, into: &opened)
            try decompressor.decompress(opened.span, into: &output, limit: Int(plainLength))
        } else {
            try sealer.open(sealed, into: &output)
        }
        hasher.update(output.span.extracting(start...))
        guard hasher.finish() == id else {
            throw Failure(.store, "the content is not what its id says")
        }
    }

    /// The sealed bytes, in the reader's buffer: give it back after use.
    private func fetch(
        _ location: BlobLocation, from backend: any Backend
    ) throws(CopyProblem) -> [UInt8] {
        var sealed = take(&buffer)
        do throws(BackendError) {
            let end = location.offset + UInt64(location.storedLength)
            try backend.read(
                ObjectKey(.pack, location.pack), location.offset..<end, into: &sealed)
            return sealed
        } catch {
            buffer = sealed
            throw CopyProblem(error, at: backend.location)
        }
    }

    /// Whether the store's own copy is authentic; read once more before it counts as damaged.
    private func authenticate(_ location: BlobLocation) throws(CopyProblem) {
        for _ in 0..<2 {
            let sealed = try fetch(location, from: store.backend)
            defer { buffer = sealed }
            if sealer.isAuthentic(sealed.span) { return }
            (store.backend as? BlockCache)?.forget(location.pack)
        }
        throw .damaged(Failure(.store, "the MAC does not match"))
    }

    /// Whether the store can give this blob back, by reading and authenticating the sealed bytes
    /// (Poly1305-AES covers every byte of them) without opening them.
    ///
    /// Only copies count that an index file names: nobody finds the others. Copies found damaged
    /// or gone are marked in the index; copies marked before and good now are not any more.
    ///
    /// - Throws: when no copy is good and one of them could not be asked.
    package func verify(_ id: Digest, _ type: BlobType) throws(Failure) -> CopyState {
        let index = store.index
        var worst = CopyState.missing
        var unknown: Failure?
        for copy in try index.copies(id, type) where copy.isListed {
            let pack = copy.location.pack
            do throws(CopyProblem) {
                try authenticate(copy.location)
            } catch {
                try error.mark(id, type, pack, in: index)
                switch error {
                case .gone: break
                case .damaged: worst = .corrupt
                case .unknown(let failure): unknown = failure
                }
                continue
            }
            if copy.isBad { try index.markGood(id, type, in: pack) }
            if copy.isPresent { return .good }
            // The blob is well and its pack has a wrong size: other readers refuse it.
            worst = .corrupt
        }
        if let unknown { throw unknown }
        return worst
    }

    /// As `verify`, without reading: by the index and the last listing of the packs.
    package func isPresent(_ id: Digest, _ type: BlobType) throws(Failure) -> CopyState {
        try store.index.contains(id, type) ? .good : .missing
    }
}

/// Why a copy of a blob could not be read.
enum CopyProblem: Error {
    /// The pack is not there.
    case gone(Failure)
    /// It is there, and not what was written.
    case damaged(Failure)
    /// It could not be asked: says nothing about the copy.
    case unknown(Failure)

    init(_ error: BackendError, at location: String) {
        let failure = error.failure(at: location)
        switch error {
        case .missing: self = .gone(failure)
        case .damaged: self = .damaged(failure)
        // What the medium does not give back is lost.
        case .permanent(let cause) where cause.code == Errno.inputOutput: self = .damaged(failure)
        case .permanent, .refused, .temporary, .exists: self = .unknown(failure)
        }
    }

    var failure: Failure {
        switch self {
        case .gone(let failure), .damaged(let failure), .unknown(let failure): failure
        }
    }

    /// Notes what was seen, so that nobody relies on the copy any more.
    func mark(
        _ id: Digest, _ type: BlobType, _ pack: Digest, in index: BlobIndex
    ) throws(Failure) {
        switch self {
        case .gone: try index.markMissing(pack)
        case .damaged: try index.markBad(id, type, in: pack)
        case .unknown: break
        }
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
