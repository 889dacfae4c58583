import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

@Suite struct KeyTests {
    static let cheap = KeyFile.Cost(n: 2, r: 1, p: 1)
    let password = Array("pässwörd".utf8)

    func create(_ master: MasterKey, cost: KeyFile.Cost = cheap) throws -> (Digest, [UInt8]) {
        let (name, bytes) = try KeyFile.create(
            master, password: password, cost: cost, created: Timestamp(seconds: 1_700_000_000),
            host: "h\"ost", user: "üser")
        return (name, bytes)
    }

    @Test(arguments: [cheap, KeyFile.Cost(n: 1024, r: 8, p: 2)])
    func aPasswordOpensItsFile(cost: KeyFile.Cost) throws {
        let master = MasterKey.random()
        let (name, bytes) = try create(master, cost: cost)
        #expect(try KeyFile.open(bytes, name: name, password: password) == master)
    }

    @Test func anEmptyPasswordWorks() throws {
        let master = MasterKey.random()
        let (_, bytes) = try KeyFile.create(
            master, password: [], cost: Self.cheap, created: Timestamp(seconds: 0), host: "",
            user: "")
        #expect(try KeyFile.open(bytes, password: []) == master)
        #expect(try KeyFile.tryOpen(bytes, password: [1]) == .wrongPassword)
    }

    @Test func aWrongPasswordIsNoDamage() throws {
        let (name, bytes) = try create(.random())
        let wrong = #expect(throws: Failure.self) {
            try KeyFile.open(bytes, name: name, password: [1, 2])
        }
        #expect(wrong?.kind == .usage)
        #expect(wrong?.cause == "the password is wrong")
        var damaged = bytes
        damaged[bytes.count - 20] ^= 1
        let failure = #expect(throws: Failure.self) {
            try KeyFile.open(damaged, name: name, password: password)
        }
        #expect(failure?.kind == .store)
    }

    @Test(arguments: [
        KeyFile.Cost(n: 3, r: 8, p: 1), KeyFile.Cost(n: 0, r: 8, p: 1),
        KeyFile.Cost(n: 1 << 40, r: 8, p: 1), KeyFile.Cost(n: 1024, r: 0, p: 1),
        KeyFile.Cost(n: 1 << 20, r: 8, p: 1 << 30), KeyFile.Cost(n: 1 << 63, r: .max, p: .max),
    ])
    func impossibleCostsAreRefused(cost: KeyFile.Cost) {
        #expect(throws: Failure.self) { try create(.random(), cost: cost) }
    }

    @Test func survivesFuzzing() throws {
        let (_, bytes) = try create(.random())
        fuzz("key file", corpus: [bytes, [], Array("{\"kdf\":\"scrypt\"}".utf8)], rounds: 3000) {
            // A mutated cost is honest work for scrypt: keep it small.
            guard !String(decoding: $0, as: UTF8.self).contains(/"[Nrp]":\d{3,}/) else { return }
            _ = try? KeyFile.tryOpen($0, password: password)
        }
    }
}

@Suite struct PasswordFileTests {
    func write(_ text: String, mode: Int = 0o600, in folder: ScratchFolder) throws -> String {
        let path = folder.path + "/password"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }

    @Test(arguments: [
        ("secret\n", "secret"), ("secret", "secret"), ("one\ntwo\n", "one"), (" a b \r\n", " a b "),
    ])
    func readsTheFirstLine(text: String, password: String) throws {
        let folder = try ScratchFolder()
        let path = try write(text, in: folder)
        #expect(try PasswordFile.read(path) == Array(password.utf8))
    }

    @Test(arguments: [("", 0o600), ("\nx", 0o600), ("x", 0o644), ("x", 0o640), ("x", 0o602)])
    func refusesWhatIsNotSafe(text: String, mode: Int) throws {
        let folder = try ScratchFolder()
        let path = try write(text, mode: mode, in: folder)
        let failure = #expect(throws: Failure.self) { try PasswordFile.read(path) }
        #expect(failure?.kind == .usage)
        #expect(failure?.message.contains(path) == true)
        #expect(throws: Failure.self) { try PasswordFile.read(folder.path) }
        #expect(throws: Failure.self) { try PasswordFile.read(path + "-missing") }
    }

    @Test func createsOnce() throws {
        let folder = try ScratchFolder()
        let path = folder.path + "/new"
        let password = try PasswordFile.create(path)
        #expect(password.count == 43)
        #expect(try PasswordFile.read(path) == password)
        #expect(throws: Failure.self) { try PasswordFile.create(path) }
        #expect(try PasswordFile.read(path) == password)
        #expect(try PasswordFile.create(path + "2") != password)
    }
}
