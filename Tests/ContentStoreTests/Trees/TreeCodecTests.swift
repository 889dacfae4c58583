import ContentStore
import Platform
import Testing

@Suite struct TreeCodecTests {
    static let zero = Timestamp(seconds: 0)

    static func node(_ name: String, _ kind: FileKind = .file) -> TreeNode {
        TreeNode(
            name: Array(name.utf8), kind: kind, permissions: 0o644, mtime: zero, atime: zero,
            ctime: zero, content: kind == .file ? [] : nil)
    }

    /// Every node of `tree`, fed in pieces of `piece` bytes.
    static func decode(_ tree: [UInt8], piece: Int = .max) throws -> [TreeNode] {
        var parser = TreeParser()
        let nodes = try decode(tree, piece: piece, &parser)
        #expect(parser.isFinished)
        return nodes
    }

    /// The same without an expectation, for millions of calls.
    static func decodeQuietly(_ tree: [UInt8], piece: Int) throws -> [TreeNode] {
        var parser = TreeParser()
        return try decode(tree, piece: piece, &parser)
    }

    private static func decode(
        _ tree: [UInt8], piece: Int, _ parser: inout TreeParser
    ) throws -> [TreeNode] {
        var nodes: [TreeNode] = []
        var at = 0
        while at < tree.count {
            let end = piece > tree.count - at ? tree.count : at + piece
            parser.feed(tree.span.extracting(at..<end))
            at = end
            while let node = try parser.next() { nodes.append(node) }
        }
        try parser.finish()
        return nodes
    }

    @Test func allFieldsInTheOrderOfTheGoStruct() throws {
        var node = Self.node("a<b")
        node.permissions = 0o4755
        node.mtime = Timestamp(seconds: -1, nanoseconds: 500_000_000)
        node.uid = 1
        node.gid = 2
        node.user = "u"
        node.group = "g&"
        node.inode = 3
        node.deviceID = 4
        node.size = 5
        node.links = 6
        node.linkTarget = Array("t".utf8) + [0xFF]
        node.xattrs = [ExtendedAttribute(name: Array("user.x".utf8), value: [0, 1, 2, 3])]
        node.rdev = 7
        node.content = [Digest(words: (0, 1, 0xFEDC_BA98_7654_3210, UInt64.max))]
        node.subtree = Digest(words: (1, 2, 3, 4))
        node.error = "e"
        let bytes = try TreeEncoder.encode([node])
        let hex =
            "00000000000000000000000000000001fedcba9876543210ffffffffffffffff"
        let subtree =
            "0000000000000001000000000000000200000000000000030000000000000004"
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == #"{"nodes":[{"name":"a\u003cb","type":"file","#
                + #""mode":8389101,"mtime":"1969-12-31T23:59:59.5Z","atime":"1970-01-01T00:00:00Z","#
                + #""ctime":"1970-01-01T00:00:00Z","uid":1,"gid":2,"user":"u","group":"g\u0026","#
                + #""inode":3,"device_id":4,"size":5,"links":6,"linktarget":"t\ufffd","#
                + #""linktarget_raw":"dP8=","extended_attributes":[{"name":"user.x","#
                + #""value":"AAECAw=="}],"device":7,"content":["\#(hex)"],"#
                + #""subtree":"\#(subtree)","error":"e"}]}"# + "\n")
        #expect(try Self.decode(bytes) == [node])
    }

    @Test(
        arguments: [
            (FileKind.directory, 0o755, 2_147_484_141), (.symlink, 0o777, 134_218_239),
            (.chardev, 0o644, 69_206_436), (.file, 0o4755, 8_389_101), (.file, 0o2000, 4_194_304),
            (.directory, 0o1777, 2_148_532_735), (.fifo, 0, 33_554_432), (.socket, 0, 16_777_216),
            (.blockdev, 0, 67_108_864), (.file, 0, 0),
        ] as [(FileKind, UInt32, UInt32)])
    func fileModes(kind: FileKind, permissions: UInt32, mode: UInt32) {
        #expect(GoFileMode.encode(kind, permissions: permissions) == mode)
        #expect(GoFileMode.permissions(mode) == permissions)
    }

    @Test func whatIsZeroOrEmptyIsLeftOut() throws {
        var node = Self.node("d", .directory)
        node.permissions = 0
        node.linkTarget = []
        node.error = ""
        let file = { (node: TreeNode) throws in
            String(decoding: try TreeEncoder.encode([node]), as: UTF8.self)
        }
        #expect(
            try file(node).hasSuffix(
                #""ctime":"1970-01-01T00:00:00Z","uid":0,"gid":0,"content":null}]}"# + "\n"))
        #expect(try file(Self.node("f")).hasSuffix(#""gid":0,"content":[]}]}"# + "\n"))
    }

    @Test(arguments: [("b", "a"), ("a", "a"), ("a", "."), ("a", ""), ("a", "b/c"), ("a", "b\0")])
    func namesOutOfOrderAreADefect(first: String, second: String) {
        let failure = #expect(throws: Failure.self) {
            try TreeEncoder.encode([Self.node(first), Self.node(second)])
        }
        #expect(failure?.kind == .bug)
    }

    @Test func jsonTextIsEscapedAsGoDoes() throws {
        var node = Self.node("x")
        node.user = "\"\\/<>&\u{08}\u{0c}\n\r\t\u{01}\u{1f}\u{7f}\u{2028}\u{2029}\u{fffd}\u{e9}"
        let text = String(decoding: try TreeEncoder.encode([node]), as: UTF8.self)
        let escaped =
            #"\"\\/\u003c\u003e\u0026\b\f\n\r\t\u0001\u001f"# + "\u{7f}"
            + #"\u2028\u2029"# + "\u{fffd}\u{e9}"
        #expect(text.contains("\"user\":\"\(escaped)\","))
        #expect(try Self.decode(Array(text.utf8)) == [node])
    }

    @Test func emptyTree() throws {
        #expect(try TreeEncoder.encode([]) == Array("{\"nodes\":[]}\n".utf8))
    }
}
