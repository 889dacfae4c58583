import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// Trees of real restic are the oracle: what it wrote must decode, and encode to the same bytes.
@Suite(.temporaryFolder) struct ResticTreesTests {
    /// Every tree that `restic` makes of `source`, in UTC, in which Cistern writes times.
    static func trees(_ restic: Restic, of source: String, in folder: TemporaryFolder) throws
        -> [[UInt8]]
    {
        let password = folder("password")
        try Data("secret\n".utf8).write(to: URL(fileURLWithPath: password))
        func run(_ arguments: [String]) throws -> Command.Result {
            var command = restic.command(
                ["--quiet"] + arguments, store: folder("store"), passwordFile: password)
            command.environment["TZ"] = "UTC"
            return try command.run().expect()
        }
        _ = try run(["init"])
        _ = try run(["backup", source])
        let blobs = try run(["list", "blobs"]).text.split(separator: "\n")
        return try blobs.filter { $0.hasPrefix("tree ") }.map { line in
            try run(["cat", "blob", String(line.dropFirst(5))]).output
        }
    }

    @Test(arguments: Restic.all)
    func nastyTreesSurviveByteForByte(restic: Restic) throws {
        let folder = try #require(TemporaryFolder.current)
        let source = folder("source")
        try Corpus().nasty(source)
        if restic.version == "0.14.0" {
            // It writes such a target with U+FFFD for good: no version gets the bytes back.
            try FileManager.default.removeItem(atPath: "\(source)/link-raw")
        }
        let trees = try Self.trees(restic, of: source, in: folder)
        #expect(trees.count >= 4)
        var names: Set<[UInt8]> = []
        for tree in trees {
            let nodes = try TreeCodecTests.decode(tree)
            names.formUnion(nodes.map(\.name))
            let again = try TreeEncoder.encode(nodes)
            #expect(
                again == tree,
                "\(String(decoding: tree, as: UTF8.self)) became \(String(decoding: again, as: UTF8.self))"
            )
        }
        for name in Corpus.nastyNames { #expect(names.contains(name), "\(printable(name))") }
    }

    /// Every character that a name can have, 48 in a file's name; and every byte that is none.
    static let everyCharacter: [[UInt8]] = {
        var names: [[UInt8]] = (1...255).filter { $0 != 0x2F }.map { [0x62, $0, 0x62] }
        var name: [UInt8] = []
        var count = 0
        for value in UInt32(0x80)...0x10FFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            name += Array(String(Character(scalar)).utf8)
            count += 1
            if count == 48 || value == 0x10FFFF {
                names.append(name)
                name = []
                count = 0
            }
        }
        return names
    }()

    @Test(arguments: Restic.all)
    func everyCharacterIsQuotedAsGoDoes(restic: Restic) throws {
        let folder = try #require(TemporaryFolder.current)
        let source = folder("source")
        try AtomicFile.makeDirectories(source, mode: 0o755)
        let root = try Descriptor.open(source, [.readOnly, .directory])
        for name in Self.everyCharacter {
            try root.open(name, [.writeOnly, .create], mode: 0o644).close()
        }
        let tree = try #require(
            try Self.trees(restic, of: source, in: folder).max { $0.count < $1.count })
        let nodes = try TreeCodecTests.decode(tree)
        #expect(Set(nodes.map(\.name)) == Set(Self.everyCharacter))
        // 0.14 was built when Unicode had fewer characters, and quotes those that came later.
        if restic.version != "0.14.0" {
            let same = try TreeEncoder.encode(nodes) == tree
            #expect(same)
        }
    }
}
