internal import Platform

/// Copies the live blobs of packs to new ones.
final class Repacker {
    /// Packs with a larger blob than this are left as they are: it has its pack for itself.
    private static let blobLimit = 64 << 20
    /// Bytes that nobody wants, read to save a further read.
    private static let gapLimit: UInt64 = 64 << 10

    /// The live blobs of one pack, verified.
    private struct Copied: Sendable {
        var pack: IndexedPack
        var bytes: [UInt8] = []
        /// With their lengths; they lie in `bytes` one after the other.
        var entries: [PackEntry] = []
        /// What made the pack unfit to be given up.
        var problem: Failure?
    }

    /// Which blobs of the packs are copied.
    private struct Choice: Sendable {
        var live: LiveSet.Subset
        var several: LiveSet.Subset
        var going: Set<Digest>

        /// Whether a snapshot refers to the blob and no pack that stays has it.
        func includes(_ entry: PackEntry, _ index: BlobIndex) throws(Failure) -> Bool {
            guard live.contains(entry.id) else { return false }
            guard several.contains(entry.id) else { return true }
            return try !index.copies(entry.id, entry.type).contains {
                $0.isUsable && !going.contains($0.location.pack)
            }
        }
    }

    /// What became of the packs.
    struct Result {
        /// Packs whose live blobs are all durable in others.
        var done: [IndexedPack] = []
        /// Packs that are damaged, and stay.
        var problems: [(pack: Digest, failure: Failure)] = []
        var copiedBlobs = 0
        var copiedBytes: UInt64 = 0
        /// Whether the time was over before all was done.
        var isCut = false
    }

    private let store: Store
    private let session: StoreSession
    private let choice: Choice
    private var result = Result()
    private let data = OpenPack(limit: StoreSession.dataPackSize)
    private let tree = OpenPack(limit: StoreSession.treePackSize)

    private final class OpenPack {
        let limit: Int
        var ticket: Int?
        var bytes: [UInt8] = []
        var entries: [PackEntry] = []

        init(limit: Int) { self.limit = limit }
    }

    /// - Parameters:
    ///   - several: the blobs that the index had several good copies of, or bad ones: the others
    ///     are nowhere else.
    ///   - going: the packs that will be given up, these and others.
    init(
        session: StoreSession, live: LiveSet.Subset, several: LiveSet.Subset, going: Set<Digest>
    ) {
        store = session.store
        self.session = session
        choice = Choice(live: live, several: several, going: going)
    }

    /// Copies `packs`, in this order, until `goesOn` says no.
    func run(
        _ packs: [IndexedPack], threads: Int = processorCount, goesOn: () throws -> Bool
    ) throws -> Result {
        var rest = packs[...]
        let store = store
        let choice = choice
        try orderedMap(
            threads: threads, window: threads, name: "repack",
            makeWorker: { _ in
                let blob = SealedBlob(key: store.key)
                let sealer = Sealer(key: store.key)
                return { _, pack in
                    try Repacker.read(pack, store, choice, blob, sealer)
                }
            },
            next: {
                guard !rest.isEmpty, try goesOn() else { return nil }
                return rest.popFirst()
            },
            collect: { _, copied in try self.collect(copied) })
        try close(data)
        try close(tree)
        try session.finish()
        CrashPoint.reached("gc-repacked")
        result.isCut = !rest.isEmpty
        return result
    }

    private func collect(_ copied: Copied) throws(Failure) {
        if let problem = copied.problem {
            result.problems.append((copied.pack.id, problem))
            return
        }
        var at = 0
        for entry in copied.entries {
            let end = at + Int(entry.storedLength)
            try append(copied.bytes.span.extracting(at..<end), entry)
            at = end
        }
        result.done.append(copied.pack)
    }

