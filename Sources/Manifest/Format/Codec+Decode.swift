package import Platform

extension Codec {
    /// Reads one line, without its newline.
    ///
    /// Keys may come in any order; unknown ones are skipped. Throws a `truncated` failure where the
    /// line ends too early, else a `usage` failure that says what is wrong and at which byte.
    package static func decode(_ line: Span<UInt8>) throws(Failure) -> ListLine {
        guard line.count <= lineLimit else {
            throw Failure(.usage, "a line is longer than \(lineLimit) bytes")
        }
        return try unsafe line.withUnsafeBufferPointer { buffer throws(Failure) -> ListLine in
            guard let base = buffer.baseAddress else {
                throw Failure(.usage, "an empty line is no unit")
            }
            var decoder = unsafe LineDecoder(LineCursor(base: base, end: buffer.count))
            return try decoder.line()
        }
    }
}

/// The fields of one line while they are read.
private struct LineDecoder {
    /// The keys of a line, as bits.
    struct Keys: OptionSet {
        let rawValue: UInt32
        static let type = Keys(rawValue: 1 << 0)
        static let path = Keys(rawValue: 1 << 1)
        static let mode = Keys(rawValue: 1 << 2)
        static let uid = Keys(rawValue: 1 << 3)
        static let gid = Keys(rawValue: 1 << 4)
        static let size = Keys(rawValue: 1 << 5)
        static let mtime = Keys(rawValue: 1 << 6)
        static let ctime = Keys(rawValue: 1 << 7)
        static let inode = Keys(rawValue: 1 << 8)
        static let device = Keys(rawValue: 1 << 9)
        static let links = Keys(rawValue: 1 << 10)
        static let rdev = Keys(rawValue: 1 << 11)
        static let target = Keys(rawValue: 1 << 12)
        static let xattrs = Keys(rawValue: 1 << 13)
        static let error = Keys(rawValue: 1 << 14)
        static let check = Keys(rawValue: 1 << 15)
        static let repair = Keys(rawValue: 1 << 16)
        static let content = Keys(rawValue: 1 << 17)
        static let stored = Keys(rawValue: 1 << 18)
        static let new = Keys(rawValue: 1 << 19)
        static let contentProblems = Keys(rawValue: 1 << 20)
        static let stats = Keys(rawValue: 1 << 21)
        static let seq = Keys(rawValue: 1 << 22)
        static let count = Keys(rawValue: 1 << 23)

        static let required: Keys = Keys(rawValue: (1 << 11) - 1)
        static let ofContent: Keys = [.content, .stored, .new]
        static let ofUnitOnly = Keys(rawValue: (1 << 15) - 2).union(ofContent).union(
            .contentProblems)

        /// The names of the required keys, by bit.
        static let names = [
            "type", "path", "mode", "uid", "gid", "size", "mtime_ns", "ctime_ns", "inode",
            "device", "links",
        ]
    }

    var cursor: LineCursor
    var seen: Keys = []
    var isStats = false
    var unit = Unit(path: [], metadata: FileMetadata(kind: .file))
    var content = ContentResult(ids: [])
    var overlay = Overlay(seq: 0)
    var stats = Stats()

    init(_ cursor: LineCursor) {
        self.cursor = cursor
    }

    mutating func line() throws(Failure) -> ListLine {
        // The encoder's own order and spelling first; from the first difference on key by key.
        if try !fastFields() {
            try cursor.expect(UInt8(ascii: "{"))
            if !cursor.take(UInt8(ascii: "}")) { try slowFields() }
        } else if !cursor.match("}") {
            try cursor.expect(UInt8(ascii: ","))
            try slowFields()
        }
        cursor.skipSpace()
        guard cursor.isAtEnd else { throw cursor.failure("something after the unit") }
        return try result()
    }

