import ContentStore
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// Reading what the store itself cannot give.
@Suite struct MirrorReadingTests {
    let memory = MemoryBackend(location: "memory:store")
    let mirror = MemoryBackend(location: "memory:mirror")
    let bench: StoreBench
    let told = Monitor<[String]>([])

    init() throws {
        bench = try StoreBench(memory)
        for number in 0..<3 {
            try bench.store.keep(
                snapshotOf: (1...4).map { noise(900, seed: UInt64(number * 10 + $0)) },
                number: number)
        }
        for (key, bytes) in memory.lasting { try mirror.put(key, bytes.span) }
    }

    private func open(_ mirrors: [any Backend]) throws -> Store {
        let told = told
        let store = try Store(
            backend: memory, mirrors: mirrors, password: StoreBench.password,
            stateDirectory: bench.folder("state-\(UInt64.random(in: .min ... .max))"),
            fallbacks: ReadFallbacks(tell: { line in told.with { $0.append(line) } }))
        try store.refresh(session: StoreSession.newName())
        return store
    }

    enum Damage: CaseIterable { case flipped, cut, emptied, gone }

    private func spoil(_ key: ObjectKey, _ damage: Damage) throws {
        let bytes = try #require(memory.objects[key])
        switch damage {
        case .flipped: memory.flip(key)
        case .cut: memory.damage(key, Array(bytes.prefix(bytes.count / 2)))
        case .emptied: memory.damage(key, [])
        case .gone: memory.damage(key, nil)
        }
    }

    @Test(arguments: Damage.allCases, [false, true])
    func packs(damage: Damage, isKnown: Bool) throws {
        let store = try open([mirror])
        for key in memory.keys(.pack) { try spoil(key, damage) }
        // A listing that has seen it, or a reader that finds out by itself.
        if isKnown { try store.refresh(session: StoreSession.newName()) }
        #expect(try store.readSnapshots() == 3)
        // A flipped bit spoils one blob of its pack, the others all.
        let isWhole = damage == .emptied || damage == .gone || isKnown && damage == .cut
        #expect(store.fallbacks.totals.objects >= (isWhole ? 15 : 6))
        #expect(store.fallbacks.totals.bytes > 0)
        #expect(told.with { $0.count } == 1, "once is enough")
        #expect(told.with { $0[0] }.contains("memory:mirror"))
        if isWhole {
            // What was seen is remembered of the store's own copy.
            let id = SHA256Hasher.hash(noise(900, seed: 1).span)
            #expect(try !store.index.contains(id, .data))
        }
        #expect(throws: Failure.self) { try open([]).readSnapshots() }
    }

    @Test(arguments: [ObjectKind.index, .snapshot], [Damage.flipped, .cut, .emptied])
    func wholeObjects(kind: ObjectKind, damage: Damage) throws {
        for key in memory.keys(kind) { try spoil(key, damage) }
        #expect(throws: Failure.self) { try open([]).readSnapshots() }
        let store = try open([mirror])
        #expect(try store.readSnapshots() == 3)
        #expect(store.fallbacks.totals.objects == 3)
    }

    /// A mirror keeps what was removed from the store: that it still has it means nothing.
    @Test func whatWasRemovedStaysRemoved() throws {
        let store = try open([mirror])
        let key = try #require(memory.keys(.snapshot).first)
        memory.damage(key, nil)
        #expect(try store.snapshots().count == 2)
        #expect(throws: BackendError.missing(key)) { try store.get(key, limit: 1000) }
    }

    @Test(arguments: [ObjectKind.key, .config], [Damage.flipped, .emptied])
    func keyOrConfig(kind: ObjectKind, damage: Damage) throws {
        let key = try #require(memory.keys(kind).first)
        try spoil(key, damage)
        #expect(throws: Failure.self) { try open([]) }
        #expect(try open([mirror]).readSnapshots() == 3)
    }

    /// Both from a mirror: nothing says any more that it is a mirror of this very store.
    @Test func keyAndConfigOfAnotherStoreAreNotTaken() throws {
        let other = MemoryBackend(location: "memory:other")
        try Store.create(
            on: other, password: StoreBench.password, cost: KeyFile.Cost(n: 2, r: 1, p: 1))
        try spoil(.config, .flipped)
        #expect(throws: Failure.self) { try open([other]) }
        #expect(try open([other, mirror]).id == bench.store.id)
        try spoil(try #require(memory.keys(.key).first), .flipped)
        #expect(throws: Failure.self) { try open([other]) }
    }

    /// The store goes away while it is read from.
    @Test func aStoreThatIsAway() throws {
        let store = try open([mirror])
        let reader = BlobReader(store: store)
        let id = SHA256Hasher.hash(noise(900, seed: 1).span)
        memory.setPlan(FaultPlan { _, _ in .temporary })
        var plain: [UInt8] = []
        try reader.read(id, .data, into: &plain)
        #expect(plain == noise(900, seed: 1))
        memory.setPlan(.none)
        #expect(try store.index.contains(id, .data), "nothing is known to be wrong with the copy")
    }

    /// What a mirror gives is verified as well.
    @Test func aMirrorThatIsDamagedToo() throws {
        let second = MemoryBackend(location: "memory:second")
        for (key, bytes) in mirror.objects { try second.put(key, bytes.span) }
        for key in memory.keys(.pack) {
            try spoil(key, .flipped)
            mirror.flip(key)
            mirror.damage(key, mirror.objects[key].map { Array($0.prefix(40)) })
        }
        let failure = #expect(throws: Failure.self) { try open([mirror]).readSnapshots() }
        #expect(failure?.description.contains("memory:mirror") == true, "\(failure!)")
        #expect(try open([mirror, second]).readSnapshots() == 3)
    }
}
