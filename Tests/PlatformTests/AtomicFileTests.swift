import Platform
import TestSupport
import Testing

@Suite struct AtomicFileTests {
    private func names(_ folder: TemporaryFolder) throws -> [[UInt8]] {
        var names: [[UInt8]] = []
        try Descriptor.open(folder.path, [.readOnly, .directory]).readDirectory { name, _ in
            var bytes: [UInt8] = []
            for i in 0..<name.count { bytes.append(name[i]) }
            names.append(bytes)
        }
        return names
    }

    @Test func aFileIsReplacedWhole() throws {
        let folder = try TemporaryFolder()
        try AtomicFile.write([1, 2, 3].span, to: folder("f"), mode: 0o640)
        try AtomicFile.write([4].span, to: folder("f"), mode: 0o600)
        #expect(try AtomicFile.read(folder("f")) == [4])
        #expect(try names(folder) == [Array("f".utf8)])
    }

    @Test func anExistingFileStaysWhenAskedTo() throws {
        let folder = try TemporaryFolder()
        try AtomicFile.write([1].span, to: folder("f"))
        let error = #expect(throws: SystemError.self) {
            try AtomicFile.write([2].span, to: folder("f"), replacing: false)
        }
        #expect(error?.code == Errno.exists)
        #expect(try AtomicFile.read(folder("f")) == [1])
        #expect(try names(folder) == [Array("f".utf8)])
    }

    @Test func theLongestNameWorks() throws {
        let folder = try TemporaryFolder()
        let path = folder(String(repeating: "n", count: 255))
        try AtomicFile.write([1].span, to: path)
        #expect(try AtomicFile.read(path) == [1])
    }

    @Test func readingHasALimit() throws {
        let folder = try TemporaryFolder()
        let bytes = [UInt8](repeating: 1, count: 200_000)
        try AtomicFile.write(bytes.span, to: folder("f"))
        #expect(try AtomicFile.read(folder("f"), limit: 200_000) == bytes)
        let error = #expect(throws: SystemError.self) {
            try AtomicFile.read(folder("f"), limit: 1000)
        }
        #expect(error?.code == Errno.fileTooBig)
    }

    @Test func directoriesAreMadeWithThoseAbove() throws {
        let folder = try TemporaryFolder()
        try AtomicFile.makeDirectories(folder("a/b/c"))
        try AtomicFile.makeDirectories(folder("a/b/c"))
        #expect(try Descriptor.open(folder("a/b/c"), [.readOnly]).metadata().kind == .directory)
        try AtomicFile.write([1].span, to: folder("a/file"))
        #expect(throws: SystemError.self) { try AtomicFile.makeDirectories(folder("a/file/x")) }
        #expect(throws: SystemError.self) { try AtomicFile.makeDirectories(folder("a/file")) }
    }
}
