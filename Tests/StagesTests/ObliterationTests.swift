import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// Forgetting a module for good: what only it had is gone everywhere, what others have stays.
@Suite struct ObliterationTests {
    /// Two modules that share content; the first has a forgotten snapshot as well.
    func scene() throws -> GarbageScene {
        let scene = try GarbageScene()
        for i in 0..<6 {
            try scene.write("a", "f\(i)", noise(20_000, seed: UInt64(i)))
            try scene.write("b", "f\(i)", noise(20_000, seed: UInt64(i % 3)))
        }
        try scene.dehydrate("a")
        try scene.dehydrate("b")
        try scene.write("a", "f5", noise(20_000, seed: 50))
        try scene.dehydrate("a")
        try scene.forget("a")
        try scene.write("a", "f5", noise(20_000, seed: 51))
        try scene.dehydrate("a")
        return scene
    }

    /// The ids of all blobs that only the first module ever had.
    let own = ([3, 4, 5, 50, 51] as [UInt64]).map { seed in
        let bytes = noise(20_000, seed: seed)
        return SHA256Hasher.hash(bytes.span)
    }

    @discardableResult
    func obliterate(
        _ scene: GarbageScene, _ module: String = "a", on backend: (any Backend)? = nil
    ) throws -> ObliterationResult {
        let place = backend ?? scene.memory
        let state = place.location.hasSuffix("mirror") ? "state-m" : "state-o"
        let store = try Store(
            backend: place, password: Workbench.password, stateDirectory: scene.folder(state))
        let name = StoreSession.newName()
        let lock = try store.lock(session: name, exclusive: true)
        try store.refresh(session: name)
        let session = StoreSession(
            store: store, confirmLock: { () throws(Failure) in try lock.check() })
        let result = try Obliterator(
            module, session: session,
            notePath: scene.folder("note-\(module)-\(state)")
        ).run()
        try lock.release()
        return result
    }

