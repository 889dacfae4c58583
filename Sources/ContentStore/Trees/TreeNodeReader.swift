internal import Platform

/// Reads one node of a tree from the `{` at `cursor`; fields may come in any order, those that are
/// not known are skipped, and `null` leaves a field as if it were missing, as in Go.
func readTreeNode(_ cursor: inout JSONCursor) throws(JSONProblem) -> TreeNode {
    let zero = Timestamp(seconds: goZeroSeconds)
    var node = TreeNode(
        name: [], kind: .file, permissions: 0, mtime: zero, atime: zero, ctime: zero)
    var kind: FileKind?
    var named = false
    try cursor.expect(0x7B, "an object for the entry")
    if try !cursor.take(0x7D) {
        repeat {
            let key = try cursor.text()
            try cursor.expect(0x3A, "':'")
            if try cursor.takeNull() {
                if cursor.equals(key, "content") { node.content = nil }
                continue
            }
            switch (key.end - key.start, cursor.bytes[key.start]) {
            case (4, 0x6E) where cursor.equals(key, "name"):
                node.name = try readName(&cursor)
                named = true
            case (4, 0x74) where cursor.equals(key, "type"):
                kind = try readKind(&cursor)
            default:
                try readField(&cursor, key, &node)
            }
        } while try cursor.take(0x2C)
        try cursor.expect(0x7D, "',' or '}' after a field")
    }
    guard named else { throw .invalid("a name for the entry") }
    guard let kind else { throw .invalid("a type for the entry \(printable(node.name))") }
    node.kind = kind
    return node
}

private func readField(
    _ cursor: inout JSONCursor, _ key: JSONCursor.Text, _ node: inout TreeNode
) throws(JSONProblem) {
    // Length and first byte tell the known keys apart; the comparison makes sure.
    switch (key.end - key.start, cursor.bytes[key.start]) {
    case (4, 0x6D) where cursor.equals(key, "mode"):
        node.permissions = GoFileMode.permissions(try cursor.unsigned32())
    case (5, 0x6D) where cursor.equals(key, "mtime"): node.mtime = try readTime(&cursor)
    case (5, 0x61) where cursor.equals(key, "atime"): node.atime = try readTime(&cursor)
    case (5, 0x63) where cursor.equals(key, "ctime"): node.ctime = try readTime(&cursor)
    case (3, 0x75) where cursor.equals(key, "uid"): node.uid = try cursor.unsigned32()
    case (3, 0x67) where cursor.equals(key, "gid"): node.gid = try cursor.unsigned32()
    case (4, 0x75) where cursor.equals(key, "user"): node.user = try readString(&cursor)
    case (5, 0x67) where cursor.equals(key, "group"): node.group = try readString(&cursor)
    case (5, 0x69) where cursor.equals(key, "inode"): node.inode = try cursor.unsigned()
    case (9, 0x64) where cursor.equals(key, "device_id"): node.deviceID = try cursor.unsigned()
    case (4, 0x73) where cursor.equals(key, "size"): node.size = try cursor.unsigned()
    case (5, 0x6C) where cursor.equals(key, "links"): node.links = try cursor.unsigned()
    case (10, 0x6C) where cursor.equals(key, "linktarget"):
        // linktarget_raw, which has the exact bytes, wins wherever it stands.
        let target = try cursor.decode(try cursor.text())
        // An empty one is as good as none: writers leave it out.
        if node.linkTarget == nil && !target.isEmpty { node.linkTarget = target }
    case (14, 0x6C) where cursor.equals(key, "linktarget_raw"):
        let target = try readBase64(&cursor)
        if !target.isEmpty { node.linkTarget = target }
    case (19, 0x65) where cursor.equals(key, "extended_attributes"):
        node.xattrs = try readXattrs(&cursor)
    case (6, 0x64) where cursor.equals(key, "device"): node.rdev = try cursor.unsigned()
    case (7, 0x63) where cursor.equals(key, "content"): node.content = try readContent(&cursor)
    case (7, 0x73) where cursor.equals(key, "subtree"): node.subtree = try cursor.digest()
    case (5, 0x65) where cursor.equals(key, "error"): node.error = try readString(&cursor)
    default: try cursor.skipValue()
    }
}

