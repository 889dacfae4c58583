import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// Collecting garbage: what goes, what stays, and death at every change of the store.
@Suite struct GarbageTests {
    /// A store with two snapshots of two modules, of which the older ones are forgotten: packs that
    /// are dead, packs that are partly used, and content that both modules have.
    func scene() throws -> GarbageScene {
        let scene = try GarbageScene()
        for i in 0..<6 {
            try scene.write("a", "f\(i)", noise(20_000, seed: UInt64(i)))
            try scene.write("b", "f\(i)", noise(20_000, seed: UInt64(i % 3)))
        }
        try scene.dehydrate("a")
        try scene.dehydrate("b")
        for i in 0..<4 { try scene.remove("a", "f\(i)") }
        try scene.write("a", "g", noise(30_000, seed: 100))
        try scene.dehydrate("a")
        try scene.forget("a")
        return scene
    }

    @Test func whatNoSnapshotNeedsGoes() throws {
        let scene = try scene()
        let before = scene.memory.objects.values.reduce(0) { $0 + $1.count }
        let report = try scene.collect("c")
        #expect(report.isHealthy)
        #expect(report.deleted.packs > 0)
        #expect(report.waiting == [])
        #expect(try scene.lost() == [])
        let after = scene.memory.objects.values.reduce(0) { $0 + $1.count }
        #expect(after < before)
        let packs = try scene.packs()
        #expect(packs.all == packs.listed)
        // All that is left is in use.
        let again = try scene.collect("c")
        #expect(again.blobs == again.liveBlobs)
        #expect(again.dead.packs + again.repacked.packs + again.deleted.packs == 0)
    }

    private let merging = GarbageOptions(
        grace: 0, limits: GarbageLimits(mergeBelow: UInt64(StoreSession.dataPackSize) * 2))

    /// What many runs stored that had little to store.
    func smallPacks() throws -> GarbageScene {
        let scene = try GarbageScene()
        for i in 1...GarbagePlan.smallPacks / 2 {
            try scene.write("a", "f\(i)", noise(3000, seed: UInt64(i)))
            try scene.dehydrate("a")
        }
        return scene
    }

    @Test func manySmallPacksBecomeFew() throws {
        let scene = try smallPacks()
        let before = try scene.packs().all
        #expect(before == GarbagePlan.smallPacks)
        let report = try scene.collect("c", merging)
        #expect(report.repacked.packs == before)
        #expect(report.deleted.packs == before)
        #expect(try scene.packs() == (2, 2), "one of files, one of trees")
        #expect(try scene.lost() == [])
        let again = try scene.collect("c", merging)
        #expect(again.blobs == report.blobs)
        #expect(again.copiedBytes == 0)
        // The snapshots of old are what dehydrates go on from.
        try scene.dehydrate("a")
        #expect(try scene.packs() == (2, 2))
    }

    /// A copy in a new pack that is less full than the old one counts all the same.
    @Test func aPackWhoseBlobsComeIntoTwoIsGivenUp() throws {
        let scene = try GarbageScene()
        for i in 1..<GarbagePlan.smallPacks {
            try scene.write("a", "f\(i)", noise(1000, seed: UInt64(i)))
            try scene.dehydrate("a")
        }
        // Nearly a whole pack, which comes last and finds no room in the one that is being filled.
        try scene.write("a", "large", noise(StoreSession.dataPackSize - 25_000, seed: 1000))
        try scene.write("a", "small", noise(20_000, seed: 2000))
        try scene.dehydrate("a")
        let old = Set(scene.memory.objects.keys.filter { $0.kind == .pack })
        let report = try scene.collect("a", merging)
        #expect(report.isHealthy)
        let packs = Set(scene.memory.objects.keys.filter { $0.kind == .pack })
        #expect(packs.isDisjoint(with: old))
        #expect(packs.count == 3, "two of files, one of trees")
        #expect(try scene.lost() == [])
        #expect(try scene.collect("a").copiedBytes == 0)
    }

