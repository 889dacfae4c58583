internal import CLinux
internal import Glibc

/// Calls on an open directory. None follows a symlink in the last component.
extension Descriptor {
    /// The names of all entries but `.` and `..`, in the directory's own order.
    package func names() throws(SystemError) -> [[UInt8]] {
        var names: [[UInt8]] = []
        try readDirectory { bytes, _ in
            var copy: [UInt8] = []
            copy.append(copying: bytes)
            names.append(copy)
        }
        return names
    }

    /// Calls `each` for every entry but `.` and `..`, in the directory's own order, with the name
    /// and the kind where the file system tells it (DT_UNKNOWN gives nil).
    package func readDirectory(
        _ each: (_ name: Span<UInt8>, _ kind: FileKind?) -> Void
    ) throws(SystemError) {
        let size = 64 << 10
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        defer { unsafe buffer.deallocate() }
        while true {
            let n = unsafe cl_getdents64(raw, buffer, size)
            if n == 0 { return }
            guard n > 0 else {
                let code = errno
                if code == EINTR { continue }
                throw SystemError(code, "getdents64")
            }
            var offset = 0
            while offset < n {
                let entry = unsafe cl_dirent_at(buffer, offset)
                offset += unsafe Int(entry.record_length)
                guard let name = unsafe entry.name else { continue }
                let length = unsafe strlen(name)
                if unsafe name[0] == 0x2E,
                    unsafe length == 1 || (length == 2 && name[1] == 0x2E)
                {
                    continue
                }
                unsafe name.withMemoryRebound(to: UInt8.self, capacity: length) {
                    let span = unsafe Span(_unsafeStart: $0, count: length)
                    unsafe each(span, FileKind(mode: UInt32(entry.type) << 12))
                }
            }
        }
    }

    /// The target of the symlink `name`.
    package func readLink(_ name: [UInt8]) throws(SystemError) -> [UInt8] {
        var size = 256
        while true {
            var target = [UInt8](repeating: 0, count: size)
            let (n, code) = withCString(name) { pointer -> (Int, Int32) in
                unsafe target.withUnsafeMutableBytes { bytes in
                    let n = unsafe readlinkat(
                        raw, pointer,
                        bytes.assumingMemoryBound(to: CChar.self).baseAddress.unsafelyUnwrapped,
                        bytes.count)
                    return (n, n < 0 ? errno : 0)
                }
            }
            guard n >= 0 else { throw SystemError(code, "readlinkat", printable(name)) }
            if n < size { return Array(target[..<n]) }
            size *= 2
        }
    }

    /// Creates the directory `name`.
    package func makeDirectory(_ name: [UInt8], mode: UInt32 = 0o700) throws(SystemError) {
        try call("mkdirat", name) { pointer in unsafe mkdirat(raw, pointer, mode) }
    }

    /// Creates the symlink `name` that points to `target`.
    package func makeSymlink(_ name: [UInt8], to target: [UInt8]) throws(SystemError) {
        try call("symlinkat", name) { pointer in
            withCString(target) { unsafe symlinkat($0, raw, pointer) }
        }
    }

    /// Creates the fifo, socket or device `name`; `rdev` counts for devices only.
    package func makeNode(
        _ name: [UInt8], _ kind: FileKind, permissions: UInt32, rdev: UInt64
    ) throws(SystemError) {
        try call("mknodat", name) { pointer in
            unsafe mknodat(raw, pointer, kind.modeBits | permissions, dev_t(rdev))
        }
    }

    /// Gives the file `old` of this directory the further name `new` in `other`.
    package func link(
        _ old: [UInt8], to new: [UInt8], in other: borrowing Descriptor
    ) throws(SystemError) {
        let target = other.raw
        try call("linkat", new) { pointer in
            withCString(old) { unsafe linkat(raw, $0, target, pointer, 0) }
        }
    }