private func readName(_ cursor: inout JSONCursor) throws(JSONProblem) -> [UInt8] {
    let text = try cursor.text()
    let quoted = try cursor.decode(text)
    if text.plain { return quoted }
    guard let name = GoQuote.unquote(quoted.span) else {
        throw .invalid("a quoted name in place of \(printable(quoted))")
    }
    return name
}

private func readKind(_ cursor: inout JSONCursor) throws(JSONProblem) -> FileKind {
    let text = try cursor.text()
    if cursor.equals(text, "file") { return .file }
    if cursor.equals(text, "dir") { return .directory }
    if cursor.equals(text, "symlink") { return .symlink }
    if cursor.equals(text, "dev") { return .blockdev }
    if cursor.equals(text, "chardev") { return .chardev }
    if cursor.equals(text, "fifo") { return .fifo }
    if cursor.equals(text, "socket") { return .socket }
    throw .invalid("a known type in place of \(printable(try cursor.decode(text)))")
}

private func readTime(_ cursor: inout JSONCursor) throws(JSONProblem) -> Timestamp {
    let text = try cursor.text()
    guard text.plain, let time = parseRFC3339Nano(cursor.bytes.extracting(text.start..<text.end))
    else { throw .invalid("a time in place of \(printable(try cursor.decode(text)))") }
    return time
}

private func readString(_ cursor: inout JSONCursor) throws(JSONProblem) -> String {
    let text = try cursor.text()
    if text.plain {
        let inside = cursor.bytes.extracting(text.start..<text.end)
        return unsafe inside.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }
    return String(decoding: try cursor.decode(text), as: UTF8.self)
}

private func readBase64(_ cursor: inout JSONCursor) throws(JSONProblem) -> [UInt8] {
    let text = try cursor.text()
    if text.plain {
        if let bytes = decodeBase64(cursor.bytes.extracting(text.start..<text.end)) {
            return bytes
        }
    } else {
        let decoded = try cursor.decode(text)
        if let bytes = decodeBase64(decoded.span) { return bytes }
    }
    throw .invalid("base64")
}

private func readContent(_ cursor: inout JSONCursor) throws(JSONProblem) -> [Digest] {
    var content: [Digest] = []
    try cursor.expect(0x5B, "an array of blob ids")
    if try cursor.take(0x5D) { return content }
    repeat { content.append(try cursor.digest()) } while try cursor.take(0x2C)
    try cursor.expect(0x5D, "',' or ']' after a blob id")
    return content
}

private func readXattrs(_ cursor: inout JSONCursor) throws(JSONProblem) -> [ExtendedAttribute] {
    var xattrs: [ExtendedAttribute] = []
    try cursor.expect(0x5B, "an array of extended attributes")
    if try cursor.take(0x5D) { return xattrs }
    repeat { xattrs.append(try readXattr(&cursor)) } while try cursor.take(0x2C)
    try cursor.expect(0x5D, "',' or ']' after an extended attribute")
    return xattrs
}

private func readXattr(_ cursor: inout JSONCursor) throws(JSONProblem) -> ExtendedAttribute {
    var attribute = ExtendedAttribute(name: [], value: [])
    try cursor.expect(0x7B, "an extended attribute")
    if try cursor.take(0x7D) { return attribute }
    repeat {
        let key = try cursor.text()
        try cursor.expect(0x3A, "':'")
        if try cursor.takeNull() { continue }
        if cursor.equals(key, "name") {
            attribute.name = try cursor.decode(try cursor.text())
        } else if cursor.equals(key, "value") {
            attribute.value = try readBase64(&cursor)
        } else {
            try cursor.skipValue()
        }
    } while try cursor.take(0x2C)
    try cursor.expect(0x7D, "',' or '}' after a field")
    return attribute
}
