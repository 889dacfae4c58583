import Manifest
import Platform
import TestSupport
import Testing

/// All chunks of a walk.
func chunks(
    _ root: String, _ options: WalkOptions = WalkOptions(), after: [UInt8]? = nil
) throws -> [[Unit]] {
    let walk = try Walk(root: root, options: options, resumeAfter: after)
    defer { walk.close() }
    var chunks: [[Unit]] = []
    while let chunk = try walk.next() { chunks.append(chunk) }
    return chunks
}

/// The paths of a walk, as text.
func paths(_ root: String, _ options: WalkOptions = WalkOptions()) throws -> [String] {
    try chunks(root, options).flatMap { $0.map { printable($0.path) } }
}

@Suite struct WalkTests {
    @Test func everyKindOfFileIsDescribed() throws {
        let folder = try Folder()
        let d = folder
        try d.file("plain", "12345")
        try d.descriptor.setPermissions(Array("plain".utf8), 0o4751)
        try d.descriptor.setModified(
            Array("plain".utf8), Timestamp(seconds: -3, nanoseconds: 123_456_789))
        try d.descriptor.link(Array("plain".utf8), to: Array("hard".utf8), in: d.descriptor)
        try d.descriptor.makeSymlink(Array("link".utf8), to: [0x72, 0xFF])
        try d.descriptor.makeNode(Array("fifo".utf8), .fifo, permissions: 0o600, rdev: 0)
        try d.descriptor.makeNode(Array("socket".utf8), .socket, permissions: 0o600, rdev: 0)
        let isRoot = try d.descriptor.metadata().uid == 0 && Root.isEffective
        if isRoot {
            try d.descriptor.makeNode(Array("dev".utf8), .chardev, permissions: 0o600, rdev: 0x103)
        }
        try ExtendedAttributes.set(
            path: Array((d.path + "/plain").utf8),
            ExtendedAttribute(name: Array("user.note".utf8), value: [0, 0xFF]))
        try d.directory("empty")

        let units = try chunks(d.path).flatMap { $0 }
        let byPath = Dictionary(uniqueKeysWithValues: units.map { (printable($0.path), $0) })
        #expect(units.first?.path == [])
        #expect(byPath[""]?.metadata.kind == .directory)
        let plain = try #require(byPath["plain"])
        #expect(plain.metadata == (try d.descriptor.metadata(of: Array("plain".utf8))))
        #expect(plain.metadata.permissions == 0o4751)
        #expect(plain.metadata.mtime == Timestamp(seconds: -3, nanoseconds: 123_456_789))
        #expect(plain.metadata.links == 2)
        #expect(
            plain.xattrs == [ExtendedAttribute(name: Array("user.note".utf8), value: [0, 0xFF])])
        #expect(byPath["hard"]?.metadata.inode == plain.metadata.inode)
        #expect(byPath["link"]?.target == [0x72, 0xFF])
        #expect(byPath["fifo"]?.metadata.kind == .fifo)
        #expect(byPath["socket"]?.metadata.kind == .socket)
        #expect(byPath["empty"]?.metadata.kind == .directory)
        if isRoot { #expect(byPath["dev"]?.metadata.rdev == 0x103) }
        #expect(units.allSatisfy { $0.error == nil })
    }

    @Test func namesOfAnyBytesAreInOrder() throws {
        let folder = try Folder()
        let names: [[UInt8]] =
            [[0xFF, 0xFE], [0x01], [0x0A], [0x22], [0x5C], [0x2A], [0x2D, 0x72, 0x66], [0x7F]]
            + ["a", "a-b", "a.b", "a0", "...", "snow\u{2603}", "12345678", "123456789", "1234567"]
            .map { Array($0.utf8) } + [[UInt8](repeating: 0x78, count: 255)]
        for name in names {
            if name == [0x61] {
                try folder.descriptor.makeDirectory(name)
                let a = try folder.descriptor.open(name, [.readOnly, .directory])
                _ = try a.open([0x62], [.create, .writeOnly])
            } else {
                _ = try folder.descriptor.open(name, [.create, .writeOnly])
            }
        }
        let found = try chunks(folder.path).flatMap { $0.map(\.path) }
        #expect(found == ([[], Array("a/b".utf8)] + names).sorted(by: before))
    }

    private func before(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        sortKey(a).lexicographicallyPrecedes(sortKey(b))
    }