    /// Renames `old` of this directory to `new` in `other`, replacing what is there.
    package func rename(
        _ old: [UInt8], to new: [UInt8], in other: borrowing Descriptor
    ) throws(SystemError) {
        let target = other.raw
        try call("renameat", new) { pointer in
            withCString(old) { unsafe renameat(raw, $0, target, pointer) }
        }
    }

    /// Renames `old` to `new` in this directory, unless something has that name: then it throws
    /// EEXIST.
    ///
    /// Where the file system cannot do it at once the file has both names for a moment.
    package func renameExclusively(
        _ old: [UInt8], to new: [UInt8]
    ) throws(SystemError) {
        do throws(SystemError) {
            try call("renameat2", new) { pointer in
                withCString(old) { unsafe cl_rename_exclusively(raw, $0, pointer) }
            }
        } catch {
            guard [EINVAL, ENOSYS, EOPNOTSUPP].contains(error.code) else { throw error }
            try link(old, to: new, in: self)
            try unlink(old)
        }
    }

    /// Removes the file `name`.
    package func unlink(_ name: [UInt8]) throws(SystemError) {
        try call("unlinkat", name) { pointer in unsafe unlinkat(raw, pointer, 0) }
    }

    /// Removes the empty directory `name`.
    package func removeDirectory(_ name: [UInt8]) throws(SystemError) {
        try call("unlinkat", name) { pointer in unsafe unlinkat(raw, pointer, AT_REMOVEDIR) }
    }

    /// Sets the permission bits of `name`; a symlink is not followed, but an error (ENOTSUP).
    package func setPermissions(_ name: [UInt8], _ permissions: UInt32) throws(SystemError) {
        try call("fchmodat", name) { pointer in
            unsafe fchmodat(raw, pointer, permissions, AT_SYMLINK_NOFOLLOW)
        }
    }

    /// Sets the owner and group of `name`; of a symlink itself, not of its target.
    package func setOwner(_ name: [UInt8], uid: UInt32, gid: UInt32) throws(SystemError) {
        try call("fchownat", name) { pointer in
            unsafe fchownat(raw, pointer, uid, gid, AT_SYMLINK_NOFOLLOW)
        }
    }

    /// Sets the modification time (and the access time to the same) of `name`; of a symlink itself.
    package func setModified(_ name: [UInt8], _ time: Timestamp) throws(SystemError) {
        try call("utimensat", name) { pointer in
            unsafe cl_set_mtime(
                raw, pointer, time.seconds, time.nanoseconds, AT_SYMLINK_NOFOLLOW)
        }
    }

    @safe private func call(
        _ what: String, _ name: [UInt8], _ body: (UnsafePointer<CChar>) -> Int32
    ) throws(SystemError) {
        while true {
            let code = withCString(name) { unsafe body($0) == 0 ? 0 : errno }
            if code == 0 { return }
            guard code == EINTR else { throw SystemError(code, what, printable(name)) }
        }
    }
}

/// Calls on the open file itself.
extension Descriptor {
    /// Sets the permission bits of the open file.
    package func setPermissions(_ permissions: UInt32) throws(SystemError) {
        guard fchmod(raw, permissions) == 0 else { throw SystemError(errno, "fchmod") }
    }

    /// Sets the owner and group of the open file.
    package func setOwner(uid: UInt32, gid: UInt32) throws(SystemError) {
        guard fchown(raw, uid, gid) == 0 else { throw SystemError(errno, "fchown") }
    }

    /// Sets the modification time (and the access time to the same) of the open file.
    package func setModified(_ time: Timestamp) throws(SystemError) {
        let both = timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
        let code = unsafe withUnsafePointer(to: (both, both)) { pair in
            unsafe pair.withMemoryRebound(to: timespec.self, capacity: 2) { times in
                unsafe futimens(raw, times) == 0 ? 0 : errno
            }
        }
        guard code == 0 else { throw SystemError(code, "futimens") }
    }
}
