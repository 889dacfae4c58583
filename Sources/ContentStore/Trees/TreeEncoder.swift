package import Platform

/// Writes a tree as restic does, byte for byte: a tree's id is the hash of this JSON.
///
/// The text is that of Go's encoding/json over restic's `data.Node` (internal/data/node.go), one
/// line, framed by `{"nodes":[` and `]}` with a newline. Nothing is held but the last name, so that
/// a directory of any size can be streamed: append some nodes, hand the bytes on, empty the buffer.
package struct TreeEncoder: Sendable {
    private var last: [UInt8] = []
    private var count = 0
    private var scratch: [UInt8] = []

    /// Starts an empty tree.
    package init() {}

    /// Appends the opening of the tree; the first call of all.
    package func begin(into output: inout [UInt8]) {
        output.append(contentsOf: #"{"nodes":["#.utf8)
    }

    /// Appends one node, which must have a name after that of the node before, as raw bytes.
    ///
    /// Throws a `bug` failure for names out of order or that no directory can hold.
    package mutating func append(_ node: TreeNode, into output: inout [UInt8]) throws(Failure) {
        guard isEntryName(node.name.span) else {
            throw Failure(.bug, "tree entry \(printable(node.name)) has no valid name")
        }
        guard count == 0 || precedes(last.span, node.name.span) else {
            throw Failure(
                .bug, "tree entries are out of order",
                cause: "\(printable(node.name)) comes after \(printable(last))")
        }
        write(node, comma: count > 0, into: &output)
        last = node.name
        count += 1
    }

    /// Appends one node's JSON alone, without the comma between nodes: for those who join the
    /// nodes of a tree themselves, in order.
    ///
    /// Throws a `bug` failure for a name that no directory can hold.
    package mutating func appendNode(
        _ node: TreeNode, into output: inout [UInt8]
    ) throws(Failure) {
        guard isEntryName(node.name.span) else {
            throw Failure(.bug, "tree entry \(printable(node.name)) has no valid name")
        }
        write(node, comma: false, into: &output)
    }

    private mutating func write(_ node: TreeNode, comma: Bool, into output: inout [UInt8]) {
        let room = TreeEncoder.bound(node)
        if output.capacity - output.count < room {
            output.reserveCapacity(max(output.capacity * 2, output.count + room))
        }
        let name = quoted(node.name)
        output.append(
            addingCapacity: room,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                if comma { span.append(0x2C) }
                span.append(node: node, quotedName: name.span)
            })
    }

    /// Appends the closing of the tree with its newline; the last call of all.
    package func finish(into output: inout [UInt8]) {
        output.append(contentsOf: "]}\n".utf8)
    }

    /// The whole tree of `nodes`, for small ones.
    ///
    /// Throws as `append` does.
    package static func encode(_ nodes: [TreeNode]) throws(Failure) -> [UInt8] {
        var output: [UInt8] = []
        var encoder = TreeEncoder()
        encoder.begin(into: &output)
        for node in nodes { try encoder.append(node, into: &output) }
        encoder.finish(into: &output)
        return output
    }

    private mutating func quoted(_ name: [UInt8]) -> [UInt8] {
        if isPlain(name.span) { return name }
        scratch.removeAll(keepingCapacity: true)
        GoQuote.quote(name.span, into: &scratch)
        return scratch
    }

    /// More bytes than the node's JSON can have: JSON needs at most 6 for a byte of text, and
    /// quoting first at most 6 for a byte of a name.
    private static func bound(_ node: TreeNode) -> Int {
        var bound = 640
        let text =
            node.name.count + node.user.utf8.count + node.group.utf8.count
            + (node.error?.utf8.count ?? 0)
        bound += text * 6 + (node.linkTarget?.count ?? 0) * 8
        for attribute in node.xattrs {
            bound += 48 + attribute.name.count * 6 + attribute.value.count * 2
        }
        return bound + (node.content?.count ?? 0) * 67
    }
}

