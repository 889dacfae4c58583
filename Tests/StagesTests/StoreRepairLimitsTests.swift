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
}
