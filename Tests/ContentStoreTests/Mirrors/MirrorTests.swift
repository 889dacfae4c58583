import ContentStore
import Platform
import StoreTestSupport
import TestSupport
import Testing

@Suite struct MirrorTests {
    let memory = MemoryBackend(location: "memory:store")
    let mirror = MemoryBackend(location: "memory:mirror")
    let bench: StoreBench

    init() throws {
        bench = try StoreBench(memory)
    }

    private func fill(_ snapshots: Int = 3, from first: Int = 0) throws {
        for number in first..<(first + snapshots) {
            let seed = UInt64(number * 100)
            try bench.store.keep(
                snapshotOf: (1...6).map { noise(900, seed: seed + $0) }, number: number)
        }
    }

    /// Opens the store with mirrors and a local index of its own.
    private func open(
        _ backend: any Backend, mirrors: [any Backend] = [], fallbacks: ReadFallbacks = .init()
    ) throws -> Store {
        let store = try Store(
            backend: backend, mirrors: mirrors, password: StoreBench.password,
            stateDirectory: bench.folder("state-\(UInt64.random(in: .min ... .max))"),
            fallbacks: fallbacks)
        try store.refresh(session: StoreSession.newName())
        return store
    }

    @discardableResult
    private func copy(
        to target: any Backend, mirrors: [any Backend] = []
    ) throws -> MirrorResult {
        let store = try Store(
            backend: memory, mirrors: mirrors, password: StoreBench.password,
            stateDirectory: bench.folder("state"))
        let copier = MirrorCopier(store: store, target: target)
        try copier.prepare()
        try copier.copy()
        return copier.outcome
    }

    @Test func anEmptyPlaceBecomesTheSame() throws {
        try fill()
        let result = try copy(to: mirror)
        #expect(result.isComplete && result.lost.isEmpty && result.notes.isEmpty)
        #expect(result.copied.snapshots.objects == 3 && result.copied.keys.objects == 1)
        #expect(mirror.lasting == memory.lasting)
        #expect(try copy(to: mirror).copied.total.objects == 0)
        // What comes later is copied alone.
        try fill(1, from: 3)
        let before = mirror.counts[.put] ?? 0
        #expect(try copy(to: mirror).isComplete)
        #expect((mirror.counts[.put] ?? 0) - before == 4, "two packs, an index file, a snapshot")
        #expect(try open(mirror).readSnapshots() == 4)
    }