extension OutputSpan<UInt8> {
    /// Appends the JSON object of a node; the order of the fields is that of the Go struct.
    fileprivate mutating func append(node: TreeNode, quotedName: Span<UInt8>) {
        append(literal: #"{"name":""#)
        append(jsonText: quotedName)
        append(literal: #"","type":""#)
        append(typeOf: node.kind)
        append(0x22)
        append(
            #","mode":"#, GoFileMode.encode(node.kind, permissions: node.permissions))
        append(literal: #","mtime":""#)
        CivilTime(node.mtime).append(to: &self)
        append(literal: #"","atime":""#)
        CivilTime(node.atime).append(to: &self)
        append(literal: #"","ctime":""#)
        CivilTime(node.ctime).append(to: &self)
        append(literal: #"","uid":"#)
        append(decimal: UInt64(node.uid))
        append(literal: #","gid":"#)
        append(decimal: UInt64(node.gid))
        append(#","user":""#, node.user)
        append(#","group":""#, node.group)
        append(#","inode":"#, node.inode)
        append(#","device_id":"#, node.deviceID)
        append(#","size":"#, node.size)
        append(#","links":"#, node.links)
        if let target = node.linkTarget, !target.isEmpty { append(linkTarget: target.span) }
        if !node.xattrs.isEmpty { append(xattrs: node.xattrs) }
        append(#","device":"#, node.rdev)
        append(content: node.content)
        if let subtree = node.subtree {
            append(literal: #","subtree":""#)
            append(hex: subtree)
            append(0x22)
        }
        if let error = node.error { append(#","error":""#, error) }
        append(0x7D)
    }

    /// Appends a number under its key, or nothing for 0 (Go's omitempty).
    @inline(__always)
    private mutating func append(_ key: StaticString, _ value: some FixedWidthInteger) {
        guard value != 0 else { return }
        append(literal: key)
        append(decimal: UInt64(value))
    }

    /// Appends a string under its key, or nothing for an empty one (Go's omitempty).
    @inline(__always)
    private mutating func append(_ key: StaticString, _ value: String) {
        guard !value.isEmpty else { return }
        append(literal: key)
        let text = value.utf8Span.span
        append(jsonText: text)
        append(0x22)
    }

    private mutating func append(typeOf kind: FileKind) {
        switch kind {
        case .file: append(literal: "file")
        case .directory: append(literal: "dir")
        case .symlink: append(literal: "symlink")
        case .blockdev: append(literal: "dev")
        case .chardev: append(literal: "chardev")
        case .fifo: append(literal: "fifo")
        case .socket: append(literal: "socket")
        }
    }

    /// A target that is not UTF-8 is there twice: readable, and whole in linktarget_raw.
    private mutating func append(linkTarget: Span<UInt8>) {
        append(literal: #","linktarget":""#)
        append(jsonText: linkTarget)
        append(0x22)
        guard !isValidUTF8(linkTarget) else { return }
        append(literal: #","linktarget_raw":""#)
        append(base64: linkTarget)
        append(0x22)
    }

    private mutating func append(xattrs: [ExtendedAttribute]) {
        append(literal: #","extended_attributes":["#)
        for i in xattrs.indices {
            let attribute = xattrs[i]
            if i > 0 { append(0x2C) }
            append(literal: #"{"name":""#)
            append(jsonText: attribute.name.span)
            append(literal: #"","value":""#)
            append(base64: attribute.value.span)
            append(literal: #""}"#)
        }
        append(0x5D)
    }

    private mutating func append(content: [Digest]?) {
        guard let content else {
            append(literal: #","content":null"#)
            return
        }
        append(literal: #","content":["#)
        for i in content.indices {
            if i > 0 { append(0x2C) }
            append(0x22)
            append(hex: content[i])
            append(0x22)
        }
        append(0x5D)
    }
}

/// Whether a directory can have an entry of this name.
func isEntryName(_ name: Span<UInt8>) -> Bool {
    if name.count <= 2 {
        if name.isEmpty || name[0] == 0x2E && (name.count == 1 || name[1] == 0x2E) { return false }
    }
    for i in name.indices where name[i] == 0x2F || name[i] == 0 { return false }
    return true
}

/// Whether `a` sorts before `b` as raw bytes.
func precedes(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Bool {
    let shared = min(a.count, b.count)
    for i in 0..<shared where a[i] != b[i] { return a[i] < b[i] }
    return a.count < b.count
}
