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
        var nodes: [TreeNode] = []
        var at = 0
        while at < tree.count {
            let end = piece > tree.count - at ? tree.count : at + piece
            parser.feed(tree.span.extracting(at..<end))
            at = end
            while let node = try parser.next() { nodes.append(node) }
        }
        try parser.finish()
        #expect(parser.isFinished)
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
}
