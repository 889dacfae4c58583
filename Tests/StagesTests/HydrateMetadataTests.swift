import ContentStore
import Foundation
import Platform
import Stages
import TestSupport
import Testing

/// Metadata, links and leftovers of a hydrate, by trees that are made by hand.
@Suite struct HydrateMetadataTests {
    private typealias Hostile = HostileTreeTests.Hostile

    private func finish(_ hostile: Hostile, _ nodes: [String]) throws {
        let tree = try hostile.tree(nodes)
        try hostile.finish(top: hostile.tree([hostile.directory("data", tree)]))
    }

    private func write(_ text: String, _ path: String, seconds: Int64? = nil) throws {
        let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(
            atPath: parent, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        guard let seconds else { return }
        try Descriptor.open(path, [.writeOnly]).setModified(Timestamp(seconds: seconds))
    }

    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
    }

    private func metadata(_ path: String) throws -> FileMetadata {
        try Descriptor.open(path, [.readOnly]).metadata()
    }

    private func attribute(_ name: String, _ value: String) -> ExtendedAttribute {
        ExtendedAttribute(name: Array(name.utf8), value: Array(value.utf8))
    }

    /// Whether the file system of the tests has attributes for users.
    private func hasAttributes(_ folder: TemporaryFolder) throws -> Bool {
        try write("", folder("probe"))
        do {
            try ExtendedAttributes.set(
                path: Array(folder("probe").utf8), attribute("user.probe", "1"))
            return true
        } catch {
            notice("no extended attributes in \(folder.path): \(error)")
            return false
        }
    }

    /// 2020-01-01, the time of every node.
    private static let time: Int64 = 1_577_836_800

    /// The content is not withheld, and what is missing is told, each time.
    @Test func anAttributeThatTheTargetDoesNotTakeIsTold() throws {
        let hostile = try Hostile()
        // "nonsense" is no namespace of any file system. 04755, and with it 1 << 23 in Go.
        let odd = hostile.file(
            "odd", mode: 1 << 23 | 0o755,
            #""links":1,"extended_attributes":[{"name":"nonsense.x","value":"MQ=="}]"#)
        try finish(hostile, [hostile.file("good"), odd])
        for round in 1...3 {
            let result = try hostile.hydrate()
            let said = result.text + result.errorText
            #expect(result.status == .exited(3), "\(round): \(result)")
            #expect(said.contains("odd"), "\(round): \(result)")
            #expect(said.contains("nonsense.x"), "\(round): \(result)")
            #expect(said.contains("1 entries could not be made"), "\(round): \(result)")
            #expect(Corpus.files(hostile.target).sorted() == ["good", "odd"])
            #expect(try text(hostile.target + "/odd") == "evil")
            let made = try metadata(hostile.target + "/odd")
            #expect(made.mtime == Timestamp(seconds: Self.time), "\(round)")
            let isOwned = made.uid == 0 && made.gid == 0
            #expect(
                made.permissions == MetadataWriter.permissions(of: 0o4755, isOwned: isOwned),
                "\(round): \(String(made.permissions, radix: 8))")
        }
    }