    /// Reads the fields that stand where the encoder puts them; false when nothing was read.
    private mutating func fastFields() throws(Failure) -> Bool {
        guard cursor.match("{\"type\":\"") else { return try fastOverlay() }
        if cursor.match("file\"") {
            unit.metadata.kind = .file
        } else if cursor.match("directory\"") {
            unit.metadata.kind = .directory
        } else if cursor.match("symlink\"") {
            unit.metadata.kind = .symlink
        } else {
            try otherType()
        }
        seen = .type
        guard cursor.match(",\"path\":") else { return true }
        unit.path = try path { (cursor) throws(Failure) in try cursor.string() }
        seen.insert(.path)
        guard cursor.match(",\"mode\":") else { return true }
        unit.metadata.permissions = UInt32(try cursor.unsigned(0o7777))
        seen.insert(.mode)
        guard cursor.match(",\"uid\":") else { return true }
        unit.metadata.uid = try unsigned32()
        seen.insert(.uid)
        guard cursor.match(",\"gid\":") else { return true }
        unit.metadata.gid = try unsigned32()
        seen.insert(.gid)
        guard cursor.match(",\"size\":") else { return true }
        unit.metadata.size = try cursor.unsigned()
        seen.insert(.size)
        guard cursor.match(",\"mtime_ns\":") else { return true }
        unit.metadata.mtime = try cursor.time()
        seen.insert(.mtime)
        guard cursor.match(",\"ctime_ns\":") else { return true }
        unit.metadata.ctime = try cursor.time()
        seen.insert(.ctime)
        guard cursor.match(",\"inode\":") else { return true }
        unit.metadata.inode = try cursor.unsigned()
        seen.insert(.inode)
        guard cursor.match(",\"device\":") else { return true }
        unit.metadata.device = try cursor.unsigned()
        seen.insert(.device)
        guard cursor.match(",\"links\":") else { return true }
        unit.metadata.links = try unsigned32()
        seen.insert(.links)
        try fastResults()
        return true
    }

    private mutating func fastOverlay() throws(Failure) -> Bool {
        guard cursor.match("{\"seq\":") else { return false }
        overlay.seq = try cursor.unsigned()
        seen = .seq
        if cursor.match(",\"count\":") { try count() }
        try fastResults()
        return true
    }

    private mutating func fastResults() throws(Failure) {
        if cursor.match(",\"check\":") {
            unit.check = try cursor.check()
            seen.insert(.check)
        }
        guard cursor.match(",\"content\":") else { return }
        try contentIDs()
        guard cursor.match(",\"stored_bytes\":") else { return }
        content.storedBytes = try cursor.unsigned()
        seen.insert(.stored)
        guard cursor.match(",\"new_bytes\":") else { return }
        content.newBytes = try cursor.unsigned()
        seen.insert(.new)
    }

    private mutating func slowFields() throws(Failure) {
        repeat {
            cursor.skipSpace()
            let start = cursor.at
            let key = try cursor.text()
            try cursor.expect(UInt8(ascii: ":"))
            cursor.skipSpace()
            try field(key, start)
        } while cursor.take(UInt8(ascii: ","))
        try cursor.expect(UInt8(ascii: "}"))
    }

    private mutating func field(_ key: String, _ start: Int) throws(Failure) {
        guard let bit = LineDecoder.keys[key] else { return try cursor.skipValue(depth: 0) }
        guard !seen.contains(bit) else { throw cursor.failure("a second \(key)", at: start) }
        switch key {
        case "type":
            try cursor.expect(UInt8(ascii: "\""))
            try otherType()
        case "path": unit.path = try path { (cursor) throws(Failure) in try cursor.string() }
        case "path_b64": unit.path = try path { (cursor) throws(Failure) in try cursor.base64() }
        case "mode": unit.metadata.permissions = UInt32(try cursor.unsigned(0o7777))
        case "uid": unit.metadata.uid = try unsigned32()
        case "gid": unit.metadata.gid = try unsigned32()
        case "size": unit.metadata.size = try cursor.unsigned()
        case "mtime_ns": unit.metadata.mtime = try cursor.time()
        case "ctime_ns": unit.metadata.ctime = try cursor.time()
        case "inode": unit.metadata.inode = try cursor.unsigned()
        case "device": unit.metadata.device = try cursor.unsigned()
        case "links": unit.metadata.links = try unsigned32()
        case "rdev": unit.metadata.rdev = try cursor.unsigned()
        case "target": unit.target = try cursor.string()
        case "target_b64": unit.target = try cursor.base64()
        case "xattrs": unit.xattrs = try cursor.xattrs()
        case "error": unit.error = try cursor.unitError()
        case "check": unit.check = try cursor.check()
        case "repair": unit.repair = try cursor.repair()
        case "content": try contentIDs()
        case "stored_bytes": content.storedBytes = try cursor.unsigned()
        case "new_bytes": content.newBytes = try cursor.unsigned()
        case "content_problems": content.problems = try cursor.texts()
        case "stats": stats = try cursor.stats()
        case "seq": overlay.seq = try cursor.unsigned()
        default: try count()
        }
        seen.insert(bit)
    }