    private func append(_ sealed: Span<UInt8>, _ entry: PackEntry) throws(Failure) {
        let pack = entry.type == .data ? data : tree
        if !pack.entries.isEmpty && pack.bytes.count + sealed.count > pack.limit {
            try close(pack)
        }
        let key = StoreSession.BlobKey(id: entry.id, type: entry.type)
        let ticket = ticket(pack)
        // Another pack that was given up had it too.
        guard session.claim(key, ticket: ticket, batch: 0) else { return }
        var entry = entry
        entry.offset = UInt64(pack.bytes.count)
        pack.bytes.append(copying: sealed)
        pack.entries.append(entry)
        result.copiedBlobs += 1
        result.copiedBytes += UInt64(sealed.count)
        if pack.bytes.count >= pack.limit || pack.entries.count >= StoreSession.packBlobLimit {
            try close(pack)
        }
    }

    private func ticket(_ pack: OpenPack) -> Int {
        if let ticket = pack.ticket { return ticket }
        let ticket = session.newTicket(batch: 0)
        pack.ticket = ticket
        if pack === data { pack.bytes = session.buffers.with { $0.popLast() } ?? [] }
        pack.bytes.reserveCapacity(
            pack.limit + PackHeader.maximumSize(StoreSession.packBlobLimit))
        return ticket
    }

    private func close(_ pack: OpenPack) throws(Failure) {
        guard let ticket = pack.ticket else { return }
        pack.ticket = nil
        guard !pack.entries.isEmpty else { return session.giveBack(ticket) }
        var bytes: [UInt8] = []
        swap(&bytes, &pack.bytes)
        let entries = pack.entries
        pack.entries = []
        bytes.append(contentsOf: PackHeader.encode(entries, sealer: Sealer(key: store.key)))
        try session.enqueue(
            StoreSession.PendingPack(
                ticket: ticket, id: SHA256Hasher.hash(bytes.span), bytes: bytes, entries: entries))
    }

    // MARK: One pack

    private static func read(
        _ pack: IndexedPack, _ store: Store, _ choice: Choice, _ blob: SealedBlob,
        _ sealer: Sealer
    ) throws -> Copied {
        var copied = Copied(pack: pack)
        do throws(Failure) {
            let entries = try store.header(of: pack.id, size: pack.size, sealer: sealer)
            var wanted: [PackEntry] = []
            for entry in entries where try choice.includes(entry, store.index) {
                guard entry.storedLength <= blobLimit else {
                    throw Failure(.store, "a blob of it is too large to be copied")
                }
                wanted.append(entry)
            }
            try fetch(wanted, pack, store, blob, &copied)
        } catch {
            guard error.kind == .store else { throw error }
            copied = Copied(pack: pack, problem: error)
        }
        return copied
    }

    private static func fetch(
        _ entries: [PackEntry], _ pack: IndexedPack, _ store: Store, _ blob: SealedBlob,
        _ copied: inout Copied
    ) throws(Failure) {
        copied.bytes.reserveCapacity(entries.reduce(0) { $0 + Int($1.storedLength) })
        var first = 0
        var buffer: [UInt8] = []
        while first < entries.count {
            let start = entries[first].offset
            var next = first
            var end = start
            while next < entries.count, entries[next].offset <= end + gapLimit,
                entries[next].range.upperBound - start <= UInt64(blobLimit)
            {
                end = entries[next].range.upperBound
                next += 1
            }
            buffer.removeAll(keepingCapacity: true)
            do throws(BackendError) {
                try store.backend.read(ObjectKey(.pack, pack.id), start..<end, into: &buffer)
            } catch {
                throw error.failure(at: store.backend.location)
            }
            for entry in entries[first..<next] {
                let low = Int(entry.offset - start)
                let sealed = buffer.span.extracting(low..<(low + Int(entry.storedLength)))
                do throws(Failure) {
                    copied.entries.append(try blob.copy(sealed, entry, into: &copied.bytes))
                } catch {
                    try store.index.markBad(entry.id, entry.type, in: pack.id)
                    throw error
                }
            }
            first = next
        }
    }
}

extension Store {
    /// The entries of a pack by its own header.
    func header(of pack: Digest, size: UInt64, sealer: Sealer) throws(Failure) -> [PackEntry] {
        try PackHeader.decode(size: size, sealer: sealer) { range throws(Failure) in
            var bytes: [UInt8] = []
            do throws(BackendError) {
                try backend.read(ObjectKey(.pack, pack), range, into: &bytes)
            } catch {
                throw error.failure(at: backend.location)
            }
            return bytes
        }
    }
}
