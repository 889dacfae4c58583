package import Platform

/// Conversions between st_mode and Go's os.FileMode, which trees keep.
package enum GoFileMode {
    private static let setuid: UInt32 = 1 << 23
    private static let setgid: UInt32 = 1 << 22
    private static let sticky: UInt32 = 1 << 20

    /// The os.FileMode of a file of `kind` with `permissions` (mode & 0o7777).
    package static func encode(_ kind: FileKind, permissions: UInt32) -> UInt32 {
        var mode = permissions & 0o777 | typeBits(kind)
        if permissions & 0o4000 != 0 { mode |= setuid }
        if permissions & 0o2000 != 0 { mode |= setgid }
        if permissions & 0o1000 != 0 { mode |= sticky }
        return mode
    }

    /// The permission bits (mode & 0o7777) of an os.FileMode; its type bits repeat the node's type.
    package static func permissions(_ mode: UInt32) -> UInt32 {
        var permissions = mode & 0o777
        if mode & setuid != 0 { permissions |= 0o4000 }
        if mode & setgid != 0 { permissions |= 0o2000 }
        if mode & sticky != 0 { permissions |= 0o1000 }
        return permissions
    }

    private static func typeBits(_ kind: FileKind) -> UInt32 {
        switch kind {
        case .file: 0
        case .directory: 1 << 31
        case .symlink: 1 << 27
        case .blockdev: 1 << 26
        case .chardev: 1 << 26 | 1 << 21
        case .fifo: 1 << 25
        case .socket: 1 << 24
        }
    }
}
