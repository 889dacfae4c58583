import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// Several passwords for one store.
@Suite struct StoreKeysTests {
    private static let cheap = KeyFile.Cost(n: 2, r: 1, p: 1)
    private static let second = Array("another password".utf8)

    private func keys(_ bench: StoreBench, _ password: [UInt8] = StoreBench.password) throws
        -> StoreKeys
    {
        try StoreKeys(of: bench.store, password: password)
    }

    @discardableResult
    private func add(_ password: [UInt8], to bench: StoreBench) throws -> Digest {
        try keys(bench).add(
            password, cost: Self.cheap, created: Timestamp(seconds: 1_700_000_000), host: "h",
            user: "u")
    }

    private func opens(_ bench: StoreBench, _ password: [UInt8]) throws -> Bool {
        do {
            let store = try Store(
                backend: bench.backend, password: password, stateDirectory: bench.folder("other"))
            // A key file that was kept here is looked for in the store by then.
            try store.lock(session: StoreSession.newName()).release()
            return true
        } catch {
            #expect(error.kind == .usage, "\(error)")
            return false
        }
    }

    @Test func anAddedPasswordOpensAndARemovedOneDoesNot() throws {
        let bench = try StoreBench()
        #expect(try !opens(bench, Self.second))
        let id = try add(Self.second, to: bench)
        #expect(try opens(bench, Self.second))
        let listed = try keys(bench).list()
        #expect(listed.map(\.isCurrent).filter { $0 }.count == 1)
        let added = try #require(listed.first { $0.id == id })
        #expect(!added.isCurrent && added.damage == nil)
        #expect(added.label?.user == "u" && added.label?.host == "h")
        #expect(added.label?.created == Timestamp(seconds: 1_700_000_000))
        #expect(try keys(bench, Self.second).current == id)
        #expect(try keys(bench).key(id.short) == id)
        try keys(bench).remove(id)
        #expect(try !opens(bench, Self.second))
        #expect(try opens(bench, StoreBench.password))
    }

    @Test func theOneInUseStays() throws {
        let bench = try StoreBench()
        try add(Self.second, to: bench)
        for password in [StoreBench.password, Self.second] {
            let keys = try keys(bench, password)
            let failure = #expect(throws: Failure.self) { try keys.remove(keys.current) }
            #expect(failure?.kind == .usage)
        }
        #expect(try keys(bench).list().count == 2)
    }

    /// Somebody else removed or damaged the one in use: the other one may be the last.
    @Test(arguments: [true, false]) func noneIsRemovedWhenTheOneInUseIsGone(_ gone: Bool) throws {
        let memory = MemoryBackend()
        let bench = try StoreBench(memory)
        let other = try add(Self.second, to: bench)
        let keys = try keys(bench)
        let key = ObjectKey(.key, keys.current)
        if gone { try memory.remove(key) } else { try damage(memory, key) }
        let failure = #expect(throws: Failure.self) { try keys.remove(other) }
        #expect(failure?.kind == .store)
        #expect(try opens(bench, Self.second))
    }

    @Test func onePasswordHasOneKey() throws {
        let bench = try StoreBench()
        try add(Self.second, to: bench)
        for password in [StoreBench.password, Self.second] {
            let failure = #expect(throws: Failure.self) { try add(password, to: bench) }
            #expect(failure?.kind == .usage)
        }
        let failure = #expect(throws: Failure.self) { try keys(bench, [1, 2, 3]) }
        #expect(failure?.kind == .usage)
    }

    private func damage(_ backend: MemoryBackend, _ key: ObjectKey) throws {
        var bytes = try backend.get(key, limit: 1 << 20)
        bytes[bytes.count / 2] ^= 1
        let changed = bytes
        try backend.put(key, changed.span)
    }

    /// Whichever of two is damaged, cut off or empty: the other one opens the store, and the
    /// damaged one is named, and can be removed.
    @Test(arguments: [0, 1], ["flipped", "cut", "empty", "other"])
    func aDamagedKeyBesideAGoodOne(_ which: Int, _ how: String) throws {
        let memory = MemoryBackend()
        let bench = try StoreBench(memory)
        let added = try add(Self.second, to: bench)
        let first = try keys(bench).current
        let bad = which == 0 ? first : added
        let key = ObjectKey(.key, bad)
        let bytes = try memory.get(key, limit: 1 << 20)
        switch how {
        case "flipped": try damage(memory, key)
        case "cut": try memory.put(key, bytes.span.extracting(..<(bytes.count / 2)))
        case "empty": try memory.put(key, bytes.span.extracting(..<0))
        default:
            let text = Array("{\"kdf\":\"other\"}".utf8)
            try memory.put(key, text.span)
        }
        let good = which == 0 ? Self.second : StoreBench.password
        #expect(try opens(bench, good))
        #expect(try !opens(bench, which == 0 ? StoreBench.password : Self.second))
        let keys = try keys(bench, good)
        #expect(try keys.list().first { $0.id == bad }?.damage != nil)
        #expect(try keys.list().first { $0.id != bad }?.damage == nil)
        try keys.remove(bad)
        #expect(try keys.list().map(\.id) == [which == 0 ? added : first])
    }