    /// A random tree of `count` entries; returns its paths in the order of lists.
    private func makeTree(_ folder: Folder, count: Int, seed: UInt64) throws -> [[UInt8]] {
        var generator = SeededGenerator(seed: seed)
        var directories = [""]
        var all: Set<String> = [""]
        let names = ["a", "a-b", "a.b", "b", "B", "0", "d", "e", "zz", "-"]
        while all.count < count {
            let parent = directories.randomElement(using: &generator) ?? ""
            let number = Int.random(in: 0..<30, using: &generator)
            let name =
                (names.randomElement(using: &generator) ?? "x") + (number < 10 ? "" : "\(number)")
            let path = parent.isEmpty ? name : parent + "/" + name
            guard all.insert(path).inserted else { continue }
            if Int.random(in: 0..<3, using: &generator) == 0 {
                try folder.descriptor.makeDirectory(Array(path.utf8), mode: 0o755)
                directories.append(path)
            } else {
                let size = Int.random(in: 0..<300, using: &generator)
                try folder.file(path, String(repeating: "x", count: size))
            }
        }
        return all.map { Array($0.utf8) }.sorted(by: before)
    }

    @Test(arguments: [1, 2, 4], [1, 2, 3, 4, 5])
    func theOrderIsThatOfSortKeys(_ threads: Int, _ seed: UInt64) throws {
        let folder = try Folder()
        let expected = try makeTree(folder, count: 400, seed: seed)
        var options = WalkOptions()
        options.threads = threads
        let found = try chunks(folder.path, options).flatMap { $0.map(\.path) }
        #expect(found == expected, "seed \(seed)")
    }

    @Test(arguments: [1, 7, 64])
    func aResumedWalkHasTheSameChunks(_ chunkUnits: Int) throws {
        let folder = try Folder()
        _ = try makeTree(folder, count: 150, seed: 9)
        var options = WalkOptions()
        options.chunkUnits = chunkUnits
        options.chunkBytes = 2000
        let whole = try chunks(folder.path, options)
        #expect(chunkUnits == 1 || whole.contains { $0.count < chunkUnits }, "bytes end chunks too")
        for (i, chunk) in whole.enumerated() {
            let rest = try chunks(folder.path, options, after: chunk.last?.path)
            #expect(rest == Array(whole[(i + 1)...]), "after chunk \(i)")
        }
    }

    @Test func aWalkResumesWhereTheLastPathIsGone() throws {
        let folder = try Folder()
        for name in ["a/b/c", "a/b/d", "a/e", "f"] { try folder.file(name) }
        for gone in ["a/b/c", "a/b/ca", "a/b/c/x/y", "a/a/a"] {
            let rest = try chunks(folder.path, after: Array(gone.utf8)).flatMap { $0.map(\.path) }
            let all = try chunks(folder.path).flatMap { $0.map(\.path) }
            // The directories above it were handed out before it.
            let expected = all.filter { comparePaths($0, Array(gone.utf8)) > 0 }
            #expect(rest == expected, "after \(gone)")
        }
    }

    @Test func aWideDirectoryIsReadInSlices() throws {
        let folder = try Folder()
        for i in 0..<5000 {
            let name = Array("e\(i)".utf8)
            if i % 1000 == 0 {
                try folder.descriptor.makeDirectory(name)
                try folder.file("e\(i)/inside")
            } else {
                _ = try folder.descriptor.open(name, [.create, .writeOnly])
            }
        }
        let whole = try chunks(folder.path)
        let found = whole.flatMap { $0.map(\.path) }
        #expect(found.count == 5006)
        #expect(found == found.sorted(by: before))
        #expect(whole.dropLast().allSatisfy { $0.count == 1024 })
        for chunk in whole {
            let rest = try chunks(folder.path, after: chunk.last?.path)
            #expect(rest == whole.filter { comparePaths($0[0].path, chunk[0].path) > 0 })
        }
    }

    @Test func excludedEntriesAreNotDescended() throws {
        let folder = try Folder()
        for name in ["a/x.tmp", "a/y", "cache/z", "b/cache/q", "b/keep.tmp"] {
            try folder.file(name)
        }
        var options = WalkOptions()
        options.excludes = try Excludes(["*.tmp", "/cache/", "!keep.tmp"])
        #expect(
            try paths(folder.path, options)
                == ["", "a", "a/y", "b", "b/cache", "b/cache/q", "b/keep.tmp"])
    }

    @Test func closingEarlyEndsTheThreads() throws {
        let folder = try Folder()
        _ = try makeTree(folder, count: 500, seed: 2)
        for _ in 0..<20 {
            let walk = try Walk(root: folder.path)
            _ = try walk.next()
            walk.close()
            #expect(throws: Failure.self) { try walk.next() }
        }
    }

    @Test(arguments: ["/no/such/place", "/etc/passwd"])
    func aRootThatCannotBeWalkedIsNamed(_ root: String) {
        let failure = #expect(throws: Failure.self) { try Walk(root: root) }
        #expect(failure?.kind == .module)
        #expect(failure?.message.contains(root) ?? false)
        #expect(failure?.cause?.contains(root == "/etc/passwd" ? "ENOTDIR" : "ENOENT") ?? false)
    }
}
