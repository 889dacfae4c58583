import Foundation
import JobTable
import Platform
import TestSupport
import Testing

@Suite("Damaged and foreign state files")
struct DamagedFilesTests {
    let folder: TemporaryFolder
    var path: String { folder("m.sqlite") }

    init() throws { folder = try TemporaryFolder() }

    /// A whole state file of some pages, and its bytes.
    private func makeGood() throws -> [UInt8] {
        try continueList(path, total: 6)
        return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    }

    private func put(_ bytes: [UInt8]) throws {
        for suffix in ["-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: path + suffix)
        }
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    /// Opening must fail, name the file and the way out, and leave the file as it is.
    private func expectRefused(_ what: String, hint: String = "cistern state rebuild m") throws {
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        let failure = #expect(throws: Failure.self, "\(what)") {
            try ModuleState(path: path, module: "m")
        }
        #expect(failure?.kind == .module, "\(what)")
        #expect(failure?.message.contains(path) == true, "\(what)")
        #expect(failure?.hint?.contains(hint) == true, "\(what): \(failure?.description ?? "")")
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before, "\(what)")
    }

    @Test func refusesAnEmptyFile() throws {
        try put([])
        try expectRefused("empty")
    }

    @Test func refusesAFileThatIsNoDatabase() throws {
        try put(
            Array("hello, I am a text of more than a hundred bytes. ".utf8)
                + Array(
                    repeating: 65, count: 100))
        try expectRefused("text")
        try put([UInt8](repeating: 0, count: 8192))
        try expectRefused("zeroes")
    }

    @Test func refusesEveryTruncation() throws {
        let good = try makeGood()
        for size in stride(from: 1, to: good.count, by: 509) {
            try put(Array(good[..<size]))
            try expectRefused("\(size) of \(good.count) bytes")
        }
        try put(Array(good[..<(good.count - 1)]))
        try expectRefused("one byte short")
    }

    /// SQLite's header: bytes 68 to 71 are the application id, 60 to 63 the version.
    @Test(arguments: [0, 42] as [UInt8]) func refusesAForeignDatabase(_ id: UInt8) throws {
        var bytes = try makeGood()
        bytes.replaceSubrange(68..<72, with: [0, 0, 0, id])
        try put(bytes)
        try expectRefused("application id \(id)")
    }

    @Test func refusesAnotherModulesFile() throws {
        _ = try ModuleState(path: path, module: "other")
        try expectRefused("other module")
    }

    @Test func refusesAnotherKindOfFile() throws {
        _ = try SQLiteJobTable(path: path)
        try expectRefused("job table")
        _ = try ModuleState(path: folder("n.sqlite"), module: "n")
        let failure = #expect(throws: Failure.self) {
            try SQLiteJobTable(path: folder("n.sqlite"))
        }
        #expect(failure?.kind == .module)
    }

    @Test func refusesANewerVersionAndOtherTables() throws {
        let good = try makeGood()
        var bytes = good
        bytes[63] = 2
        try put(bytes)
        try expectRefused("newer", hint: "newer Cistern")
        bytes[63] = 0
        try put(bytes)
        try expectRefused("no version")
        bytes = good
        let column = try #require(bytes.firstRange(of: Array("input_chunks".utf8)))
        bytes[column.lowerBound] = UInt8(ascii: "j")
        try put(bytes)
        try expectRefused("another column")
    }

    @Test func refusesAJournalWithoutItsFile() throws {
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: path + "-wal"))
        let failure = #expect(throws: Failure.self) { try ModuleState(path: path, module: "m") }
        #expect(failure?.kind == .module)
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test func saysWhatIsWrongWithAFolderThatCannotBeMade() throws {
        try put([1])
        let failure = #expect(throws: Failure.self) {
            try ModuleState(path: path + "/sub/m.sqlite", module: "m")
        }
        #expect(failure?.cause?.contains("ENOTDIR") == true)
    }

    /// Everything that can be asked of a state file.
    private struct Content: Equatable {
        var lists: [ListInfo]
        var baseline: Baseline?
        var notes: [String]
        var note: [UInt8]?
        var chunks: [ListChunk?]
        var range: [ListChunk]

        init(_ path: String) throws {
            let state = try ModuleState(path: path, module: "m")
            lists = try state.lists()
            baseline = try state.baseline()
            notes = try state.noteNames()
            note = try state.note("last")
            chunks = try (0..<7).map { try state.chunk(testKey, $0) }
            range = try state.chunks(testKey, withKeysFrom: key(25), upTo: key(44))
            try state.close()
        }
    }

    /// A flipped byte is either without effect or an error; never other data, never a trap.
    @Test(arguments: 0..<8) func findsAFlippedByteAnywhere(_ part: Int) throws {
        let good = try makeGood()
        let expected = try Content(path)
        var generator = SeededGenerator(seed: UInt64(part + 1))
        var found = 0
        // The whole of the first page, and every 37th byte of the others.
        let offsets = (0..<good.count).filter { $0 < 4096 || $0 % 37 == 0 }
        for offset in offsets where offset % 8 == part {
            var bytes = good
            bytes[offset] ^= UInt8.random(in: 1...255, using: &generator)
            try put(bytes)
            do {
                let read = try Content(path)
                #expect((read == expected) == true, "byte \(offset) became \(bytes[offset])")
            } catch let failure as Failure {
                found += 1
                #expect(failure.kind == .module, "byte \(offset): \(failure)")
                #expect(failure.hint != nil, "byte \(offset): \(failure)")
            }
        }
        #expect(found > 50)
    }
}
