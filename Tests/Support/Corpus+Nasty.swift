internal import Platform

extension Corpus {
    /// Makes names and kinds of files that break things, each of which has broken something.
    ///
    /// Devices are made as root only. A maker called twice on one folder leaves what is there.
    package func nasty(_ path: String) throws {
        try AtomicFile.makeDirectories(path, mode: 0o755)
        let root = try Descriptor.open(path, [.readOnly, .directory])
        for (i, name) in Corpus.nastyNames.enumerated() {
            let content = (0..<(i % 3)).flatMap { _ in name }
            try file(name, content, in: root)
        }
        // `a/b` sorts before `a-b` and `a.b` by components, after them by bytes.
        try file(Array("b".utf8), Array("inside a".utf8), in: folder("a", in: root))
        _ = try folder("empty-dir", in: root)
        try kinds(in: root)
        try modes(in: root)
        try times(in: root)
        try attributes(path)
    }

    /// The names of plain files in `nasty`.
    package static let nastyNames: [[UInt8]] = {
        let texts = [
            "plain", "a-b", "a0", "a.b", "sp ace", "tab\t", "new\nline", "quote\"", "back\\slash",
            "<&>", "ctl\u{01}\u{7f}", "snow\u{2603}", "ls\u{2028}ps\u{2029}", "nfc\u{e9}",
            "nfde\u{301}", "\u{1f600}", "tag\u{e0001}", "rtl\u{202e}", "bom\u{feff}", "shy\u{ad}",
            "repl\u{fffd}", "pua\u{e000}", "nbsp\u{a0}", "bell\u{07}\u{08}\u{0b}\u{0c}\r", "-rf",
            "~",
            "$HOME", "*", ".hidden", "con", "...", "%s%n", "\\x41", "\\u0041",
            String(repeating: "x", count: 255),
        ]
        let raw: [[UInt8]] = [
            Array("latin".utf8) + [0xe9], Array("half".utf8) + [0xc3], [0xff, 0xfe],
            // A surrogate and an overlong form, both of which UTF-8 forbids.
            [0xed, 0xa0, 0x80], [0xc0, 0xaf],
        ]
        return texts.map { Array($0.utf8) } + raw
    }()

    private func kinds(in root: borrowing Descriptor) throws(SystemError) {
        try file(Array("hard1".utf8), Array("linked".utf8), in: root)
        if !has("hard2", in: root) {
            try root.link(Array("hard1".utf8), to: Array("hard2".utf8), in: root)
        }
        let links: [(String, [UInt8])] = [
            ("link-ok", Array("plain".utf8)), ("link-broken", Array("no/such".utf8)),
            ("link-abs", Array("/etc/passwd".utf8)), ("link-up", Array("../../..".utf8)),
            ("link-raw", Array("raw".utf8) + [0xff]), ("link-loop", Array("link-loop".utf8)),
            ("link-long", [UInt8](repeating: 0x79, count: 4000)),
        ]
        for (name, target) in links where !has(name, in: root) {
            try root.makeSymlink(Array(name.utf8), to: target)
        }
        try node("fifo", .fifo, in: root)
        try node("sock", .socket, in: root)
        if isRoot {
            // The numbers of /dev/null and of a loop device: never opened, only listed.
            try node("chardev", .chardev, rdev: 1 << 8 | 3, in: root)
            try node("blockdev", .blockdev, rdev: 7 << 8 | 77, in: root)
        }
        let sparse = try create("sparse", in: root)
        try sparse.write(Array("end".utf8).span, at: 64 << 20)
        let hole = try create("all-hole", in: root)
        try hole.truncate(to: 3 << 20)
    }

    private func modes(in root: borrowing Descriptor) throws {
        for (name, mode) in [("suid", 0o4755), ("sgid", 0o2755), ("none", 0o000)]
            as [(String, UInt32)]
        {
            let bytes = Array(name.utf8)
            try file(bytes, bytes, in: root)
            try root.setPermissions(bytes, mode)
        }
        _ = try folder("sticky", in: root)
        try root.setPermissions(Array("sticky".utf8), 0o1777)
        try file(Array("in".utf8), [1, 2, 3], in: folder("sgid-dir", in: root))
        try root.setPermissions(Array("sgid-dir".utf8), 0o2750)
        if isRoot {
            try root.setOwner(Array("sgid".utf8), uid: 12_345, gid: 54_321)
            // A change of owner clears the bit.
            try root.setPermissions(Array("sgid".utf8), 0o2755)
            try root.setOwner(Array("link-ok".utf8), uid: 12_345, gid: 54_321)
        }
    }

    private func times(in root: borrowing Descriptor) throws(SystemError) {
        let times: [(String, Int64)] = [
            ("t1901", -2_147_483_648), ("t1969", -1), ("t2039", 2_147_483_653),
            ("t2100ns", 4_102_444_800),
        ]
        for (name, seconds) in times {
            let bytes = Array(name.utf8)
            try file(bytes, bytes, in: root)
            try root.setModified(bytes, Timestamp(seconds: seconds, nanoseconds: 123_456_789))
        }
        try root.setModified(
            Array("link-broken".utf8), Timestamp(seconds: 1_000_000_000, nanoseconds: 1))
        try root.setModified(
            Array("empty-dir".utf8), Timestamp(seconds: 1_234_567_890, nanoseconds: 987_654_321))
    }

    /// Setting an attribute leaves the time of modification alone.
    private func attributes(_ path: String) throws(SystemError) {
        let attribute = ExtendedAttribute(
            name: Array("user.note".utf8), value: [0] + Array("bin".utf8) + [0xff])
        for name in ["plain", "empty-dir"] {
            do throws(SystemError) {
                try ExtendedAttributes.set(path: Array("\(path)/\(name)".utf8), attribute)
            } catch {
                guard error.code == Errno.notSupported else { throw error }
                notice("no extended attributes on the file system of \(path)")
            }
        }
    }

    private func file(
        _ name: [UInt8], _ content: [UInt8], in directory: borrowing Descriptor
    ) throws(SystemError) {
        let file = try directory.open(name, [.writeOnly, .create, .truncate], mode: 0o644)
        try file.write(content.span)
    }

    private func folder(
        _ name: String, in directory: borrowing Descriptor
    ) throws(SystemError) -> Descriptor {
        if !has(name, in: directory) {
            try directory.makeDirectory(Array(name.utf8), mode: 0o755)
        }
        return try directory.open(Array(name.utf8), [.readOnly, .directory, .noFollow], mode: 0)
    }

    private func node(
        _ name: String, _ kind: FileKind, rdev: UInt64 = 0, in root: borrowing Descriptor
    ) throws(SystemError) {
        guard !has(name, in: root) else { return }
        try root.makeNode(Array(name.utf8), kind, permissions: 0o644, rdev: rdev)
    }
}

private func has(_ name: String, in directory: borrowing Descriptor) -> Bool {
    (try? directory.metadata(of: Array(name.utf8))) != nil
}
