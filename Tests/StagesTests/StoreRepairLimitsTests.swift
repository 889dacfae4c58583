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

    /// A pack that is listed again is no better known than before: what is damaged in it comes from
    /// live files.
    @Test func damagedPackOfADamagedIndex() throws {
        let scene = try copy()
        #expect(try scene.check(.deep).isHealthy)
        let pack = try #require(try scene.objects(.pack).last)
        try ObjectDamage.flip.apply(to: [pack], at: scene.store)
        for key in try scene.objects(.index) {
            try ObjectDamage.flip.apply(to: [key], at: scene.store)
        }
        let events = try scene.repair(mirror: false, live: true)
        #expect(try scene.check(.deep).isHealthy, "\(events)")
        #expect(try scene.restores())
        #expect(!has(pack, scene))
    }

    // MARK: Other repositories

    enum OpeningDamage: CaseIterable { case key, keyMissing, config, configMissing, both, none }

    /// Another repository with the same password, named as a mirror, gives and takes nothing,
    /// whatever the store needs.
    @Test(arguments: OpeningDamage.allCases, [false, true])
    func anotherRepository(damage: OpeningDamage, isEmpty: Bool) throws {
        let scene = try copy()
        removeTree(scene.mirror)
        if isEmpty {
            try Store.create(
                on: try FileBackend(path: scene.mirror, create: true),
                password: StoreScene.password, cost: KeyFile.Cost(n: 2, r: 1, p: 1))
        } else {
            let other = try StoreScene(files: 1)
            try Command("cp", ["-a", other.store, scene.mirror]).run().expect()
        }
        let key = try scene.objects(.key)
        if damage == .key || damage == .both {
            try ObjectDamage.flip.apply(to: key, at: scene.store)
        }
        if damage == .keyMissing { try ObjectDamage.missing.apply(to: key, at: scene.store) }
        if damage == .config || damage == .both {
            try ObjectDamage.flip.apply(to: [.config], at: scene.store)
        }
        if damage == .configMissing {
            try ObjectDamage.missing.apply(to: [.config], at: scene.store)
        }
        let (before, other) = (try scene.contents(), try scene.contents(of: scene.mirror))
        // Mending what opens the store refuses it, and so does the repair itself.
        for (dryRun, mends) in [(true, true), (false, true), (false, damage != .none)] {
            _ = Result { try scene.repair(mirror: true, dryRun: dryRun, mends: mends) }
            #expect(try scene.contents() == before, "dry run \(dryRun)")
            #expect(try scene.contents(of: scene.mirror) == other, "dry run \(dryRun)")
        }
    }

    /// A config that does not open is kept before a good one takes its place.
    @Test func damagedConfigIsKept() throws {
        let scene = try copy()
        try ObjectDamage.flip.apply(to: [.config], at: scene.store)
        let damaged = try Data(contentsOf: URL(fileURLWithPath: scene.store + "/config"))
        let events = try scene.mendOpening(mirror: true)
        #expect(events.map(\.action) == [.copied])
        #expect(try scene.contents() == scene.contents(of: scene.mirror))
        let folder = scene.folder("state/quarantine/.store")
        let kept = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(kept.count == 2)
        #expect(
            kept.contains { FileManager.default.contents(atPath: "\(folder)/\($0)") == damaged })
    }

    /// The key of the mirror opens the store's snapshots: then the config may come from there too.
    @Test func keyAndConfigFromAMirror() throws {
        let scene = try copy()
        try ObjectDamage.missing.apply(to: try scene.objects(.key), at: scene.store)
        try ObjectDamage.flip.apply(to: [.config], at: scene.store)
        _ = try scene.repair(mirror: true)
        #expect(try scene.check(.deep, mirror: true).isHealthy)
    }

    /// An index file that is what its name says stays, even when it does not open.
    @Test func indexOfAnotherKey() throws {
        let scene = try copy()
        let other = try StoreScene(files: 1)
        let key = try #require(try other.objects(.index).first)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(other.store)/\(key.path)"))
        try write([UInt8](bytes), key, scene)
        let events = try scene.repair(mirror: false)
        #expect(has(key, scene), "\(events)")
        #expect(events.contains { $0.action == .left && $0.key == key }, "\(events)")
        #expect(try !scene.check(.present).isHealthy)
    }
}