    @Test func anAttributeThatTheSnapshotDoesNotHaveIsRemoved() throws {
        let hostile = try Hostile()
        guard try hasAttributes(hostile.folder) else { return }
        let noted = hostile.file(
            "noted",
            #""links":1,"extended_attributes":[{"name":"user.note","value":"MQ=="}]"#)
        try finish(hostile, [noted, hostile.file("plain")])
        try hostile.hydrate().expect()
        let before = try ["noted", "plain"].map { try metadata("\(hostile.target)/\($0)").inode }
        for name in ["noted", "plain"] {
            try ExtendedAttributes.set(
                path: Array("\(hostile.target)/\(name)".utf8), attribute("user.extra", "2"))
        }
        try hostile.hydrate().expect()
        #expect(
            try ExtendedAttributes.read(path: Array((hostile.target + "/noted").utf8))
                .filter { $0.name.starts(with: Array("user.".utf8)) }
                == [attribute("user.note", "1")])
        #expect(
            try ExtendedAttributes.read(path: Array((hostile.target + "/plain").utf8))
                .filter { $0.name.starts(with: Array("user.".utf8)) } == [])
        for (name, inode) in zip(["noted", "plain"], before) {
            let path = "\(hostile.target)/\(name)"
            #expect(try metadata(path).inode == inode, "\(name) was written again")
            #expect(try text(path) == "evil")
            #expect(try metadata(path).mtime == Timestamp(seconds: Self.time))
        }
    }

    private static let link = #""inode":77,"device_id":1,"links":2"#

    /// The first name stands for something else and cannot be made: what is right under the
    /// second name does not become a link to that.
    @Test func aGoodFileIsNotReplacedByALinkToAWrongOne() throws {
        let hostile = try Hostile()
        let lost = SHA256Hasher.hash(Array("nowhere".utf8).span)
        let nodes = ["a", "b"].map { hostile.file($0, content: lost, Self.link) }
        try finish(hostile, nodes)
        try write("something else", hostile.target + "/a")
        try write("good", hostile.target + "/b", seconds: Self.time)
        let result = try hostile.hydrate()
        #expect(result.status == .exited(3), "\(result)")
        #expect((result.text + result.errorText).contains("a: "), "\(result)")
        #expect(try text(hostile.target + "/b") == "good", "\(result)")
        #expect(try text(hostile.target + "/a") == "something else")
        #expect(Corpus.files(hostile.target).sorted() == ["a", "b"])
    }

    /// A directory is in the way of the first name: the second gets a file of its own.
    @Test(arguments: [nil, "stale"])
    func aFurtherNameDoesWithoutTheFirst(existing: String?) throws {
        let hostile = try Hostile()
        try finish(hostile, ["a", "b"].map { hostile.file($0, Self.link) })
        try write("mine", hostile.target + "/a/inner")
        if let existing { try write(existing, hostile.target + "/b") }
        for round in 1...2 {
            let result = try hostile.hydrate()
            let said = result.text + result.errorText
            #expect(result.status == .exited(3), "\(round): \(result)")
            #expect(said.contains("a: ") && said.contains("in the way"), "\(round): \(result)")
            #expect(said.contains("1 entries could not be made"), "\(round): \(result)")
            #expect(Corpus.files(hostile.target).sorted() == ["a/inner", "b"])
            #expect(try text(hostile.target + "/b") == "evil")
        }
        removeTree(hostile.target + "/a")
        try hostile.hydrate().expect()
        #expect(
            try metadata(hostile.target + "/a").inode == metadata(hostile.target + "/b").inode)
    }

    enum Replaced: CaseIterable, Sendable { case file, link, symlink }

    /// What a kill has left under the temporary name is in nobody's way, and goes.
    @Test(arguments: Replaced.allCases)
    func aLeftoverOfAKilledHydrateGoes(replaced: Replaced) throws {
        let hostile = try Hostile()
        let name = "x"
        switch replaced {
        case .file: try finish(hostile, [hostile.file(name)])
        case .link:
            try finish(hostile, ["a", name].map { hostile.file($0, Self.link) })
        case .symlink: try finish(hostile, [hostile.symlink(name, to: "nowhere")])
        }
        try write("other content", "\(hostile.target)/\(name)")
        let hash = SHA256Hasher.hash(Array(name.utf8).span)
        let leftover = "\(hostile.target)/.cistern-hydrate-\(hash)"
        try write("half", leftover)
        try hostile.hydrate().expect()
        #expect(!FileManager.default.fileExists(atPath: leftover))
        switch replaced {
        case .file: #expect(try text("\(hostile.target)/\(name)") == "evil")
        case .link:
            #expect(
                try metadata(hostile.target + "/a").inode
                    == metadata("\(hostile.target)/\(name)").inode)
        case .symlink:
            #expect(
                try FileManager.default.destinationOfSymbolicLink(
                    atPath: "\(hostile.target)/\(name)") == "nowhere")
        }
    }

    /// Names of one file in several directories, new ones and one that is there.
    @Test func linksReachIntoAllDirectories() throws {
        let hostile = try Hostile()
        let link = #""inode":77,"device_id":1,"links":5"#
        func inner(_ name: String) throws -> String {
            let tree = try hostile.tree([hostile.file(name, link)])
            return hostile.directory("inner", tree)
        }
        let a = try hostile.tree([hostile.file("1", link), inner("2")])
        let b = try hostile.tree([hostile.file("3", link), inner("4")])
        let top = [hostile.directory("a", a), hostile.directory("b", b), hostile.file("c", link)]
        try finish(hostile, top)
        try write("mine", hostile.target + "/b/mine")
        try hostile.hydrate().expect()
        let names = ["a/1", "a/inner/2", "b/3", "b/inner/4", "c"]
        let inodes = try names.map { try metadata("\(hostile.target)/\($0)").inode }
        #expect(Set(inodes).count == 1)
        #expect(Corpus.files(hostile.target).sorted() == (names + ["b/mine"]).sorted())
    }

    /// A directory whose tree cannot be read is told, and no empty one is made in its place.
    @Test func aDirectoryWithoutATreeIsNotMade() throws {
        let hostile = try Hostile()
        let lost = SHA256Hasher.hash(Array("nowhere".utf8).span)
        let good = try hostile.tree([hostile.file("x")])
        try finish(hostile, [hostile.directory("a", lost), hostile.directory("b", good)])
        let result = try hostile.hydrate()
        #expect(result.status == .exited(3), "\(result)")
        #expect((result.text + result.errorText).contains("a: "), "\(result)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: hostile.target) == ["b"])
        #expect(try text(hostile.target + "/b/x") == "evil")
    }

    /// What was meant for an owner or a group is not given to another.
    @Test(
        arguments: [
            // Permissions, then what root and what others give a file that is not its owner's.
            (0o644, 0o600, 0o644), (0o4755, 0o700, 0o755), (0o2755, 0o700, 0o755),
            (0o6777, 0o700, 0o777), (0o1777, 0o700, 0o1777), (0o000, 0o000, 0o000),
            (0o070, 0o000, 0o070), (0o7000, 0o000, 0o1000),
        ] as [(UInt32, UInt32, UInt32)])
    func permissionsOfAnotherOwner(permissions: UInt32, byRoot: UInt32, byOthers: UInt32) {
        #expect(MetadataWriter.permissions(of: permissions, isOwned: true) == permissions)
        #expect(
            MetadataWriter.permissions(of: permissions, isOwned: false)
                == (effectiveUserIsRoot ? byRoot : byOthers))
    }
}