    /// A kept key does not hide that the store lacks what every reader needs.
    @Test func aStoreWithoutItsConfigurationDoesNotOpen() throws {
        let memory = MemoryBackend()
        let bench = try StoreBench(memory)
        #expect(try opens(bench, StoreBench.password))
        memory.damage(.config, nil)
        #expect(throws: Failure.self) {
            try Store(
                backend: memory, password: StoreBench.password,
                stateDirectory: bench.folder("other"))
        }
    }

    @Test func removedKeysGoFromMirrorsToo() throws {
        let mirror = MemoryBackend()
        let bench = try StoreBench()
        let id = try add(Self.second, to: bench)
        let bytes = try bench.backend.get(ObjectKey(.key, id), limit: 1 << 20)
        try mirror.put(ObjectKey(.key, id), bytes.span)
        let store = try Store(
            backend: bench.backend, mirrors: [mirror], password: StoreBench.password,
            stateDirectory: bench.folder("state"))
        let keys = try StoreKeys(of: store, password: StoreBench.password)
        try keys.remove(id)
        #expect(try mirror.size(ObjectKey(.key, id)) == nil)
        #expect(try mirror.size(ObjectKey(.key, keys.current)) != nil, "it can be opened")
        #expect(try bench.backend.size(ObjectKey(.key, id)) == nil)
    }
}

/// A change of the password in its file.
@Suite struct PasswordChangeTests {
    private static let cheap = KeyFile.Cost(n: 2, r: 1, p: 1)

    private func write(_ password: [UInt8], _ path: String) throws {
        let line = password + [0x0A]
        try AtomicFile.write(line.span, to: path)
    }

    private func change(
        _ bench: StoreBench, to password: String? = nil
    ) throws -> PasswordChange.Outcome {
        let file = bench.folder("key")
        let store = try Store(
            backend: bench.backend, password: PasswordFile.read(file),
            stateDirectory: bench.folder("state"))
        return try PasswordChange(store: store, file: file).run(
            to: password.map { Array($0.utf8) }, cost: Self.cheap, randomCost: Self.cheap)
    }

    private func begin() throws -> StoreBench {
        let bench = try StoreBench()
        try write(StoreBench.password, bench.folder("key"))
        return bench
    }

    private func files(_ bench: StoreBench) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: bench.folder.path)
            .filter { $0.hasPrefix("key") }.sorted()
    }

    private func keyCount(_ bench: StoreBench) throws -> Int {
        try StoreKeys(of: bench.store, password: PasswordFile.read(bench.folder("key")))
            .list().count
    }

    @Test(arguments: [nil, "a new one"]) func thePasswordChanges(_ wanted: String?) throws {
        let bench = try begin()
        guard case .changed(let old, let new) = try change(bench, to: wanted) else {
            Issue.record("nothing was changed")
            return
        }
        #expect(old != new)
        let now = try PasswordFile.read(bench.folder("key"))
        #expect(now != StoreBench.password)
        if let wanted { #expect(now == Array(wanted.utf8)) }
        #expect(try keyCount(bench) == 1)
        #expect(try files(bench) == ["key"])
        #expect(throws: Failure.self) {
            try StoreKeys(of: bench.store, password: StoreBench.password)
        }
    }

    @Test func theSameAgainIsRefused() throws {
        let bench = try begin()
        let failure = #expect(throws: Failure.self) { try change(bench, to: "a password") }
        #expect(failure?.kind == .usage)
        #expect(try files(bench) == ["key"])
        #expect(try keyCount(bench) == 1)
    }

    /// What a change leaves that was killed before the swap is used, or cleared away.
    @Test(arguments: [nil, "begun", "another"], [false, true])
    func anUnfinishedChangeIsGoneOnWith(_ wanted: String?, _ hasKey: Bool) throws {
        let bench = try begin()
        try write(Array("begun".utf8), bench.folder("key.new"))
        if hasKey {
            try StoreKeys(of: bench.store, password: StoreBench.password).add(
                Array("begun".utf8), cost: Self.cheap, created: Timestamp(seconds: 0), host: "",
                user: "")
        }
        _ = try change(bench, to: wanted)
        let now = try PasswordFile.read(bench.folder("key"))
        #expect(now == Array((wanted ?? "begun").utf8))
        #expect(try keyCount(bench) == 1)
        #expect(try files(bench) == ["key"])
    }

    /// A note of somebody else's change must not cost a key.
    @Test func aNoteForAnotherKeyRemovesNothing() throws {
        let bench = try begin()
        let keys = try StoreKeys(of: bench.store, password: StoreBench.password)
        let other = try keys.add(
            Array("other".utf8), cost: Self.cheap, created: Timestamp(seconds: 0), host: "",
            user: "")
        let note = Array("\(other)\(String(repeating: "0", count: 64))\n".utf8)
        try AtomicFile.write(note.span, to: bench.folder("key.keys"))
        _ = try change(bench)
        #expect(try keys.find(Array("other".utf8)) == other)
        try AtomicFile.write(note.span.extracting(..<9), to: bench.folder("key.keys"))
        let failure = #expect(throws: Failure.self) { try change(bench) }
        #expect(failure?.message.contains("key.keys is damaged") == true)
    }

    @Test func aSymlinkStaysOne() throws {
        let bench = try begin()
        let real = bench.folder("real")
        try FileManager.default.moveItem(atPath: bench.folder("key"), toPath: real)
        try FileManager.default.createSymbolicLink(
            atPath: bench.folder("key"), withDestinationPath: "real")
        _ = try change(bench, to: "new")
        #expect(try PasswordFile.read(real) == Array("new".utf8))
        let kind = try FileManager.default.attributesOfItem(atPath: bench.folder("key"))[.type]
        #expect(kind as? FileAttributeType == .typeSymbolicLink)
    }
}