    /// Nothing of the module is there, by any pack's own header, and the other module is whole.
    func expectGone(
        _ scene: GarbageScene, at place: MemoryBackend? = nil, _ comment: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let place = place ?? scene.memory
        let store = try scene.stranger()
        let sealer = Sealer(key: store.key)
        var ids = Set<Digest>()
        for (key, bytes) in place.objects where key.kind == .pack {
            let entries = try PackHeader.decode(size: UInt64(bytes.count), sealer: sealer) {
                range throws(Failure) in
                Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
            }
            ids.formUnion(entries.map(\.id))
        }
        #expect(ids.intersection(own) == [], "\(comment)", sourceLocation: sourceLocation)
        #expect(try store.snapshots(of: "a").isEmpty, "\(comment)", sourceLocation: sourceLocation)
        #expect(
            try store.snapshots(of: "b").count == 1, "\(comment)", sourceLocation: sourceLocation)
        #expect(try scene.lost() == [], "\(comment)", sourceLocation: sourceLocation)
    }

    /// A pack with a copy that is known to be bad goes as well when there is a good one elsewhere.
    @Test func aBadCopyKeepsNothing() throws {
        let scene = try scene()
        try scene.write("c", "f0", noise(20_000, seed: 0))
        try scene.dehydrateBlindly("c")
        try scene.spoil(noise(20_000, seed: 0).withDigest(), knownOn: "o")
        let result = try obliterate(scene)
        #expect(result.isProven, "\(result.problems)")
        try expectGone(scene, "")
    }

    @Test func whatOnlyTheModuleHadIsGone() throws {
        let scene = try scene()
        let result = try obliterate(scene)
        #expect(result.isProven, "\(result.problems)")
        #expect(result.note.snapshots.count == 2)
        #expect(result.note.kept == [ObliterationNote.Kept(module: "b", blobs: 3)])
        #expect(result.rewrittenPacks > 0)
        try expectGone(scene, "")
        // Again: nothing more to do, and no error.
        let again = try obliterate(scene)
        #expect(again.isProven)
        #expect(again.rewrittenPacks == 0)
    }

    /// restic's own backup of a directory of the module's name is not the module's, nor is a
    /// snapshot whose tag somebody took away.
    @Test(arguments: [[], ["module=b"], ["cistern"]]) func anothersOfTheSameName(
        tags: [String]
    ) throws {
        let scene = try scene()
        let store = try scene.stranger()
        let last = try #require(try store.snapshots(of: "a").last).snapshot
        let other = Snapshot(
            time: last.time, tree: last.tree, paths: last.paths, hostname: "h", tags: tags)
        let json = other.encode()
        let file = UnpackedFile.seal(
            json.span, sealer: Sealer(key: store.key), compressor: ZstdCompressor(level: 3))
        try store.put(snapshot: file.id, file.bytes)
        let result = try obliterate(scene)
        #expect(result.isProven, "\(result.problems)")
        #expect(result.note.snapshots.count == 2)
        #expect(result.note.kept?.map(\.module) == ["/a"])
        let left = try scene.stranger()
        #expect(try left.snapshots().contains { $0.id == file.id })
        #expect(try left.snapshots(of: "a").isEmpty)
        #expect(try scene.lost() == [])
        // By its id it can be had, for the module too; the newest of the module it is not.
        #expect(try left.snapshot("\(file.id)", module: "a").id == file.id)
        #expect(throws: Failure.self) { try left.snapshot("latest", module: "a") }
        let others = try #require(try left.snapshots(of: "b").last)
        #expect(throws: Failure.self) { try left.snapshot("\(others.id)", module: "a") }
    }

    @Test func marksGoAsWell() throws {
        let scene = try scene()
        try scene.collect("c", GarbageOptions(grace: 3600, limits: GarbageLimits(maxUnused: 0)))
        let result = try obliterate(scene)
        #expect(result.isProven, "\(result.problems)")
        try expectGone(scene, "")
        let packs = try scene.packs()
        #expect(packs.all == packs.listed)
    }

    @Test func anUnknownModuleIsNoError() throws {
        let scene = try scene()
        let result = try obliterate(scene, "z")
        #expect(result.isProven)
        #expect(result.note.snapshots == [])
        #expect(try scene.lost() == [])
        #expect(try scene.stranger().snapshots(of: "a").count == 2)
    }

    @Test func itWaitsForWriters() throws {
        let scene = try scene()
        let writer = try scene.start("w")
        let failure = #expect(throws: Failure.self) { try obliterate(scene) }
        #expect(failure?.kind == .locked)
        try writer.lock.release()
        #expect(try obliterate(scene).isProven)
    }

    /// A mirror is a place of its own: what only it still has of others stays whole there.
    @Test func aMirrorKeepsWhatOthersHaveThereAlone() throws {
        let scene = try scene()
        try scene.write("b", "old", noise(20_000, seed: 70))
        try scene.dehydrate("b")
        try scene.write("b", "old", noise(20_000, seed: 71))
        try scene.dehydrate("b")
        let mirror = MemoryBackend(location: "file:mirror")
        for (key, bytes) in scene.memory.objects where key.kind != .lock {
            try mirror.put(key, bytes.span)
        }
        // The mirror has a snapshot that the store has given up.
        try scene.forget("b")
        try scene.collect("c")
        #expect(try obliterate(scene).isProven)
        let result = try obliterate(scene, on: mirror)
        #expect(result.isProven, "\(result.problems)")
        #expect(result.places.map(\.location) == ["file:mirror"])
        let store = try Store(
            backend: mirror, password: Workbench.password,
            stateDirectory: scene.folder("state-seen"))
        try store.refresh(session: StoreSession.newName())
        #expect(try store.snapshots(of: "a").isEmpty)
        #expect(try store.snapshots(of: "b").count == 3)
        let reader = BlobReader(store: store)
        for seed in [0, 1, 2, 70, 71] as [UInt64] {
            let bytes = noise(20_000, seed: seed)
            var found: [UInt8] = []
            try reader.read(SHA256Hasher.hash(bytes.span), .data, into: &found)
            #expect(found == bytes)
        }
        for id in own { #expect(try !store.index.contains(id, .data)) }
    }

    @Test func oldVersionsGo() throws {
        let scene = try scene()
        let versioned = VersionedMemory(scene.memory)
        let result = try obliterate(scene, on: versioned)
        #expect(result.isProven, "\(result.problems)")
        #expect(result.places.first?.versionsListed == true)
        let left = versioned.removedObjects.with { $0.filter { $0.kind != .lock } }
        #expect(left == [])
        try expectGone(scene, "")
    }

    /// Who may not list versions is told before anything is removed.
    @Test func withoutTheRightToListVersionsNothingGoes() throws {
        let scene = try scene()
        let before = scene.memory.objects.keys.filter { $0.kind != .lock }
        let refusing = VersionedMemory(scene.memory, refuses: true)
        let failure = #expect(throws: Failure.self) { try obliterate(scene, on: refusing) }
        #expect(failure?.description.contains("ListBucketVersions") == true)
        #expect(Set(scene.memory.objects.keys.filter { $0.kind != .lock }) == Set(before))
    }

    /// Dies after each change, in turn; running again finishes the work.
    @Test func deathAtEachChange() throws {
        var changes = 0
        while true {
            let scene = try scene()
            let dying = ProcessBackend(scene.memory, dyingAfter: changes)
            let result = Result { try obliterate(scene, on: dying) }
            if case .success = result { break }
            // The other module is whole at every moment.
            let others = try scene.lost(of: "b")
            #expect(others == [], "after \(changes) changes")
            scene.unlock()
            let again = try obliterate(scene)
            #expect(again.isProven, "after \(changes) changes: \(again.problems)")
            #expect(again.note.snapshots.count == 2 || changes < 1, "after \(changes) changes")
            try expectGone(scene, "after \(changes) changes")
            changes += 1
        }
        print("obliteration: \(changes) changes")
        #expect(changes > 8)
    }

    /// A module comes to have what only the obliterated one had, while that goes.
    @Test func besideADehydrateOfTheSameContent() throws {
        var outcomes: [String: Int] = [:]
        for seed in GarbageRaceTests.seeds {
            var generator = SeededGenerator(seed: seed)
            let scene = try scene()
            for i in 0..<6 {
                try scene.write("w", "f\(i)", noise(20_000, seed: UInt64(i)))
            }
            let death = Bool.random(using: &generator) ? Int(generator.next() % 16) : nil
            nonisolated(unsafe) let shared = scene
            let results = scene.race(
                seed: seed, deaths: [nil, death],
                [
                    { try shared.dehydrate("w", on: $0) },
                    { try obliterate(shared, on: $0) },
                ])
            var outcome = ""
            for (i, result) in results.enumerated() {
                switch result {
                case .success: outcome += "done "
                case .failure(let failure as Failure) where failure.kind == .locked:
                    outcome += "locked "
                case .failure(let error):
                    outcome += "died "
                    if i == 0 || death == nil {
                        Issue.record("CISTERN_SEED=\(seed): process \(i): \(error)")
                    }
                }
            }
            outcomes[outcome, default: 0] += 1
            for module in ["b", "w"] {
                let lost = try scene.lost(of: module)
                #expect(lost == [], "CISTERN_SEED=\(seed): \(module), \(outcome)")
            }
            scene.unlock()
            #expect(try obliterate(scene).isProven, "CISTERN_SEED=\(seed): \(outcome)")
            try scene.dehydrate("w")
            let left = try scene.lost()
            #expect(left == [], "CISTERN_SEED=\(seed), after all: \(outcome)")
            #expect(try scene.stranger().snapshots(of: "a").isEmpty, "CISTERN_SEED=\(seed)")
            let packs = try scene.packs()
            #expect(packs.all == packs.listed, "CISTERN_SEED=\(seed): \(outcome)")
            if !left.isEmpty { return }
        }
        print("obliteration beside a dehydrate: \(outcomes)")
        // Each of the two came first at times.
        #expect(outcomes.count > 1 || GarbageRaceTests.seeds.count < 20, "\(outcomes)")
    }
}

/// A place that keeps what is removed as an old version.
final class VersionedMemory: ForwardingBackend, VersionedBackend {
    let base: MemoryBackend
    let removedObjects = Monitor<Set<ObjectKey>>([])

    /// Whether versions may not be listed.
    private let refuses: Bool

    init(_ base: MemoryBackend, refuses: Bool = false) {
        self.base = base
        self.refuses = refuses
    }

    func remove(_ key: ObjectKey) throws(BackendError) {
        try base.remove(key)
        removedObjects.with { _ = $0.insert(key) }
    }

    func knowsVersions() throws(BackendError) -> Bool {
        if refuses { throw .refused(nil, cause: "ListBucketVersions: 403 AccessDenied") }
        return true
    }

    func objectVersions(
        _ kind: ObjectKind, _ each: (ObjectVersion) throws(BackendError) -> Void
    ) throws(BackendError) {
        for key in removedObjects.with({ $0 }) where key.kind == kind {
            try each(ObjectVersion(key: key, name: "1"))
        }
    }

    func removeObjectVersions(_ versions: [ObjectVersion]) throws(BackendError) {
        removedObjects.with { removed in
            for version in versions { removed.remove(version.key) }
        }
    }
}
