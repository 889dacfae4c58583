import Checker
import ContentStore
import Foundation
import Platform
import Repairer
import TestSupport
import Testing

/// What another host has removed from a store does not come back by itself, though a mirror has it.
@Suite struct StoreVanishedTests {
    private static let scene = Result { try StoreScene() }

    /// A copy that was checked with its mirror.
    private func copy() throws -> StoreScene {
        let scene = try StoreScene(copy: try StoreVanishedTests.scene.get())
        #expect(try scene.check(.deep, mirror: true).isHealthy)
        return scene
    }

    /// Another host's view of the store.
    private func other(_ scene: StoreScene) throws -> Store {
        let store = try Store(
            backend: try scene.place(scene.store), password: StoreScene.password,
            stateDirectory: scene.folder("other"))
        try store.refresh(session: StoreSession.newName())
        return store
    }

    /// Removes snapshots as another host does, with all that only they had.
    private func forget(_ snapshots: [ObjectKey], _ scene: StoreScene) throws {
        let store = try other(scene)
        for key in snapshots { try store.removeSnapshot(try #require(key.id)) }
        let session = StoreSession(store: store)
        let collector = try GarbageCollector(
            session: session,
            options: GarbageOptions(grace: 0, limits: GarbageLimits(maxUnused: 0)))
        _ = try collector.run()
    }

    @Test(arguments: [ScrubLevel.present, .deep])
    func prunedSnapshot(level: ScrubLevel) throws {
        let scene = try copy()
        let snapshots = try scene.objects(.snapshot)
        let gone = snapshots[0]
        try forget([gone], scene)
        let pruned = try scene.contents()
        for _ in 0..<2 {
            let found = try scene.check(level, mirror: true)
            #expect(found.isHealthy, "\(found.damage)")
            #expect(found.problems.contains { $0.id == gone.id }, "\(found.problems)")
            let events = try scene.repair(mirror: true, sources: [try mirror(scene)])
            #expect(try scene.contents() == pruned, "\(events)")
        }
        let events = try scene.repair(
            mirror: true, sources: [try mirror(scene)], restoresRemoved: true)
        #expect(try scene.objects(.snapshot) == snapshots, "\(events)")
        let found = try scene.check(.deep, mirror: true)
        #expect(found.isHealthy, "\(found.problems)")
        #expect(!found.problems.contains { $0.id == gone.id }, "\(found.problems)")
        #expect(try scene.restores())
    }

    private func mirror(_ scene: StoreScene) throws -> Store {
        let store = try Store(
            backend: try scene.place(scene.mirror), password: StoreScene.password,
            stateDirectory: scene.folder("mirror-state"))
        try store.refresh(session: StoreSession.newName())
        return store
    }

    /// Found damaged here, mended and obliterated by another host: that it was damaged is no
    /// reason to bring it back.
    @Test func damagedAndThenRemoved() throws {
        let scene = try copy()
        let snapshots = try scene.objects(.snapshot)
        try ObjectDamage.flip.apply(to: snapshots, at: scene.store)
        #expect(try !scene.check(.deep, mirror: true).isHealthy)
        try FileManager.default.removeItem(atPath: "\(scene.store)/\(snapshots[0].path)")
        let events = try scene.repair(mirror: true)
        #expect(try scene.objects(.snapshot) == Array(snapshots.dropFirst()), "\(events)")
        #expect(events.contains { $0.action == .left && $0.key == snapshots[0] }, "\(events)")
        #expect(try !scene.check(.present, mirror: true).isHealthy, "it stays known")
        _ = try scene.repair(mirror: true, restoresRemoved: true)
        #expect(try scene.check(.deep, mirror: true).isHealthy)
        #expect(try scene.objects(.snapshot) == snapshots)
    }

    /// Nobody removes everything: that is a problem, and still nothing comes back unasked.
    @Test func allSnapshots() throws {
        let scene = try copy()
        let snapshots = try scene.objects(.snapshot)
        try FileManager.default.removeItem(atPath: "\(scene.store)/snapshots")
        for _ in 0..<2 {
            #expect(try scene.check(nil, mirror: true).damage.map(\.kind) == [.snapshot])
            let events = try scene.repair(mirror: true)
            #expect(try scene.objects(.snapshot).isEmpty, "\(events)")
        }
        _ = try scene.repair(mirror: true, restoresRemoved: true)
        #expect(try scene.objects(.snapshot) == snapshots)
        #expect(try scene.check(.deep, mirror: true).isHealthy)
    }

    /// What this installation removed itself is not even told.
    @Test func removedFromHere() throws {
        let scene = try copy()
        let gone = try scene.objects(.snapshot)[0]
        try scene.open().removeSnapshot(try #require(gone.id))
        let found = try scene.check(.present, mirror: true)
        #expect(found.isHealthy && !found.problems.contains { $0.id == gone.id })
    }

    /// A password that was taken back with another program stays so, for who still has it.
    @Test func revokedKey() throws {
        let scene = try copy()
        let store = try scene.open()
        let old = try #require(try scene.objects(.key).first)
        let new = try StoreKeys(of: store, password: StoreScene.password).add(
            Array("another".utf8), cost: KeyFile.Cost(n: 2, r: 1, p: 1),
            created: Timestamp(seconds: 1_700_000_000), host: "host", user: "user")
        try FileManager.default.removeItem(atPath: "\(scene.store)/\(old.path)")
        let events = try scene.mendOpening(mirror: true)
        #expect(events.map(\.action) == [.left] && events[0].key == old, "\(events)")
        #expect(try scene.objects(.key).map(\.id) == [new])
        #expect(throws: Failure.self) { try scene.open() }
        _ = try scene.mendOpening(mirror: true, restoresRemoved: true)
        #expect(try scene.objects(.key).contains(old))
        _ = try scene.open()
    }

    /// A key of others is a note as well.
    @Test func revokedKeyOfOthers() throws {
        let scene = try copy()
        let store = try scene.open()
        let key = try StoreKeys(of: store, password: StoreScene.password).add(
            Array("another".utf8), cost: KeyFile.Cost(n: 2, r: 1, p: 1),
            created: Timestamp(seconds: 1_700_000_000), host: "host", user: "user")
        let path = ObjectKey(.key, key).path
        try Command("cp", ["\(scene.store)/\(path)", "\(scene.mirror)/\(path)"]).run().expect()
        #expect(try scene.check(.present, mirror: true).isHealthy)
        try FileManager.default.removeItem(atPath: "\(scene.store)/\(path)")
        _ = try scene.repair(mirror: true)
        let found = try scene.check(.present, mirror: true)
        #expect(found.isHealthy && found.problems.contains { $0.id == key }, "\(found)")
        #expect(try scene.objects(.key).count == 1)
        _ = try scene.repair(mirror: true, restoresRemoved: true)
        #expect(try scene.objects(.key).count == 2)
    }
}
