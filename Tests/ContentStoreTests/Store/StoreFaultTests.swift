import ContentStore
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// The store above a place where everything goes wrong now and then: it ends correct.
@Suite struct StoreFaultTests {
    /// What goes wrong.
    enum Trouble: String, CaseIterable, Sendable {
        case tornWrites, lostResponses, timeOuts, storms, staleListings, truncatedReads, wrongBytes
        case everything

        func plan(_ seed: UInt64) -> FaultPlan {
            switch self {
            case .tornWrites: .seeded(seed, rate: 0.2, faults: [.tornWrite])
            case .lostResponses: .seeded(seed, rate: 0.2, faults: [.lostResponse])
            case .timeOuts: .seeded(seed, rate: 0.2, faults: [.temporary, .lostResponse])
            case .storms:
                // Some calls well, then as many refused as are tried again.
                FaultPlan { _, number in
                    let period = 13 + Int(seed % 9)
                    return (number + Int(seed)) % period < 7 ? .temporary : nil
                }
            case .staleListings: .seeded(seed, rate: 0.5, faults: [.staleListing])
            case .truncatedReads: .seeded(seed, rate: 0.05, faults: [.truncatedRead])
            case .wrongBytes: .seeded(seed, rate: 0.05, faults: [.wrongBytes])
            case .everything: .seeded(seed, rate: 0.08)
            }
        }

        /// Whether nothing may look lost to the writers: no fault says so of what is there.
        var isHarmless: Bool {
            switch self {
            case .truncatedReads, .wrongBytes, .everything: false
            default: true
            }
        }
    }

    /// Two hosts that work on one store.
    private final class Scene {
        let folder: TemporaryFolder
        let memory = MemoryBackend()
        let backend: RetryingBackend
        var contents: [Digest: [UInt8]] = [:]
        var snapshots: Set<Digest> = []

        init() throws {
            folder = try TemporaryFolder("faults")
            backend = RetryingBackend(memory, surroundings: RetryWorld().surroundings)
        }

        /// As a job is: what failed is begun again, some times.
        func job<R>(_ body: () throws -> R) throws -> R {
            var last: (any Error)?
            for _ in 0..<25 {
                do { return try body() } catch let failure as Failure { last = failure }
            }
            throw last ?? TestError("no error")
        }

        func open(_ host: String) throws -> Store {
            let state = folder(host)
            return try job {
                try Store(
                    backend: backend, password: StoreBench.password, stateDirectory: state,
                    clock: SetClock())
            }
        }

        /// What a dehydrate does: lock, look, store, index, snapshot.
        func dehydrate(_ store: Store, _ blobs: [[UInt8]], number: UInt64) throws {
            let session = StoreSession(store: store)
            var options = LockOptions()
            options.pause = { _ in }
            options.unreadableWaits = [0, 0, 0]
            let lock = try RepositoryLock.take(
                backend, key: store.key, owner: LockOwner(username: "t", uid: 0, gid: 0),
                journal: LockJournal(isOurs: { _ in false }), options: options)
            defer {
                // A lock that stays is one of a process that was killed: not what is tested here.
                try? lock.release()
            }
            try store.refresh(session: session.name)
            let sinks = [BlobSink(session: session), BlobSink(session: session)]
            var ids: [Digest] = []
            for (batch, blob) in blobs.enumerated() {
                ids.append(try sinks[batch % 2].store(blob.span, .data, batch: batch).id)
                if batch % 5 == 4 { try sinks[batch % 2].flush() }
                if batch == blobs.count / 2 {
                    try session.drain()
                    try session.writeIndex()
                    try store.refresh(session: session.name)
                }
            }
            for sink in sinks { try sink.flush() }
            try session.finish()
            let tree = try tree(ids, session)
            let snapshot = Snapshot(
                time: Timestamp(seconds: 1_700_000_000 + Int64(number)), tree: tree,
                paths: ["/m"], hostname: "h", username: "u", uid: 0, gid: 0, tags: [],
                parent: nil, excludes: [], programVersion: "t", summary: nil)
            let json = snapshot.encode()
            let sealed = UnpackedFile.seal(
                json.span, sealer: Sealer(key: store.key), compressor: ZstdCompressor(level: 3))
            try store.put(snapshot: sealed.id, sealed.bytes)
            for (id, blob) in zip(ids, blobs) { contents[id] = blob }
            snapshots.insert(sealed.id)
        }

