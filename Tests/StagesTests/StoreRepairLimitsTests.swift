import Checker
import ContentStore
import Foundation
import Platform
import Repairer
import TestSupport
import Testing

/// What a repair of the store must leave where it is.
@Suite struct StoreRepairLimitsTests {
    private static let scene = Result { try StoreScene() }

    private func copy() throws -> StoreScene {
        try StoreScene(copy: try StoreRepairLimitsTests.scene.get())
    }

    private func has(_ key: ObjectKey, _ scene: StoreScene) -> Bool {
        FileManager.default.fileExists(atPath: "\(scene.store)/\(key.path)")
    }

    private func write(_ bytes: [UInt8], _ key: ObjectKey, _ scene: StoreScene) throws {
        let url = URL(fileURLWithPath: "\(scene.store)/\(key.path)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(bytes).write(to: url)
    }

    // MARK: Packs that somebody is writing

    /// A pack that is half there belongs to whoever holds a lock; without one it goes.
    @Test(arguments: ["elsewhere", ProcessIdentity.hostName])
    func halfUploaded(host: String) throws {
        let scene = try copy()
        let bytes = noise(5000, seed: 3)
        let key = ObjectKey(.pack, SHA256Hasher.hash(bytes.span))
        try write(Array(bytes.prefix(3000)), key, scene)
        let writer = try Store(
            backend: try scene.place(scene.store), password: StoreScene.password,
            stateDirectory: scene.folder("writer"),
            holder: LockHolder(hostname: host, pid: 1))
        let lock = try writer.lock(session: StoreSession.newName())
        let events = try scene.repair(mirror: false)
        #expect(has(key, scene), "\(events)")
        #expect(events.contains { $0.action == .left && $0.key == key }, "\(events)")
        try lock.release()
        _ = try scene.repair(mirror: false)
        #expect(!has(key, scene))
        #expect(try scene.check(.deep).isHealthy)
    }

    /// What was whole when the repair came to it stays, though the check saw half of it.
    @Test(arguments: [false, true]) func wholeByNow(hasHeader: Bool) throws {
        let scene = try copy()
        var bytes = noise(5000, seed: 3)
        if hasHeader {
            // A pack of a snapshot that was forgotten since: in no index file, and well.
            let store = try scene.open()
            let session = StoreSession(store: store)
            try store.refresh(session: session.name)
            let sink = BlobSink(session: session)
            _ = try sink.store(bytes.span, .data, batch: 0)
            try sink.flush()
            try session.drain()
            let before = Set(try scene.objects(.pack, in: scene.mirror))
            let pack = try #require(try scene.objects(.pack).first { !before.contains($0) })
            let path = "\(scene.store)/\(pack.path)"
            bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
            removeTree(scene.folder("state"))
        }
        let key = ObjectKey(.pack, SHA256Hasher.hash(bytes.span))
        try write(Array(bytes.prefix(3000)), key, scene)
        let events = try scene.repair(mirror: false) { try write(bytes, key, scene) }
        #expect(has(key, scene), "\(events)")
        if hasHeader { #expect(try scene.check(nil).isHealthy, "nothing is known against it") }
    }

    // MARK: Index files

    /// A pack of which only a damaged index file knows what it holds.
    private func damagePackAndIndex(
        _ scene: StoreScene
    ) throws -> (pack: ObjectKey, index: [ObjectKey]) {
        let pack = try #require(try scene.objects(.pack).last)
        try ObjectDamage.truncate.apply(to: [pack], at: scene.store)
        let index = try scene.objects(.index)
        for key in index { try ObjectDamage.flip.apply(to: [key], at: scene.store) }
        return (pack, index)
    }

    /// An index file that was never read here stays while it may list what cannot be listed anew.
    @Test func indexOfWhatHasNoHeader() throws {
        let scene = try copy()
        let (pack, index) = try damagePackAndIndex(scene)
        for _ in 0..<2 {
            let events = try scene.repair(mirror: false)
            for key in index + [pack] { #expect(has(key, scene), "\(key): \(events)") }
            #expect(events.contains { $0.action == .left && $0.key == pack }, "\(events)")
            #expect(events.contains { $0.action == .left && index.contains($0.key) }, "\(events)")
            #expect(try !scene.check(.present).isHealthy)
        }
        // A mirror has both.
        _ = try scene.repair(mirror: true)
        #expect(try scene.check(.deep, mirror: true).isHealthy)
        #expect(try scene.restores())
    }

    /// What a read of the index file before the damage says of its packs is not forgotten.
    @Test(arguments: [ObjectDamage.truncate, .missing])
    func indexThatWasRead(damage: ObjectDamage) throws {
        let scene = try copy()
        #expect(try scene.check(.deep).isHealthy)
        let pack = try #require(try scene.objects(.pack).last)
        try damage.apply(to: [pack], at: scene.store)
        let index = try scene.objects(.index)
        for key in index { try ObjectDamage.flip.apply(to: [key], at: scene.store) }
        let events = try scene.repair(mirror: false)
        #expect(has(pack, scene) == (damage != .missing), "\(events)")
        #expect(index.allSatisfy { !has($0, scene) }, "\(events)")
        let store = try Store(
            backend: try scene.place(scene.store), password: StoreScene.password,
            stateDirectory: scene.folder("other"))
        try store.refresh(session: StoreSession.newName())
        let id = try #require(pack.id)
        #expect(try store.index.pack(id) != nil, "\(events)")
        #expect(try !scene.check(.present).isHealthy)
        _ = try scene.repair(mirror: true)
        #expect(try scene.check(.deep, mirror: true).isHealthy)
        #expect(try scene.restores())
    }
}
