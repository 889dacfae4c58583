import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// Trees that no well-meaning program writes, hydrated by the program itself.
@Suite struct HostileTreeTests {
    /// A store of the program's with a snapshot whose trees are made by hand.
    final class Hostile {
        let folder: TemporaryFolder
        let fleet: Fleet
        let store: Store
        private let session: StoreSession
        private let sink: BlobSink
        /// A blob that every file has as its content.
        let content: Digest

        var target: String { folder("inner/target") }

        init() throws {
            folder = try TemporaryFolder("hostile")
            for name in ["inner", "data", "outside"] {
                try FileManager.default.createDirectory(
                    atPath: folder(name), withIntermediateDirectories: true)
            }
            fleet = try Fleet(in: folder("fleet"), modules: ["data": folder("data")])
            try fleet.cistern("store", "init")
            store = try Store(
                backend: FileBackend(path: fleet.store),
                password: PasswordFile.read(fleet.passwordFile), stateDirectory: folder("state"))
            try store.refresh(session: StoreSession.newName())
            session = StoreSession(store: store)
            sink = BlobSink(session: session)
            content = try sink.store(Array("evil".utf8).span, .data, batch: 0).id
        }

        /// Stores content of its own and gives its id.
        func blob(_ bytes: [UInt8]) throws -> Digest {
            try sink.store(bytes.span, .data, batch: 0).id
        }

        /// Stores a tree of these nodes' JSON, whatever it is.
        func tree(_ nodes: [String]) throws -> Digest {
            let json = Array("{\"nodes\":[\(nodes.joined(separator: ","))]}\n".utf8)
            return try sink.store(json.span, .tree, batch: 0).id
        }

