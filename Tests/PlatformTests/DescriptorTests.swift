import Platform
import TestSupport
import Testing

@Suite struct DescriptorTests {
    @Test func bytesAreWrittenAndReadAtPositions() throws {
        let folder = try TemporaryFolder()
        let file = try Descriptor.open(folder("f"), [.readWrite, .create])
        try file.write([1, 2, 3, 4].span)
        try file.write([9, 9].span, at: 1)
        var buffer = [UInt8](repeating: 0, count: 8)
        var span = buffer.mutableSpan
        #expect(try file.read(into: &span, at: 0) == 4)
        #expect(Array(buffer[..<4]) == [1, 9, 9, 4])
        try file.seek(to: 3)
        var tail: [UInt8] = [7]
        #expect(try file.read(appending: &tail, upTo: 100) == 1)
        #expect(tail == [7, 4])
        try file.truncate(to: 1 << 20)
        #expect(try file.metadata().size == 1 << 20)
        #expect(file.nextData(from: 1 << 19) == nil)
        try file.close()
    }

    @Test func symlinksAreNotFollowed() throws {
        let folder = try TemporaryFolder()
        let d = try Descriptor.open(folder.path, [.readOnly, .directory])
        try d.makeDirectory(Array("dir".utf8))
        let long = [UInt8](repeating: 0x61, count: 3000)
        try d.makeSymlink(Array("link".utf8), to: Array("dir".utf8))
        try d.makeSymlink(Array("long".utf8), to: long)
        #expect(try d.metadata(of: Array("link".utf8)).kind == .symlink)
        #expect(try d.readLink(Array("long".utf8)) == long)
        #expect(throws: SystemError.self) {
            try d.open(Array("link".utf8), [.readOnly, .directory, .noFollow]).close()
        }
    }

    @Test func permissionsOfASymlinkAreNotThoseOfItsTarget() throws {
        let folder = try TemporaryFolder()
        let d = try Descriptor.open(folder.path, [.readOnly, .directory])
        let file = try d.open(Array("file".utf8), [.writeOnly, .create])
        try file.setPermissions(0o640)
        try d.makeSymlink(Array("link".utf8), to: Array("file".utf8))
        #expect(throws: SystemError.self) { try d.setPermissions(Array("link".utf8), 0o777) }
        #expect(try file.metadata().permissions == 0o640)
        try d.setPermissions(Array("file".utf8), 0o4711)
        #expect(try file.metadata().permissions == 0o4711)
    }

    @Test(arguments: [
        ("none", Errno.noEntry), ("nul\u{0}inside", Errno.noEntry), ("file/x", Errno.notDirectory),
        (String(repeating: "n", count: 256), Errno.nameTooLong),
    ])
    func anErrorNamesTheCallAndTheThing(_ name: String, _ code: Int32) throws {
        let folder = try TemporaryFolder()
        let d = try Descriptor.open(folder.path, [.readOnly, .directory])
        _ = try d.open(Array("file".utf8), [.writeOnly, .create])
        let error = #expect(throws: SystemError.self) {
            try d.open(Array(name.utf8), [.readOnly]).close()
        }
        #expect(error?.code == code)
        #expect(error?.call == "openat")
        #expect(error?.subject == printable(Array(name.utf8)))
    }

    @Test func directoriesAreListedWithKinds() throws {
        let folder = try TemporaryFolder()
        let d = try Descriptor.open(folder.path, [.readOnly, .directory])
        var expected: Set<String> = []
        for i in 0..<3000 {
            let name = "entry with a rather long name, number \(i)"
            _ = try d.open(Array(name.utf8), [.writeOnly, .create])
            expected.insert(name)
        }
        var found: [String] = []
        try d.readDirectory { name, kind in
            var bytes: [UInt8] = []
            for i in 0..<name.count { bytes.append(name[i]) }
            found.append(String(decoding: bytes, as: UTF8.self))
            #expect(kind == .file || kind == nil)
        }
        #expect(found.count == 3000)
        #expect(Set(found) == expected)
    }

    @Test(arguments: [
        Timestamp(seconds: -2_147_483_647, nanoseconds: 1),
        Timestamp(seconds: 4_102_444_800, nanoseconds: 999_999_999), Timestamp(seconds: 0),
    ])
    func timesAreKeptToTheNanosecond(_ time: Timestamp) throws {
        let folder = try TemporaryFolder()
        let d = try Descriptor.open(folder.path, [.readOnly, .directory])
        let file = try d.open(Array("f".utf8), [.writeOnly, .create])
        try file.setModified(time)
        #expect(try file.metadata().mtime == time)
        try d.makeSymlink(Array("l".utf8), to: Array("f".utf8))
        try d.setModified(Array("l".utf8), time)
        #expect(try d.metadata(of: Array("l".utf8)).mtime == time)
        #expect(Timestamp(nanosecondsSinceEpoch: time.nanosecondsSinceEpoch) == time)
    }

    @Test func extendedAttributesComeBackSorted() throws {
        let folder = try TemporaryFolder()
        let path = Array(folder("f").utf8)
        try Descriptor.open(folder("f"), [.writeOnly, .create]).close()
        #expect(try ExtendedAttributes.read(path: path).isEmpty)
        // One is empty, one is longer than the first buffer, and so is the list of names.
        let attributes = (0..<20).map { i in
            ExtendedAttribute(
                name: Array("user.name-\(100 + i)".utf8),
                value: [UInt8](repeating: UInt8(i), count: i == 19 ? 1000 : i * 6))
        }
        for attribute in attributes.reversed() { try ExtendedAttributes.set(path: path, attribute) }
        #expect(try ExtendedAttributes.read(path: path) == attributes)
        try ExtendedAttributes.remove(path: path, name: attributes[0].name)
        try ExtendedAttributes.remove(path: path, name: attributes[0].name)
        #expect(try ExtendedAttributes.read(path: path) == Array(attributes[1...]))
        let none = Array(folder("none").utf8)
        let error = #expect(throws: SystemError.self) { try ExtendedAttributes.read(path: none) }
        #expect(error?.code == Errno.noEntry)
    }
}
