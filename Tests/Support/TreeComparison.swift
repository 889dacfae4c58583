internal import Foundation
package import Platform

/// Compares two directories: content, kinds, modes, owners, times, targets, attributes, links.
package struct TreeComparison {
    /// What is compared beside names, kinds and content.
    package struct Options: Sendable {
        package var owners = isRoot
        package var modificationTimes = true
        /// The time of the root directory itself, which whoever fills it changes.
        package var rootTime = true
        package var attributes = true
        package var sockets = true
        /// Whether a hole in the first must be one in the second: blocks are compared within 1 MiB.
        package var holes = true

        package init() {}
    }

    private let options: Options
    private var differences: [String] = []
    private var groups: [HardLink: HardLink] = [:]

    /// The differences, one line each with the path; empty when the two are the same.
    ///
    /// At most `limit` are given. Directories may be of any depth.
    package static func differences(
        _ first: String, _ second: String, options: Options = Options(), limit: Int = 50
    ) throws -> [String] {
        var comparison = TreeComparison(options)
        let a = try Descriptor.open(first, [.readOnly, .directory])
        let b = try Descriptor.open(second, [.readOnly, .directory])
        comparison.metadata(try a.metadata(), try b.metadata(), "", isRoot: true)
        try comparison.attributes(a, Array(".".utf8), b, "")
        try comparison.walk(consume a, consume b, limit)
        return Array(comparison.differences.prefix(limit))
    }

    private init(_ options: Options) { self.options = options }

    /// Both sides go down by name and up by `..`, so that no depth runs out of descriptors.
    private mutating func walk(
        _ first: consuming Descriptor, _ second: consuming Descriptor, _ limit: Int
    ) throws {
        var a = first
        var b = second
        var path: [[UInt8]] = []
        var levels = [try compare(a, b, path)]
        while let level = levels.indices.last, differences.count < limit {
            if let name = levels[level].popLast() {
                a = try a.open(name, [.readOnly, .directory, .noFollow], mode: 0)
                b = try b.open(name, [.readOnly, .directory, .noFollow], mode: 0)
                path.append(name)
                levels.append(try compare(a, b, path))
            } else {
                levels.removeLast()
                guard path.popLast() != nil else { return }
                a = try a.open(Array("..".utf8), [.readOnly, .directory], mode: 0)
                b = try b.open(Array("..".utf8), [.readOnly, .directory], mode: 0)
            }
        }
    }

    /// Compares the entries of two directories; returns the directories that both have.
    private mutating func compare(
        _ a: borrowing Descriptor, _ b: borrowing Descriptor, _ path: [[UInt8]]
    ) throws -> [[UInt8]] {
        let namesA = try names(a)
        let namesB = try names(b)
        let setB = Set(namesB)
        let setA = Set(namesA)
        for name in namesB where !setA.contains(name) {
            differences.append("only in the second: \(text(path + [name]))")
        }
        var folders: [[UInt8]] = []
        for name in namesA {
            let shown = text(path + [name])
            let left = try a.metadata(of: name)
            if left.kind == .socket && !options.sockets { continue }
            guard setB.contains(name) else {
                differences.append("only in the first: \(shown)")
                continue
            }
            let right = try b.metadata(of: name)
            metadata(left, right, shown)
            guard left.kind == right.kind else { continue }
            hardLinks(left, right, shown)
            try attributes(a, name, b, shown)
            switch left.kind {
            case .directory: folders.append(name)
            case .symlink:
                if try a.readLink(name) != b.readLink(name) {
                    differences.append("target: \(shown)")
                }
            case .file:
                if left.size == right.size {
                    try content(a, b, name, left, shown)
                }
            default: break
            }
        }
        return folders.reversed()
    }

    private mutating func metadata(
        _ a: FileMetadata, _ b: FileMetadata, _ path: String, isRoot: Bool = false
    ) {
        func note(_ what: String, _ x: Any, _ y: Any) {
            differences.append("\(what): \(path): \(x) against \(y)")
        }
        if a.kind != b.kind { return note("kind", a.kind, b.kind) }
        if a.permissions != b.permissions {
            note("mode", String(a.permissions, radix: 8), String(b.permissions, radix: 8))
        }
        if a.size != b.size { note("size", a.size, b.size) }
        if a.rdev != b.rdev { note("device", a.rdev, b.rdev) }
        if options.owners && (a.uid, a.gid) != (b.uid, b.gid) {
            note("owner", "\(a.uid):\(a.gid)", "\(b.uid):\(b.gid)")
        }
        if options.modificationTimes && (!isRoot || options.rootTime) && a.mtime != b.mtime {
            note("mtime", a.mtime.nanosecondsSinceEpoch, b.mtime.nanosecondsSinceEpoch)
        }
    }

    /// The names of one inode on one side must be names of one inode on the other.
    private mutating func hardLinks(_ a: FileMetadata, _ b: FileMetadata, _ path: String) {
        guard a.kind != .directory else { return }
        if a.links != b.links {
            differences.append("links: \(path): \(a.links) against \(b.links)")
        }
        guard a.links > 1 else { return }
        let key = HardLink(side: 0, a)
        let other = HardLink(side: 1, b)
        if let known = groups[key], known != other {
            differences.append("hard link to another file: \(path)")
        }
        if let known = groups[other], known != key {
            differences.append("hard link that is none in the first: \(path)")
        }
        groups[key] = other
        groups[other] = key
    }

    private mutating func attributes(
        _ a: borrowing Descriptor, _ name: [UInt8], _ b: borrowing Descriptor, _ path: String
    ) throws {
        guard options.attributes else { return }
        // Through /proc a path of one component reaches any depth.
        let left = try ExtendedAttributes.read(path: Array("/proc/self/fd/\(a.raw)/".utf8) + name)
        let right = try ExtendedAttributes.read(path: Array("/proc/self/fd/\(b.raw)/".utf8) + name)
        if left != right { differences.append("extended attributes: \(path)") }
    }

    private mutating func content(
        _ a: borrowing Descriptor, _ b: borrowing Descriptor, _ name: [UInt8],
        _ metadata: FileMetadata, _ path: String
    ) throws {
        guard metadata.size > 0 else { return }
        let left = try a.open(name, [.readOnly, .noFollow], mode: 0)
        let right = try b.open(name, [.readOnly, .noFollow], mode: 0)
        var at: UInt64 = 0
        while true {
            // Two holes need not be read; where one side has data both are.
            switch (left.nextData(from: at), right.nextData(from: at)) {
            case (nil, nil): return
            case (let x?, nil): at = x
            case (nil, let y?): at = y
            case (let x?, let y?): at = min(x, y)
            }
            if options.holes, let x = left.nextData(from: at), let y = right.nextData(from: at),
                y + 1 << 20 < x
            {
                differences.append("hole filled with data: \(path) at \(y)")
                return
            }
            var x: [UInt8] = []
            var y: [UInt8] = []
            try left.seek(to: at)
            try right.seek(to: at)
            let read = try left.read(appending: &x, upTo: 1 << 18)
            _ = try right.read(appending: &y, upTo: 1 << 18)
            guard x == y else {
                let offset = zip(x, y).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
                differences.append("content: \(path) at byte \(at + UInt64(offset))")
                return
            }
            if read == 0 { return }
            at += UInt64(read)
        }
    }

    private func names(_ directory: borrowing Descriptor) throws(SystemError) -> [[UInt8]] {
        var names: [[UInt8]] = []
        try directory.readDirectory { name, _ in
            names.append(name.withUnsafeBufferPointer { Array($0) })
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    private func text(_ path: [[UInt8]]) -> String {
        path.count > 40
            ? "…\(path.count) levels/\(printable(path.last ?? []))"
            : path.map(printable).joined(separator: "/")
    }
}

private struct HardLink: Hashable {
    var side: Int
    var inode: UInt64
    var device: UInt64

    init(side: Int, _ metadata: FileMetadata) {
        self.side = side
        inode = metadata.inode
        device = metadata.device
    }
}

extension Descriptor {
    /// Where data begins at or after `offset` (SEEK_DATA of lseek(2)); nil when only a hole is left.
    package func nextData(from offset: UInt64) -> UInt64? {
        let at = lseek(raw, off_t(offset), 3)
        return at < 0 ? nil : UInt64(at)
    }
}