        func file(_ name: String) -> String {
            node(name, "file", #","size":4,"links":1,"content":["\#(content)"]"#)
        }

        /// A file of four bytes with more fields.
        ///
        /// - Parameter mode: as Go's FileMode.
        func file(_ name: String, mode: UInt32 = 420, content: Digest? = nil, _ more: String)
            -> String
        {
            let id = content ?? self.content
            return node(name, "file", #","size":4,"content":["\#(id)"],\#(more)"#, mode: mode)
        }

        func directory(_ name: String, _ tree: Digest) -> String {
            node(name, "dir", #","subtree":"\#(tree)""#)
        }

        func symlink(_ name: String, to target: String) -> String {
            node(name, "symlink", #","linktarget":"\#(target)""#)
        }

        /// - Parameter name: as it stands in the JSON.
        private func node(
            _ name: String, _ type: String, _ more: String, mode: UInt32 = 420
        ) -> String {
            let mode = type == "dir" ? 2_147_484_141 : type == "symlink" ? 134_218_239 : mode
            return #"{"name":"\#(name)","type":"\#(type)","mode":\#(mode),"#
                + #""mtime":"2020-01-01T00:00:00Z","uid":0,"gid":0\#(more)}"#
        }

        /// Makes all durable, with a snapshot of `top`.
        @discardableResult
        func finish(top: Digest) throws -> Digest {
            try sink.flush()
            try session.finish()
            let snapshot = Snapshot(
                time: Timestamp(seconds: 1_700_000_000), tree: top, paths: ["/data"],
                hostname: "h", tags: ["cistern", "module=data"])
            let json = snapshot.encode()
            let file = UnpackedFile.seal(
                json.span, sealer: Sealer(key: store.key), compressor: ZstdCompressor(level: 3))
            try store.backend.put(ObjectKey(.snapshot, file.id), file.bytes.span)
            return file.id
        }

        /// Everything in the test's folder but what the program keeps for itself and the target.
        func surroundings() -> [String] {
            Corpus.files(folder.path).filter {
                !$0.hasPrefix("fleet/") && !$0.hasPrefix("state/")
                    && !$0.hasPrefix("inner/target/")
            }
        }

        func hydrate(_ more: [String] = []) throws -> Command.Result {
            try fleet.command(["hydrate", "data", "--to", target] + more).run()
        }
    }

    enum Kind: CaseIterable, Sendable { case file, directory, symlink }
    enum Place: CaseIterable, Sendable { case top, module, below }

    /// Names by what they are, as they stand in the JSON.
    static let names = [
        "..", ".", "", "a/b", "../escaped", "../../outside/escaped", "/", "a\\\\x00b", "a\\u0000",
        "\\\\x2e\\\\x2e", "\\u002e\\u002e", "a\\\\x2fb",
    ]

    @Test(arguments: names) func aNameThatNoDirectoryHasIsRefused(name: String) throws {
        let hostile = try Hostile()
        let inner = try hostile.tree([hostile.file("escaped")])
        for kind in Kind.allCases {
            for place in Place.allCases {
                let node =
                    switch kind {
                    case .file: hostile.file(name)
                    case .directory: hostile.directory(name, inner)
                    case .symlink: hostile.symlink(name, to: hostile.folder("outside"))
                    }
                var tree = try hostile.tree([node])
                if place == .below {
                    tree = try hostile.tree([hostile.directory("!", tree), hostile.file("good")])
                }
                if place != .top { tree = try hostile.tree([hostile.directory("data", tree)]) }
                let snapshot = try hostile.finish(top: tree)
                let before = hostile.surroundings()
                let result = try hostile.hydrate(["--snapshot", "\(snapshot)"])
                #expect(result.status != .exited(0), "\(kind), \(place): \(result)")
                #expect(
                    (result.errorText + result.text).contains("a name for a directory entry"),
                    "\(kind), \(place): \(result)")
                #expect(
                    hostile.surroundings() == before,
                    "\(kind), \(place): written outside of the target")
                let made = Corpus.files(hostile.target)
                #expect(made == (place == .below ? ["good"] : []), "\(kind), \(place)")
                removeTree(hostile.target)
            }
        }
    }

    /// An absolute name of a file that could be written.
    @Test func anAbsoluteNameIsRefused() throws {
        let hostile = try Hostile()
        let tree = try hostile.tree([hostile.file(hostile.folder("outside/escaped"))])
        try hostile.finish(top: hostile.tree([hostile.directory("data", tree)]))
        let result = try hostile.hydrate()
        #expect(result.status != .exited(0))
        #expect(!FileManager.default.fileExists(atPath: hostile.folder("outside/escaped")))
        #expect(result.errorText.contains("a name for a directory entry"), "\(result)")
    }

    /// A symlink first, then a directory of the same name with a file in it: the file would go
    /// where the link leads.
    @Test(arguments: [true, false], [[], ["--delete"]])
    func aNameTwiceIsRefused(linkFirst: Bool, more: [String]) throws {
        let hostile = try Hostile()
        let inner = try hostile.tree([hostile.file("escaped")])
        let link = hostile.symlink("x", to: hostile.folder("outside"))
        let directory = hostile.directory("x", inner)
        let tree = try hostile.tree(linkFirst ? [link, directory] : [directory, link])
        try hostile.finish(top: hostile.tree([hostile.directory("data", tree)]))
        let before = hostile.surroundings()
        // A second time over what the first has left.
        for _ in 0..<2 {
            let result = try hostile.hydrate(more)
            #expect(result.status != .exited(0), "\(result)")
            #expect((result.errorText + result.text).contains("twice"), "\(result)")
            #expect(hostile.surroundings() == before, "written outside of the target")
        }
    }

    /// The same over two snapshots: a link that one has made is none that the next walks through.
    @Test(arguments: [[], ["--delete"]])
    func aLinkOfAnEarlierSnapshotLeadsNowhere(more: [String]) throws {
        let hostile = try Hostile()
        let inner = try hostile.tree([hostile.file("escaped")])
        let tree = try hostile.tree([hostile.directory("x", inner)])
        try hostile.finish(top: hostile.tree([hostile.directory("data", tree)]))
        try FileManager.default.createDirectory(
            atPath: hostile.target, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: hostile.target + "/x", withDestinationPath: hostile.folder("outside"))
        let before = hostile.surroundings()
        try hostile.hydrate(more).expect()
        #expect(hostile.surroundings() == before)
        #expect(Corpus.files(hostile.target) == ["x/escaped"])
    }

    /// A directory that names itself cannot be made, because its name would be its own hash; one
    /// that goes down for ever as far as anybody can tell can.
    @Test func aTreeOfThousandsOfLevelsPasses() throws {
        let depth = 5000
        let hostile = try Hostile()
        var tree = try hostile.tree([hostile.file("bottom")])
        for _ in 0..<depth { tree = try hostile.tree([hostile.directory("d", tree)]) }
        try hostile.finish(top: hostile.tree([hostile.directory("data", tree)]))
        for more in [[], ["--delete"]] {
            try hostile.hydrate(more).expect()
            var directory = try Descriptor.open(hostile.target, [.readOnly, .directory])
            for _ in 0..<depth {
                directory = try directory.open(
                    Array("d".utf8), [.readOnly, .directory, .noFollow], mode: 0)
            }
            #expect(try directory.metadata(of: Array("bottom".utf8)).size == 4)
        }
        try hostile.fleet.cistern("state", "rebuild", "data")
        try hostile.fleet.cistern("store", "check")
    }
}
