import ContentStore
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// The local index beside a store that changes, and beside other processes.
@Suite struct SharedIndexTests {
    /// The call that the n-th listing is.
    @Test(arguments: ObjectKind.allCases.filter { $0 == .index || $0 == .pack })
    func aListingThatFailsIsAnErrorAndHarmless(kind: ObjectKind) throws {
        let memory = MemoryBackend()
        let bench = try StoreBench(memory)
        let id = try bench.keep([noise(1000, seed: 1)])[0]
        let wanted = kind == .index ? 1 : 2
        let lists = Monitor(0)
        memory.setPlan(
            FaultPlan { call, _ in
                guard call == .list else { return nil }
                return lists.with { count in
                    count += 1
                    return count == wanted
                } ? .temporary : nil
            })
        #expect(throws: Failure.self) {
            try bench.store.refresh(session: StoreSession.newName())
        }
        memory.setPlan(.none)
        #expect(try bench.store.index.contains(id, .data))
        #expect(try bench.store.refresh(session: StoreSession.newName()) == 0)
    }

    /// Another process writes an index file while this one lists: what it just stored is not gone.
    @Test(arguments: [ObjectKind.index, .pack])
    func whatIsWrittenDuringAListingIsNotMissing(kind: ObjectKind) throws {
        let backend = HookedBackend()
        let bench = try StoreBench(backend)
        let other = try StoreBench.open(backend, state: bench.folder("state"))
        let stored = Monitor<Digest?>(nil)
        backend.set { hooks in
            hooks.afterListing = (
                kind,
                {
                    let session = StoreSession(store: other)
                    let sink = BlobSink(session: session)
                    let id = try? sink.store(noise(1000, seed: 2).span, .data, batch: 0).id
                    try? sink.flush()
                    try? session.finish()
                    stored.with { $0 = id }
                }
            )
        }
        let generation = try bench.store.index.generation()
        #expect(try bench.store.refresh(session: StoreSession.newName()) == 0)
        let id = try #require(stored.with { $0 })
        #expect(try bench.store.index.contains(id, .data))
        #expect(try bench.store.index.generation() == generation, "nothing was lost")
    }

    @Test func theGenerationMovesWithEveryLossAndNothingElse() throws {
        let memory = MemoryBackend()
        let bench = try StoreBench(memory)
        let index = bench.store.index
        func refresh() throws { try bench.store.refresh(session: StoreSession.newName()) }
        var last = try index.generation()
        func expectMoved(_ moved: Bool, _ what: Comment) throws {
            let now = try index.generation()
            #expect(moved ? now > last : now == last, what)
            last = now
        }
        let a = try bench.keep([noise(1000, seed: 3)])[0]
        let b = try bench.keep([noise(1000, seed: 4)])[0]
        try refresh()
        try expectMoved(false, "new content is no loss")
        let location = try #require(try index.locations(a, .data).first)
        let key = ObjectKey(.pack, location.pack)
        let bytes = try #require(memory.objects[key])
        memory.damage(key, nil)
        try refresh()
        try expectMoved(true, "a pack gone")
        #expect(try !index.contains(a, .data) && index.contains(b, .data))
        try refresh()
        try expectMoved(false, "still gone")
        memory.damage(key, bytes)
        try refresh()
        try expectMoved(false, "back")
        #expect(try index.contains(a, .data))
        memory.damage(key, bytes + [0])
        try refresh()
        try expectMoved(true, "a wrong size")
        memory.damage(key, bytes)
        try refresh()
        try index.markBad(a, .data, in: location.pack)
        try expectMoved(true, "a copy found bad")
        try index.markBad(a, .data, in: location.pack)
        try expectMoved(false, "known to be bad")
        let files = memory.objects.filter { $0.key.kind == .index }
        for key in files.keys { memory.damage(key, nil) }
        try refresh()
        try expectMoved(true, "index files gone")
        #expect(try !index.contains(b, .data))
        for (key, bytes) in files { memory.damage(key, bytes) }
        try refresh()
        #expect(try index.contains(b, .data))
    }

    /// A baseline remembers a generation; the local index may be thrown away and made again.
    @Test func anIndexMadeAnewHasAnotherGeneration() throws {
        let bench = try StoreBench()
        try bench.keep([noise(1000, seed: 5)])
        let before = try bench.store.index.generation()
        try bench.reopen(forgettingIndex: true)
        #expect(try bench.store.index.generation() != before)
    }

    @Test func anotherStoresIndexAndForeignFilesAreRefused() throws {
        let bench = try StoreBench()
        #expect(throws: Failure.self) {
            try BlobIndex(
                path: bench.folder("state") + "/stores/\(bench.store.id).sqlite", storeID: "other")
        }
        let path = bench.folder("foreign")
        try AtomicFile.write(Array("no database at all, but long enough".utf8).span, to: path)
        #expect(throws: Failure.self) { try BlobIndex(path: path, storeID: "x") }
    }

    /// A pack that is lost before an index file named it must not be named by one.
    @Test func aPackThatVanishedIsNotPutIntoAnIndexFile() throws {
        let memory = MemoryBackend()
        let bench = try StoreBench(memory)
        let first = StoreSession(store: bench.store)
        let sink = BlobSink(session: first)
        let id = try sink.store(noise(1000, seed: 6).span, .data, batch: 0).id
        try sink.flush()
        try first.drain()
        memory.damage(
            ObjectKey(.pack, try #require(bench.store.index.locations(id, .data).first).pack), nil)
        try bench.store.refresh(session: StoreSession.newName())
        try first.finish()
        #expect(try bench.stranger().index.allLocations(id, .data).isEmpty)
    }

    /// Two sessions end at the same time: no pack is in two index files.
    @Test func sessionsThatEndTogetherNameEachPackOnce() throws {
        let memory = MemoryBackend()
        let bench = try StoreBench(memory)
        let other = try StoreBench.open(memory, state: bench.folder("state"))
        for round in 0..<20 {
            let threads = [bench.store, other].enumerated().map { number, store in
                DedicatedThread(name: "session") {
                    let session = StoreSession(store: store)
                    let sink = BlobSink(session: session)
                    let seed = UInt64(100 + round * 2 + number)
                    _ = try? sink.store(noise(1000, seed: seed).span, .data, batch: 0)
                    try? sink.flush()
                    try? session.finish()
                }
            }
            for thread in threads { thread.join() }
        }
        let sealer = Sealer(key: bench.store.key)
        var seen: [Digest: Int] = [:]
        for (key, bytes) in memory.objects where key.kind == .index {
            let id = try #require(key.id)
            try IndexFile.read(bytes.span, expected: id, sealer: sealer) { pack, _ in
                seen[pack, default: 0] += 1
            }
        }
        #expect(seen.count == 40)
        #expect(seen.values.allSatisfy { $0 == 1 }, "\(seen.values.filter { $0 > 1 }.count) twice")
    }
}