    /// Cut off after each put in turn: the mirror is a whole repository each time, and goes on.
    @Test func itIsARepositoryAtAnyMoment() throws {
        try fill()
        let total = memory.lasting.count
        for cut in 0...total {
            let target = MemoryBackend(location: "memory:mirror")
            let hooked = HookedBackend(target)
            let puts = Monitor(0)
            hooked.set { hooks in
                hooks.beforePut = { key throws(BackendError) in
                    let number = puts.with { count in
                        count += 1
                        return count
                    }
                    if number > cut { throw .temporary(key, cause: "cut") }
                }
            }
            if cut < total { #expect(throws: Failure.self, "\(cut)") { try copy(to: hooked) } }
            if target.objects[.config] != nil {
                let store = try open(target)
                #expect(try store.readSnapshots() <= 3)
                #expect(try store.refresh(session: StoreSession.newName()) == 0, "\(cut)")
            }
            hooked.set { $0.beforePut = nil }
            #expect(try copy(to: hooked).isComplete, "\(cut)")
            #expect(target.lasting == memory.lasting, "\(cut)")
        }
    }

    @Test(arguments: [ObjectKind.pack, .index, .snapshot, .key])
    func whatIsDamagedIsNotCopied(kind: ObjectKind) throws {
        try fill()
        let other = MemoryBackend(location: "memory:other")
        try copy(to: other)
        if kind == .key {
            // A second key, since nothing opens without one.
            let file = try KeyFile.create(
                bench.store.key, password: [1], cost: KeyFile.Cost(n: 2, r: 1, p: 1),
                created: Timestamp(seconds: 1), host: "h", user: "u")
            try memory.put(ObjectKey(.key, file.name), file.bytes.span)
            try other.put(ObjectKey(.key, file.name), file.bytes.span)
            memory.flip(ObjectKey(.key, file.name))
            let result = try copy(to: mirror)
            #expect(result.lost.map(\.key) == [ObjectKey(.key, file.name)])
            #expect(!result.isComplete)
        } else {
            let key = try #require(memory.keys(kind).first)
            memory.flip(key)
            let result = try copy(to: mirror)
            #expect(result.lost.map(\.key) == [key] && result.lostCount == 1)
            #expect(!result.isComplete && result.missing.total.objects == 1)
            #expect(mirror.lasting == memory.lasting.filter { $0.key != key })
        }
        // Another mirror has it.
        let result = try copy(to: mirror, mirrors: [other])
        #expect(result.isComplete && result.fromOthers == 1)
        #expect(mirror.lasting == other.lasting)
    }

    /// The store has lost a pack; an index file still names it.
    @Test func whatIsGoneFromTheStoreComesFromAnotherMirror() throws {
        try fill()
        let other = MemoryBackend(location: "memory:other")
        try copy(to: other)
        let key = try #require(memory.keys(.pack).first)
        memory.damage(key, nil)
        let alone = try copy(to: mirror)
        #expect(alone.lost.map(\.key) == [key] && !alone.isComplete)
        mirror.damage(try #require(memory.keys(.index).first), nil)
        for index in memory.keys(.index) { mirror.damage(index, nil) }
        #expect(try copy(to: mirror, mirrors: [other]).fromOthers == 1)
        #expect(mirror.lasting == other.lasting)
    }

    @Test func aCopyOfAnotherSizeIsReplacedByTheGoodOne() throws {
        try fill()
        try copy(to: mirror)
        let key = try #require(memory.keys(.pack).first)
        let good = try #require(memory.objects[key])
        mirror.damage(key, Array(good.dropLast(5)))
        #expect(try copy(to: mirror).copied.packs.objects == 1)
        #expect(mirror.objects[key] == good)
        // The other way round it stays as it is.
        memory.damage(key, Array(good.dropLast(5)))
        let result = try copy(to: mirror)
        #expect(result.betterHere == 1 && result.lost.isEmpty)
        #expect(mirror.objects[key] == good)
    }

    @Test func whatIsNoMirrorOfTheStoreIsLeftAlone() throws {
        try fill()
        let foreign = MemoryBackend(location: "memory:foreign")
        try Store.create(
            on: foreign, password: StoreBench.password, cost: KeyFile.Cost(n: 2, r: 1, p: 1))
        let halfMade = MemoryBackend(location: "memory:half")
        try halfMade.put(try #require(foreign.keys(.key).first), [1].span)
        let unmarked = MemoryBackend(location: "memory:unmarked")
        try unmarked.put(ObjectKey(.snapshot, SHA256Hasher.hash([1].span)), [1].span)
        let damaged = MemoryBackend(location: "memory:damaged")
        try copy(to: damaged)
        damaged.flip(.config)
        for place in [foreign, halfMade, unmarked, damaged] {
            let before = place.objects
            let failure = #expect(throws: Failure.self) { try copy(to: place) }
            #expect(failure?.kind == .usage && failure?.message.contains("no mirror") == true)
            #expect(place.objects == before, "\(place.location)")
        }
    }

    /// Something is removed from the store, or replaced, between listing and copying.
    @Test(arguments: [ObjectKind.index, .pack])
    func whatVanishesIsNoLoss(kind: ObjectKind) throws {
        try fill()
        let hooked = HookedBackend(memory)
        let store = try open(hooked)
        // As a garbage collection would: first the snapshot, then what it alone needs.
        let memory = memory
        let gone = Set(memory.keys(.snapshot) + memory.keys(.index).prefix(1))
        hooked.set { hooks in
            hooks.afterListing = (kind, { for key in gone { memory.damage(key, nil) } })
        }
        let copier = MirrorCopier(store: store, target: mirror)
        try copier.prepare()
        try copier.copy()
        #expect(copier.outcome.isComplete, "\(copier.outcome)")
        #expect(mirror.keys(.index) == memory.keys(.index))
        #expect(mirror.keys(.snapshot).isEmpty, "their content is not whole any more")
    }

    /// A writer beside the copying: each time the mirror has a whole state of the store.
    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func besideAWriter(seed: UInt64) throws {
        let path = bench.folder("writer")
        let memory = memory
        let isDone = Monitor(false)
        let writer = DedicatedThread(name: "writer") {
            if let store = try? StoreBench.open(memory, state: path) {
                for number in 0..<20 {
                    let base = seed * 10_000 + UInt64(number * 10)
                    _ = try? store.keep(
                        snapshotOf: (1...3).map { noise(500, seed: base + $0) }, number: number)
                }
            }
            isDone.with { $0 = true }
        }
        var last = false
        while !last {
            last = isDone.with { $0 }
            #expect(try copy(to: mirror).lostCount == 0, "seed \(seed)")
            let store = try open(mirror)
            try store.readSnapshots()
            #expect(try store.refresh(session: StoreSession.newName()) == 0, "seed \(seed)")
        }
        writer.join()
        #expect(mirror.lasting == memory.lasting, "seed \(seed)")
        #expect(memory.keys(.snapshot).count == 20)
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func overATroubledPlace(seed: UInt64) throws {
        try fill()
        let world = RetryWorld()
        let target = RetryingBackend(mirror, surroundings: world.surroundings)
        mirror.setPlan(.seeded(seed, rate: 0.15))
        var last: (any Error)?
        for _ in 0..<20 {
            do {
                _ = try copy(to: target)
                last = nil
                break
            } catch { last = error }
        }
        #expect(last == nil, "seed \(seed)")
        mirror.setPlan(.none)
        #expect(try copy(to: target).isComplete, "seed \(seed)")
        #expect(mirror.lasting == memory.lasting, "seed \(seed)")
    }

    /// Objects beyond what is copied through memory.
    @Test func largeObjectsGoThroughASpoolFile() throws {
        let large = noise(25 << 20, seed: 9)
        let key = ObjectKey(.pack, SHA256Hasher.hash(large.span))
        try memory.put(key, large.span)
        #expect(try copy(to: mirror).isComplete)
        #expect(mirror.objects[key] == large)
        mirror.damage(key, nil)
        memory.flip(key)
        #expect(try copy(to: mirror).lost.map(\.key) == [key])
        #expect(mirror.objects[key] == nil)
    }

    @Test func theRecordTellsSinceWhenAMirrorLags() throws {
        try fill()
        var record = MirrorRecord(location: "memory:mirror")
        record.note(try copy(to: mirror), at: 100)
        #expect(record.completed == 100 && record.lagging == nil && record.missingObjects == 0)
        record.note(Failure(.temporary, "away"), at: 200)
        #expect(record.lagging == 100 && record.failure?.contains("away") == true)
        record.note(Failure(.temporary, "away"), at: 300)
        #expect(record.lagging == 100 && record.attempted == 300 && record.completed == 100)
        record.note(try copy(to: mirror), at: 400)
        #expect(record.lagging == nil && record.failure == nil && record.completed == 400)
        try record.save(in: bench.folder("records"))
        #expect(MirrorRecord.load("memory:mirror", in: bench.folder("records")) == record)
        #expect(MirrorRecord.load("memory:x", in: bench.folder("records")).attempted == nil)
    }
}
