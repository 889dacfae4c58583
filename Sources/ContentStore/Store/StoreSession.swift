package import Platform
internal import Synchronization

/// One writer's work on a store: blobs go in through `BlobSink`s, full packs are journalled,
/// uploaded and indexed by a thread of the session's own.
///
/// Content counts as stored only once its pack is durable. `durableBelow` says which batches of
/// the caller's work that covers, so that a checkpoint never runs ahead of the store.
package final class StoreSession: Sendable {
    /// Data packs are closed at this size: restic's own target.
    package static let dataPackSize = 16 << 20
    /// Tree packs are smaller: they are read piecemeal, and held in memory beside data packs.
    package static let treePackSize = 4 << 20
    /// At most this many blobs go into one pack, so that journal entries stay small.
    static let packBlobLimit = 32_768
    /// An index file lists about this many blobs at most, as restic's do.
    static let indexFileBlobLimit = 50_000
    /// Uploaded packs wait at most this long for their index file.
    static let indexInterval: Double = 60
    /// Packs that are full and not yet durable; a sink waits when there are this many.
    static let pendingPackLimit = 1

    struct BlobKey: Hashable {
        var id: Digest
        var type: BlobType
    }

    struct PendingPack: Sendable {
        var ticket: Int
        var id: Digest
        var bytes: [UInt8]
        var entries: [PackEntry]
    }

    /// What is in packs that are not durable yet.
    ///
    /// Behind a lock of its own, because every blob asks, and nobody waits for it.
    struct OpenBlobs {
        /// Blobs that are in an open or pending pack, and which.
        var tickets: [BlobKey: Int] = [:]
        /// The first batch that relies on each pack that is not durable.
        var firstBatch: [Int: Int] = [:]
        var nextTicket = 0
    }

    struct State {
        var queue: [PendingPack] = []
        var uploading = false
        var closing = false
        var failure: Failure?
        var unindexedBlobs = 0
        var lastIndexed = monotonicSeconds()
        var uploadedPacks = 0
    }

    package let store: Store
    /// The session's name in the journal: the process, `#` and a number.
    package let name: String
    let state: Monitor<State>
    let open: OpenBlobsLock
    /// Buffers of packs that were uploaded: new ones cost a page fault every 4 KiB.
    let buffers = Monitor<[[UInt8]]>([])
    /// Buffers that are kept: whoever waits for the uploader takes the one that it has emptied.
    private static let bufferLimit = 1
    /// Throws when the lock on the store does not hold any more.
    package let confirmLock: @Sendable () throws(Failure) -> Void
    /// Packs that no index file listed when the session began, by number.
    let unlistedBefore: Result<Set<Int>, Failure>
    private let uploader: Mutex<DedicatedThread?>
    private static let counter = Atomic<Int>(0)

    /// Begins a session.
    ///
    /// - Parameter confirmLock: throws when the lock on the store, which the caller holds for as
    ///   long as the session lasts, does not hold any more; asked before an index file or a
    ///   snapshot is written.
    package init(
        store: Store, confirmLock: @escaping @Sendable () throws(Failure) -> Void = {}
    ) {
        self.store = store
        // The error, if there is one, is that of the first who asks.
        unlistedBefore = Result { () throws(Failure) in try store.index.unlistedPacks() }
        self.confirmLock = confirmLock
        name = StoreSession.newName()
        state = Monitor(State())
        open = OpenBlobsLock()
        uploader = Mutex(nil)
    }

    /// A name for a session of this process that no other session has.
    package static func newName() -> String {
        let number = counter.add(1, ordering: .relaxed).newValue
        return "\(ProcessIdentity.current)#\(number)"
    }

    deinit {
        state.with { $0.closing = true }
        uploader.withLock { $0?.join() }
    }

    /// Every batch below this number has all its content durable in the store.
    package func durableBelow() throws(Failure) -> Int {
        if let failure = state.with({ $0.failure }) { throw failure }
        return open.blobs.withLock { $0.firstBatch.values.min() } ?? .max
    }

    /// Packs uploaded so far.
    package var uploadedPacks: Int { state.with { $0.uploadedPacks } }

    /// Ends the session's uploads: waits until every pack that sinks have closed is durable, and
    /// writes the index files.
    ///
    /// Sinks must have been flushed.
    package func finish() throws(Failure) {
        try drain()
        try writeIndex()
    }

    /// Waits until every closed pack is durable.
    package func drain() throws(Failure) {
        let failure = state.wait { state -> Failure?? in
            if let failure = state.failure { return .some(failure) }
            return state.queue.isEmpty && !state.uploading ? .some(nil) : nil
        }
        if let failure { throw failure }
    }

    // MARK: Packs

    /// Hands a closed pack to the uploader; waits while too many are pending.
    func enqueue(_ pack: PendingPack) throws(Failure) {
        startUploader()
        let failure = state.wait { state -> Failure?? in
            if let failure = state.failure { return .some(failure) }
            guard state.queue.count + (state.uploading ? 1 : 0) < StoreSession.pendingPackLimit
            else { return nil }
            state.queue.append(pack)
            return .some(nil)
        }
        if let failure { throw failure }
    }

    private func startUploader() {
        uploader.withLock { thread in
            guard thread == nil else { return }
            thread = DedicatedThread(name: "uploader") {
                [state, open, buffers, store, name, confirmLock] in
                StoreSession.upload(state, open, buffers, store, name, confirmLock)
            }
        }
    }

    private static func upload(
        _ state: Monitor<State>, _ open: OpenBlobsLock, _ buffers: Monitor<[[UInt8]]>,
        _ store: Store, _ name: String, _ confirmLock: () throws(Failure) -> Void
    ) {
        while true {
            let next = state.wait { state -> PendingPack?? in
                if !state.queue.isEmpty && state.failure == nil {
                    state.uploading = true
                    return .some(state.queue.removeFirst())
                }
                return state.closing || state.failure != nil ? .some(nil) : nil
            }
            guard var pack = next else { return }
            // Trees come beside what is kept for the next data pack, not in its place.
            if pack.entries.first?.type == .tree { buffers.with { $0 = [] } }
            do {
                try upload(pack, store, name)
                keep(take(&pack.bytes), in: buffers)
                open.blobs.withLock { blobs in
                    for entry in pack.entries {
                        blobs.tickets[BlobKey(id: entry.id, type: entry.type)] = nil
                    }
                    blobs.firstBatch[pack.ticket] = nil
                }
                let due = state.with { state in
                    finishUpload(of: pack, &state)
                    return state.unindexedBlobs >= indexFileBlobLimit
                        || monotonicSeconds() - state.lastIndexed >= indexInterval
                }
                if due {
                    try confirmLock()
                    try writeIndex(state, store)
                }
            } catch {
                let failure = Failure(
                    .store, "pack \(pack.id.short) could not be stored", wrapping: error,
                    at: store.backend.location)
                state.with { state in
                    state.failure = failure
                    state.uploading = false
                }
            }
        }
    }

    private static func keep(_ buffer: consuming [UInt8], in buffers: Monitor<[[UInt8]]>) {
        var buffer = buffer
        guard (dataPackSize..<(2 * dataPackSize)).contains(buffer.capacity) else { return }
        buffer.removeAll(keepingCapacity: true)
        buffers.with { if $0.count < bufferLimit { $0.append(buffer) } }
    }

    private static func upload(_ pack: PendingPack, _ store: Store, _ name: String) throws {
        CrashPoint.reached("pack-before-journal")
        try store.index.journal(
            pack.id, size: pack.bytes.count, entries: pack.entries, session: name,
            seen: store.clock.now().seconds)
        CrashPoint.reached("pack-journalled")
        try store.backend.put(ObjectKey(.pack, pack.id), pack.bytes.span)
        CrashPoint.reached("pack-uploaded")
        try store.index.markUploaded(pack.id, entries: pack.entries)
        CrashPoint.reached("pack-marked")
    }

    private static func finishUpload(of pack: PendingPack, _ state: inout State) {
        state.uploading = false
        state.unindexedBlobs += pack.entries.count
        state.uploadedPacks += 1
    }

    // MARK: Index files

    /// Writes index files for every durable pack that is in none.
    package func writeIndex() throws(Failure) {
        do {
            try confirmLock()
            try StoreSession.writeIndex(state, store)
        } catch {
            throw Failure(
                .store, "the store's index could not be written", wrapping: error,
                at: store.backend.location)
        }
    }

    /// Waits for the turn to write index files: sessions of this host, in any process, that end
    /// together would each name the packs of all.
    ///
    /// For a while only, because packs that are named twice do no harm.
    private static func indexTurn(_ store: Store) -> FileLock? {
        let deadline = monotonicSeconds() + indexInterval
        while monotonicSeconds() < deadline {
            do throws(SystemError) {
                return try FileLock("\(store.index.path).writing")
            } catch {
                guard error.code == Errno.again else { return nil }
            }
            pause(seconds: 0.01)
        }
        return nil
    }

    private static func writeIndex(_ state: Monitor<State>, _ store: Store) throws {
        let sealer = Sealer(key: store.key)
        let turn = indexTurn(store)
        defer { withExtendedLifetime(turn) {} }
        while true {
            let writer = IndexFileWriter()
            let packs = try store.index.unindexedPacks(limit: indexFileBlobLimit) {
                writer.append(pack: $0, $1)
            }
            if packs.isEmpty { break }
            let file = writer.finish(sealer: sealer)
            CrashPoint.reached("index-before-put")
            try store.backend.put(ObjectKey(.index, file.id), file.bytes.span)
            CrashPoint.reached("index-put")
            try store.index.markIndexed(packs, in: file.id)
            CrashPoint.reached("index-marked")
        }
        state.with { state in
            state.unindexedBlobs = 0
            state.lastIndexed = monotonicSeconds()
        }
    }
}

/// The lock around `StoreSession.OpenBlobs`.
final class OpenBlobsLock: Sendable {
    let blobs = Mutex(StoreSession.OpenBlobs())
}
