internal import CLinux
internal import Glibc

/// A point in time as the file system keeps it: seconds since the epoch (before 1970: negative)
/// and nanoseconds 0..<1,000,000,000 after that second.
package struct Timestamp: Sendable, Hashable, Comparable {
    package var seconds: Int64
    package var nanoseconds: UInt32

    package init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// The time from nanoseconds since the epoch.
    package init(nanosecondsSinceEpoch ns: Int128) {
        let (quotient, remainder) = ns.quotientAndRemainder(dividingBy: 1_000_000_000)
        seconds = Int64(remainder < 0 ? quotient - 1 : quotient)
        nanoseconds = UInt32(remainder < 0 ? remainder + 1_000_000_000 : remainder)
    }

    /// Nanoseconds since the epoch; wider than 64 bits because file systems keep years past 2262.
    package var nanosecondsSinceEpoch: Int128 {
        Int128(seconds) * 1_000_000_000 + Int128(nanoseconds)
    }

    package static func < (a: Timestamp, b: Timestamp) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }
}

/// The kind of a file, from the S_IFMT bits of its mode.
///
/// Raw values are the unit format's words.
package enum FileKind: String, Sendable, Hashable, CaseIterable {
    case file, directory, symlink, fifo, socket, chardev, blockdev

    /// The kind that the S_IFMT bits of `mode` name; nil for an unknown one.
    package init?(mode: UInt32) {
        switch mode & 0o170000 {
        case 0o100000: self = .file
        case 0o040000: self = .directory
        case 0o120000: self = .symlink
        case 0o010000: self = .fifo
        case 0o140000: self = .socket
        case 0o020000: self = .chardev
        case 0o060000: self = .blockdev
        default: return nil
        }
    }

    /// The S_IFMT bits.
    package var modeBits: UInt32 {
        switch self {
        case .file: 0o100000
        case .directory: 0o040000
        case .symlink: 0o120000
        case .fifo: 0o010000
        case .socket: 0o140000
        case .chardev: 0o020000
        case .blockdev: 0o060000
        }
    }
}

/// What statx says of one file.
package struct FileMetadata: Sendable, Hashable {
    package var kind: FileKind
    /// The permission bits with setuid, setgid and sticky: mode & 0o7777.
    package var permissions: UInt32
    package var uid: UInt32
    package var gid: UInt32
    /// Bytes; 0 for what is neither a file nor a symlink.
    package var size: UInt64
    package var mtime: Timestamp
    package var ctime: Timestamp
    package var inode: UInt64
    package var device: UInt64
    /// The device that a chardev or blockdev stands for, as dev_t.
    package var rdev: UInt64
    package var links: UInt32

    /// Metadata from its parts, for formats that read it back.
    package init(
        kind: FileKind, permissions: UInt32 = 0, uid: UInt32 = 0, gid: UInt32 = 0,
        size: UInt64 = 0, mtime: Timestamp = Timestamp(seconds: 0),
        ctime: Timestamp = Timestamp(seconds: 0), inode: UInt64 = 0, device: UInt64 = 0,
        rdev: UInt64 = 0, links: UInt32 = 0
    ) {
        self.kind = kind
        self.permissions = permissions
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime = mtime
        self.ctime = ctime
        self.inode = inode
        self.device = device
        self.rdev = rdev
        self.links = links
    }

    init(_ s: cl_stat, kind: FileKind) {
        self.kind = kind
        permissions = s.mode & 0o7777
        uid = s.uid
        gid = s.gid
        size = kind == .file || kind == .symlink ? s.size : 0
        mtime = Timestamp(seconds: s.mtime_s, nanoseconds: s.mtime_ns)
        ctime = Timestamp(seconds: s.ctime_s, nanoseconds: s.ctime_ns)
        inode = s.inode
        device = s.device
        rdev = kind == .chardev || kind == .blockdev ? s.rdev : 0
        links = s.links
    }
}
