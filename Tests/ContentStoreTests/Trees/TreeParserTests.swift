import ContentStore
import Platform
import TestSupport
import Testing

@Suite struct TreeParserTests {
    static let time = #""mtime":"2020-01-01T00:00:00Z""#

    /// A tree with these texts as its nodes.
    static func tree(_ nodes: String...) -> [UInt8] {
        Array(#"{"nodes":[\#(nodes.joined(separator: ","))]}"#.utf8)
    }

    static func entry(_ name: String, _ more: String = "") -> String {
        #"{"name":"\#(name)","type":"file"\#(more)}"#
    }

    static func decode(_ text: String, piece: Int = .max) throws -> [TreeNode] {
        try TreeCodecTests.decode(Array(text.utf8), piece: piece)
    }

    @Test(
        arguments: [
            #"{"nodes":[]}"#, #"{"nodes":null}"#, " {\n\"nodes\" :\t[ ] }\r\n",
            #"{"a":{"nodes":[1,"]}"]},"nodes":[],"b":"\"}","c":-1.5e3,"d":null}"#,
        ], [1, 2, 1000])
    func emptyTrees(text: String, piece: Int) throws {
        #expect(try Self.decode(text, piece: piece) == [])
    }

    @Test func anyOrderOfKeysAndUnknownOnes() throws {
        let text =
            #"{"x":[{"y":"}"}],"nodes":[ {"size":3,"new":{"a":[1,{}]},"type" : "file","user":null,"#
            + #""content":[ ],"links":1,"name":"a\u0062","extended_attributes":null} , "#
            + #"{"name":"c","type":"symlink","linktarget_raw":"dP8=","linktarget":"t\ufffd"}]}"#
        for piece in [1, 7, 1000] {
            let nodes = try Self.decode(text, piece: piece)
            #expect(nodes.map(\.name) == [Array("ab".utf8), Array("c".utf8)])
            #expect(nodes[0].size == 3 && nodes[0].links == 1 && nodes[0].content == [])
            #expect(nodes[0].mtime == Timestamp(seconds: -62_135_596_800))
            #expect(nodes[1].linkTarget == [0x74, 0xFF] && nodes[1].content == nil)
        }
    }

    @Test(arguments: [
        ("", "expected"), (".", "name for a directory entry"), ("..", "name for a directory entry"),
        ("a/b", "'a/b'"), ("a\\u0000", "name for a directory entry"), ("\\\\q", "quoted name"),
    ])
    func namesThatNoDirectoryHas(name: String, problem: String) {
        Self.expectFailure(Self.tree(Self.entry(name)), problem)
    }

    @Test(arguments: [("b", "a", "out of order"), ("a", "a", "twice"), ("a0", "a", "out of order")])
    func unsortedNames(first: String, second: String, problem: String) {
        Self.expectFailure(
            Self.tree(Self.entry(first), Self.entry(second)), "'\(second)' is", problem)
    }

    @Test(arguments: [
        ("", "ends early"), ("{", "ends early"), (#"{"nodes":[{"name":"a""#, "ends early"),
        ("[]", "an object"), ("{}", "array of nodes"), (#"{"nodes":[]}x"#, "the end"),
        (#"{"nodes":[],"nodes":[]}"#, "one array"), (#"{"nodes":[{"type":"file"}]}"#, "a name"),
        (#"{"nodes":[{"name":"a"}]}"#, "a type"), (#"{"nodes":{}}"#, "an array"),
        (#"{"nodes":[{"name":"a","type":"irregular"}]}"#, "known type"),
        (#"{"nodes":[{"name":"a","type":"file","size":-1}]}"#, "whole number"),
        (#"{"nodes":[{"name":"a","type":"file","uid":4294967296}]}"#, "32 bits"),
        (#"{"nodes":[{"name":"a","type":"file","inode":18446744073709551616}]}"#, "64 bits"),
        (#"{"nodes":[{"name":"a","type":"file","mtime":"2020-13-01T00:00:00Z"}]}"#, "a time"),
        (#"{"nodes":[{"name":"a","type":"file","content":["12"]}]}"#, "id of 64 digits"),
    ])
    func damage(text: String, problem: String) {
        for piece in [1, 1000] { Self.expectFailure(Array(text.utf8), problem, piece: piece) }
    }

    static func expectFailure(_ tree: [UInt8], _ problems: String..., piece: Int = .max) {
        let failure = #expect(throws: Failure.self) {
            try TreeCodecTests.decode(tree, piece: piece)
        }
        #expect(failure?.kind == .store)
        for problem in problems {
            #expect(failure.map { "\($0)".contains(problem) } == true, "\(failure as Any)")
        }
    }

    @Test func aFailureStays() throws {
        var parser = TreeParser()
        let bytes = Array("[]".utf8)
        parser.feed(bytes.span)
        let first = try #require(throws: Failure.self) { try parser.next() }
        #expect(throws: first) { try parser.next() }
        #expect(!parser.isFinished)
    }

    /// A node that comes in many pieces is looked through once, not once for every piece.
    @Test func aNodeOfManyPieces() throws {
        var node = TreeCodecTests.node("big")
        node.content = (0..<200_000).map { Digest(words: (0, 0, 0, $0)) }
        let tree = try TreeEncoder.encode([TreeCodecTests.node("a"), node])
        let nodes = try TreeCodecTests.decode(tree, piece: 1000)
        #expect(nodes.count == 2 && nodes[1] == node)
    }

    @Test func nodesBeyondTheLimitAreRefused() throws {
        var parser = TreeParser()
        let start = Array(#"{"nodes":[{"name":""#.utf8)
        let piece = [UInt8](repeating: 0x61, count: 1 << 20)
        parser.feed(start.span)
        let failure = #expect(throws: Failure.self) {
            for _ in 0...(TreeParser.nodeLimit >> 20) {
                _ = try parser.next()
                parser.feed(piece.span)
            }
            _ = try parser.next()
        }
        #expect(failure?.cause?.contains("at most") == true)
    }

    @Test func survivesFuzzing() throws {
        var big = TreeCodecTests.node("b\u{2028}\"\\")
        big.xattrs = [ExtendedAttribute(name: Array("user.a".utf8), value: [1, 2])]
        big.content = [Digest(words: (1, 2, 3, 4))]
        big.linkTarget = [0xFF]
        big.user = "u\n"
        let corpus = [
            try TreeEncoder.encode([TreeCodecTests.node("a"), big]),
            Self.tree(Self.entry("\\\\x41\\\\u00e9"), Self.entry("z", ",\(Self.time)")),
            Array(#"{"nodes":null,"a":[{"b":"c\\"}]}"#.utf8),
            Self.tree(Self.entry("e", #","linktarget":"","linktarget_raw":"""#)),
        ]
        fuzz("tree", corpus: corpus) { bytes in
            let whole = try? TreeCodecTests.decodeQuietly(bytes, piece: .max)
            let pieces = try? TreeCodecTests.decodeQuietly(bytes, piece: 3)
            #expect(whole == pieces, "\(bytes)")
            guard let whole else { return }
            let again = try? TreeCodecTests.decodeQuietly(
                (try? TreeEncoder.encode(whole)) ?? [], piece: .max)
            #expect(again == whole, "\(bytes)")
        }
    }
}