    private static let keys: [String: Keys] = [
        "type": .type, "path": .path, "path_b64": .path, "mode": .mode, "uid": .uid,
        "gid": .gid, "size": .size, "mtime_ns": .mtime, "ctime_ns": .ctime, "inode": .inode,
        "device": .device, "links": .links, "rdev": .rdev, "target": .target,
        "target_b64": .target, "xattrs": .xattrs, "error": .error, "check": .check,
        "repair": .repair, "content": .content, "stored_bytes": .stored, "new_bytes": .new,
        "content_problems": .contentProblems, "stats": .stats, "seq": .seq, "count": .count,
    ]

    /// Reads the rest of a type's word after its opening quote.
    private mutating func otherType() throws(Failure) {
        if cursor.match("stats\"") {
            isStats = true
            return
        }
        for kind in FileKind.allCases where cursor.matchWord(kind.rawValue) {
            unit.metadata.kind = kind
            return
        }
        let start = cursor.at
        try cursor.skipWord()
        throw cursor.failure("unknown type", at: start)
    }

    private mutating func unsigned32() throws(Failure) -> UInt32 {
        UInt32(truncatingIfNeeded: try cursor.unsigned(UInt64(UInt32.max)))
    }

    private mutating func count() throws(Failure) {
        let start = cursor.at
        overlay.count = try cursor.unsigned()
        guard overlay.count > 0 else { throw cursor.failure("a count of 0", at: start) }
        // The sum must be a sequence number too.
        seen.insert(.count)
    }

    private mutating func contentIDs() throws(Failure) {
        var ids: [Digest] = []
        try cursor.array { (cursor) throws(Failure) in
            ids.append(try cursor.digest())
        }
        content.ids = ids
        seen.insert(.content)
    }

    /// A path as a walk makes it.
    ///
    /// Anything else could lead outside of the module.
    @inline(__always) private mutating func path(
        _ read: (inout LineCursor) throws(Failure) -> [UInt8]
    ) throws(Failure) -> [UInt8] {
        let start = cursor.at
        let path = try read(&cursor)
        guard isRelativePath(path.span) else {
            throw cursor.failure("not a relative path", at: start)
        }
        return path
    }

    private mutating func result() throws(Failure) -> ListLine {
        if isStats || seen.contains(.stats) {
            guard isStats, seen == [.type, .stats] else {
                throw Failure(.usage, "a stats unit has a type, its stats and nothing else")
            }
            return .stats(stats)
        }
        if seen.contains(.seq), seen.isDisjoint(with: Keys.ofUnitOnly.union(.type)) {
            guard overlay.seq <= .max - overlay.count else {
                throw Failure(.usage, "a sequence number is out of range")
            }
            overlay.check = unit.check
            overlay.repair = unit.repair
            return .overlay(overlay)
        }
        guard seen.isSuperset(of: .required) else {
            let missing = Keys.required.subtracting(seen).rawValue.trailingZeroBitCount
            throw Failure(.usage, "a unit without \"\(Keys.names[missing])\"")
        }
        guard seen.isDisjoint(with: [.seq, .count]) else {
            throw Failure(.usage, "a unit has no sequence number of its own")
        }
        if !seen.isDisjoint(with: Keys.ofContent.union(.contentProblems)) {
            guard seen.isSuperset(of: Keys.ofContent) else {
                throw Failure(
                    .usage, "a unit with some of \"content\", \"stored_bytes\", \"new_bytes\"")
            }
            unit.content = content
        }
        // Says nothing of what is no device, and is not written for it.
        if ![.chardev, .blockdev].contains(unit.metadata.kind) { unit.metadata.rdev = 0 }
        return .unit(unit)
    }
}

/// Whether every component is a name: not empty, not `.` or `..`, without NUL.
///
/// Empty is the root.
private func isRelativePath(_ path: Span<UInt8>) -> Bool {
    let count = path.count
    if count == 0 { return true }
    var start = 0
    for i in 0..<count {
        let byte = path[i]
        if byte == 0 { return false }
        guard byte == UInt8(ascii: "/") else { continue }
        if !isName(path, start, i) { return false }
        start = i + 1
    }
    return isName(path, start, count)
}

@inline(__always) private func isName(_ path: Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
    let dot = UInt8(ascii: ".")
    switch end - start {
    case 0: return false
    case 1: return path[start] != dot
    case 2: return path[start] != dot || path[start + 1] != dot
    default: return true
    }
}