    /// What a pack that stays has too is not copied out of one that goes, be the copy in that one
    /// good or known to be bad.
    @Test(arguments: [false, true]) func whatIsElsewhereIsNotCopied(isBad: Bool) throws {
        let scene = try GarbageScene()
        try scene.write("a", "both", noise(20_000, seed: 1))
        try scene.write("a", "own", noise(5000, seed: 2))
        try scene.write("a", "gone", noise(40_000, seed: 3))
        try scene.dehydrate("a")
        try scene.write("b", "both", noise(20_000, seed: 1))
        try scene.dehydrateBlindly("b")
        try scene.remove("a", "gone")
        try scene.dehydrate("a")
        try scene.forget("a")
        if isBad { try scene.spoil(noise(20_000, seed: 1).withDigest(), knownOn: "c") }
        let report = try scene.collect("c")
        #expect(report.problems == [])
        #expect(report.repacked.packs == 1)
        #expect((5000..<10_000).contains(report.copiedBytes), "\(report.copiedBytes)")
        #expect(try scene.lost() == [])
        let again = try scene.collect("c")
        #expect(again.blobs == again.liveBlobs)
    }

    @Test func withGraceNothingGoesAtOnce() throws {
        let scene = try scene()
        let packs = try scene.packs().all
        let options = GarbageOptions(grace: 3600, limits: GarbageLimits(maxUnused: 0))
        let first = try scene.collect("c", options)
        // A new state takes what it finds as old.
        #expect(first.dead.packs + first.repacked.packs > 0)
        #expect(first.deleted.packs == 0)
        #expect(try scene.packs().all >= packs)
        #expect(try scene.lost() == [])
        let second = try scene.collect("c", options)
        #expect(second.deleted.packs == 0)
        #expect(second.waiting.count == 1)
    }