        private func tree(_ ids: [Digest], _ session: StoreSession) throws -> Digest {
            let sink = BlobSink(session: session)
            let text = ids.map(\.description).joined(separator: ",")
            let id = try sink.store(Array("{\"nodes\":[]}\(text)\n".utf8).span, .tree, batch: 0).id
            try sink.flush()
            try session.finish()
            return id
        }
    }

    @Test(arguments: Trouble.allCases, 0..<UInt64(setting("CISTERN_FAULT_SEEDS", default: 40)))
    func theStoreEndsCorrect(trouble: Trouble, seed: UInt64) throws {
        let name = Comment("\(trouble), seed \(seed)")
        let scene = try Scene()
        scene.memory.setPlan(trouble.plan(seed))
        try scene.job {
            if try !Store.exists(scene.backend) {
                try Store.create(
                    on: scene.backend, password: StoreBench.password,
                    cost: KeyFile.Cost(n: 2, r: 1, p: 1))
            }
        }
        let hosts = [try scene.open("a"), try scene.open("b")]
        let before = try hosts.map { try $0.index.generation() }
        for round in 0..<4 as Range<UInt64> {
            let host = hosts[Int(round % 2)]
            // Half of the content is new in each round.
            let blobs = (0..<16).map { noise(700, seed: (round / 2) * 1000 + round * 8 + $0 + 1) }
            try scene.job { try scene.dehydrate(host, blobs, number: round) }
            try scene.job { try readBack(host, scene, name) }
        }
        for host in hosts {
            _ = try scene.job { try host.refresh(session: StoreSession.newName()) }
            let listed = Set(try scene.job { try host.snapshots() }.map(\.id))
            // A lag may hide what another host has just written; what is its own it knows.
            if trouble != .staleListings && trouble != .everything {
                #expect(listed.isSuperset(of: scene.snapshots), name)
            }
        }
        if trouble.isHarmless {
            #expect(try hosts.map { try $0.index.generation() } == before, name)
        }
        scene.memory.setPlan(.none)
        try judge(scene, trouble, name)
    }

    private func readBack(_ store: Store, _ scene: Scene, _ name: Comment) throws {
        let reader = BlobReader(store: store)
        try reader.readAhead([Array(scene.contents.keys)], .data)
        for (id, content) in scene.contents {
            // What another host has just stored may not be in the index yet.
            guard try !store.index.allLocations(id, .data).isEmpty else { continue }
            var plain: [UInt8] = []
            do {
                try reader.read(id, .data, into: &plain)
            } catch {
                // A copy that was found bad twice is not asked again; nothing wrong came out.
                #expect(plain.isEmpty, "\(name): \(error)")
                continue
            }
            #expect(plain == content, name)
        }
    }

    /// What somebody sees who has nothing but the store.
    private func judge(_ scene: Scene, _ trouble: Trouble, _ name: Comment) throws {
        for (key, bytes) in scene.memory.objects {
            if let id = key.id { #expect(SHA256Hasher.hash(bytes.span) == id, name) }
        }
        #expect(scene.memory.objects.keys.filter { $0.kind == .key }.count == 1, name)
        let stranger = try scene.open("stranger")
        #expect(try stranger.refresh(session: StoreSession.newName()) == 0, name)
        #expect(
            Set(try stranger.snapshots().map(\.id)).isSuperset(of: scene.snapshots), name)
        let reader = BlobReader(store: stranger)
        for (id, content) in scene.contents {
            var plain: [UInt8] = []
            try reader.read(id, .data, into: &plain)
            #expect(plain == content, name)
        }
        for snapshot in try stranger.snapshots() {
            var plain: [UInt8] = []
            try reader.read(snapshot.snapshot.tree, .tree, into: &plain)
        }
        guard trouble.isHarmless, trouble != .staleListings else { return }
        let counts = try stranger.index.counts()
        #expect(counts.blobs == scene.contents.count + 4, "\(name): blobs were stored twice")
    }
}