    @Test func dryRunChangesNothing() throws {
        let scene = try scene()
        let before = scene.memory.objects
        var options = GarbageOptions(grace: 0, limits: GarbageLimits(maxUnused: 0))
        options.dryRun = true
        let report = try scene.collect("c", options)
        #expect(report.dead.packs + report.repacked.packs > 0)
        #expect(
            scene.memory.objects.keys.filter { $0.kind != .lock }
                == before.keys.filter { $0.kind != .lock })
    }

    @Test func whatIsMarkedAndNeededComesBack() throws {
        let scene = try scene()
        // Everything is marked, then a snapshot comes back that needs it.
        let snapshots = scene.memory.objects.filter { $0.key.kind == .snapshot }
        try scene.forget("a", all: true)
        try scene.forget("b", all: true)
        let options = GarbageOptions(
            grace: 3600, limits: GarbageLimits(maxUnused: 0), mayEmpty: true)
        let first = try scene.collect("c", options)
        #expect(first.dead.packs > 0)
        for (key, bytes) in snapshots { scene.memory.damage(key, bytes) }
        #expect(try scene.lost() != [], "the index does not list the packs")
        let second = try scene.collect("c", GarbageOptions(grace: 0))
        #expect(second.recovered.packs > 0)
        #expect(try scene.lost() == [])
    }

    /// Two containers of one host may agree in host name and process number.
    @Test func anotherOfTheSameNameAndNumberIsNotOurselves() throws {
        let scene = try GarbageScene()
        let holder = LockHolder(hostname: "h", pid: 1)
        func open(_ state: String) throws -> (Store, RepositoryLock) {
            let store = try Store(
                backend: scene.memory, password: Workbench.password,
                stateDirectory: scene.folder(state), holder: holder)
            return (store, try store.lock(session: StoreSession.newName()))
        }
        let (first, lock) = try open("one")
        #expect(try first.lockCensus().entries.isEmpty)
        let (second, other) = try open("two")
        #expect(try first.lockCensus().entries.map(\.id) == [other.id])
        #expect(try second.lockCensus().entries.map(\.id) == [lock.id])
        try other.release()
        try lock.release()
    }

    /// A listing of no snapshots is more likely a lost folder than what somebody wants.
    @Test func aStoreWithoutSnapshotsIsNotEmptied() throws {
        let scene = try scene()
        let packs = try scene.packs().all
        try scene.forget("a", all: true)
        try scene.forget("b", all: true)
        for _ in 0..<2 {
            let failure = #expect(throws: Failure.self) { try scene.collect("c") }
            #expect(failure?.kind == .unhealthy)
            #expect(failure?.hint?.contains("--empty") == true)
            scene.unlock()
        }
        #expect(try scene.packs().all == packs)
        // Nor when the index files are lost too, and a new host knows nothing of the packs.
        let index = scene.memory.objects.filter { $0.key.kind == .index }
        for key in index.keys { scene.memory.damage(key, nil) }
        let failure = #expect(throws: Failure.self) { try scene.collect("d") }
        #expect(failure?.kind == .unhealthy)
        scene.unlock()
        for (key, bytes) in index { scene.memory.damage(key, bytes) }
        #expect(try scene.packs().all == packs)
        let options = GarbageOptions(
            grace: 0, limits: GarbageLimits(maxUnused: 0), mayEmpty: true)
        try scene.collect("c", options)
        #expect(try scene.packs().all == 0)
    }

    /// Of a blob the index still has a copy in a pack that another collector removed: the copy in
    /// a marked pack that is there is what counts.
    @Test func aCopyThatIsGoneDoesNotCount() throws {
        let scene = try GarbageScene()
        try scene.write("a", "f", noise(20_000, seed: 1))
        try scene.dehydrate("a")
        // A host that does not see the first pack stores the same content in another one.
        try scene.write("b", "f", noise(20_000, seed: 1))
        try scene.dehydrateBlindly("b")
        let waiting = GarbageOptions(grace: 3600, limits: GarbageLimits(maxUnused: 0))
        try scene.collect("c", waiting)
        let snapshots = scene.memory.objects.filter { $0.key.kind == .snapshot }
        try scene.collect("d")
        try scene.collect("d")
        // Everything is counted out, and then somebody needs it again.
        try scene.forget("a", all: true)
        try scene.forget("b", all: true)
        let emptying = GarbageOptions(
            grace: 3600, limits: GarbageLimits(maxUnused: 0), mayEmpty: true)
        try scene.collect("d", emptying)
        for (key, bytes) in snapshots { scene.memory.damage(key, bytes) }
        let report = try scene.collect("c")
        #expect(report.recovered.packs > 0, "\(report)")
        #expect(report.lostBlobs == 0)
        #expect(try scene.lost() == [])
    }

    @Test func aWriterThatWasThereHoldsBackTheRemoval() throws {
        let scene = try scene()
        let writer = try scene.start("w")
        let report = try scene.collect("c")
        #expect(report.deleted.packs == 0)
        let holder = LockHolder(hostname: "w", pid: writer.store.holder.pid)
        #expect(report.waiting.map(\.reason) == [.held([holder])])
        // A refresh replaces the lock's file and not its holder.
        try writer.lock.refresh()
        #expect(try scene.collect("c").deleted.packs == 0)
        // Who comes later is not waited for.
        let later = try scene.start("w")
        try writer.lock.release()
        #expect(try scene.collect("c").deleted.packs > 0)
        try later.lock.release()
        #expect(try scene.lost() == [])
    }

    @Test func thereIsOneCollectorAtATime() throws {
        let scene = try scene()
        let first = try scene.start("c", collector: true)
        let failure = #expect(throws: Failure.self) { try scene.collect("d") }
        #expect(failure?.kind == .locked)
        try first.lock.release()
        _ = try scene.collect("d")
    }

    @Test func nothingIsMarkedBesideRestic() throws {
        let scene = try scene()
        let process = try scene.start("r")
        // A lock as restic writes it.
        let lock = LockFile(
            time: SystemClock().now(), exclusive: false, hostname: "r", username: "u", pid: 1)
        let json = lock.encode()
        let sealed = UnpackedFile.seal(plain: json.span, sealer: Sealer(key: process.store.key))
        try process.lock.release()
        try scene.memory.put(ObjectKey(.lock, sealed.id), sealed.bytes.span)
        let index = scene.memory.objects.keys.filter { $0.kind == .index }
        let report = try scene.collect("c")
        #expect(report.foreign.count == 1)
        #expect(Set(scene.memory.objects.keys.filter { $0.kind == .index }) == Set(index))
        scene.unlock()
        #expect(try scene.collect("c").deleted.packs > 0)
    }

    @Test func aTreeThatCannotBeReadStopsAll() throws {
        let scene = try scene()
        let store = try scene.stranger()
        let tree = try #require(try store.snapshots().first).snapshot.tree
        let pack = try #require(try store.index.locations(tree, .tree).first).pack
        scene.memory.damage(ObjectKey(.pack, pack), nil)
        let before = scene.memory.objects.keys.filter { $0.kind == .pack || $0.kind == .index }
        #expect(throws: Failure.self) { try scene.collect("c") }
        let after = scene.memory.objects.keys.filter { $0.kind == .pack || $0.kind == .index }
        #expect(Set(before) == Set(after))
    }

    @Test func aDamagedBlobKeepsItsPack() throws {
        let scene = try scene()
        let store = try scene.stranger()
        let ids = try noise(20_000, seed: 4).withDigest()
        let location = try #require(try store.index.locations(ids, .data).first)
        let key = ObjectKey(.pack, location.pack)
        var bytes = try #require(scene.memory.objects[key])
        bytes[Int(location.offset) + 30] ^= 1
        scene.memory.damage(key, bytes)
        let report = try scene.collect("c")
        #expect(!report.isHealthy)
        #expect(report.problems.count == 1)
        #expect(scene.memory.objects[key] != nil)
        #expect(try scene.lost().count == 1)
    }

    /// Dies after each change, in turn; then nothing is lost, and the next run finishes the work.
    @Test(arguments: [false, true]) func deathAtEachChange(ofMerge isMerge: Bool) throws {
        let wasteful = GarbageOptions(grace: 0, limits: GarbageLimits(maxUnused: 0))
        let options = isMerge ? merging : wasteful
        let made = try (isMerge ? smallPacks() : scene()).memory.objects
        var changes = 0
        while true {
            let scene = try GarbageScene(copy: made)
            let dying = ProcessBackend(scene.memory, dyingAfter: changes)
            let result = Result { try scene.collect("c", on: dying, options) }
            if case .success = result { break }
            #expect(try scene.lost() == [], "after \(changes) changes")
            scene.unlock()
            // On another host, and on this one.
            try scene.collect("d", options)
            try scene.collect("c", options)
            #expect(try scene.lost() == [], "after \(changes) changes and another run")
            let packs = try scene.packs()
            #expect(packs.all == packs.listed, "after \(changes) changes")
            if isMerge { #expect(packs.all < GarbagePlan.smallPacks / 2) }
            let report = try scene.collect("c", options)
            #expect(report.blobs == report.liveBlobs, "after \(changes) changes")
            changes += 1
        }
        print("garbage: \(changes) changes")
        #expect(changes > 5)
    }

    /// A collector that died at each change beside a module that is then dehydrated with content
    /// that was about to go, also by a run that was killed before.
    @Test func deathAtEachChangeThenDehydrate() throws {
        var changes = 0
        while true {
            let scene = try scene()
            // Killed with most of its content stored, without a snapshot.
            for i in 0..<9 { try scene.write("w", "f\(i)", noise(20_000, seed: UInt64(i % 5))) }
            let killed = ProcessBackend(scene.memory, dyingAfter: 4)
            #expect(throws: (any Error).self) { try scene.dehydrate("w", on: killed) }
            scene.unlock()
            let dying = ProcessBackend(scene.memory, dyingAfter: changes)
            let result = Result { try scene.collect("c", on: dying) }
            scene.unlock()
            try scene.dehydrate("w")
            #expect(try scene.lost() == [], "after \(changes) changes")
            try scene.collect("c")
            #expect(try scene.lost() == [], "after \(changes) changes and another run")
            if case .success = result { break }
            changes += 1
        }
        #expect(changes > 5)
    }
}

extension [UInt8] {
    /// The id of a blob with this content.
    func withDigest() throws -> Digest {
        let bytes = self
        return SHA256Hasher.hash(bytes.span)
    }
}
