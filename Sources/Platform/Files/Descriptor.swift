internal import CLinux
internal import Glibc

/// An open file descriptor, owned: it is closed when the value goes away.
///
/// Every call retries EINTR and captures errno on the line of the call. Names are byte strings
/// without a terminator; a name with a NUL byte is refused with EINVAL.
package struct Descriptor: ~Copyable, Sendable {
    /// The number of the descriptor, for calls that this type does not wrap.
    package let raw: Int32

    /// Takes ownership of an open descriptor.
    package init(owning raw: Int32) {
        self.raw = raw
    }

    deinit {
        _ = Glibc.close(raw)
    }

    /// Closes the descriptor and reports what close reports (EIO and ENOSPC of late writes).
    package consuming func close() throws(SystemError) {
        let fd = raw
        discard self
        guard Glibc.close(fd) == 0 else {
            let code = errno
            // Linux has freed the descriptor on EINTR too: closing again could close another's.
            guard code == EINTR else { throw SystemError(code, "close") }
            return
        }
    }

    /// Flags of `open`, as in open(2).
    package struct Flags: OptionSet, Sendable {
        package let rawValue: Int32
        package init(rawValue: Int32) { self.rawValue = rawValue }
        package static let readOnly = Flags(rawValue: O_RDONLY)
        package static let writeOnly = Flags(rawValue: O_WRONLY)
        package static let readWrite = Flags(rawValue: O_RDWR)
        package static let create = Flags(rawValue: O_CREAT)
        package static let exclusive = Flags(rawValue: O_EXCL)
        package static let truncate = Flags(rawValue: O_TRUNC)
        package static let append = Flags(rawValue: O_APPEND)
        package static let directory = Flags(rawValue: O_DIRECTORY)
        package static let noFollow = Flags(rawValue: O_NOFOLLOW)
        package static let noBlock = Flags(rawValue: O_NONBLOCK)
        package static let noATime = Flags(rawValue: 0o1000000)
    }

    /// Opens `path` (absolute, or relative to the working directory); close-on-exec.
    package static func open(
        _ path: String, _ flags: Flags, mode: UInt32 = 0o600
    ) throws(SystemError) -> Descriptor {
        try open(at: AT_FDCWD, Array(path.utf8), flags, mode)
    }

    /// Opens `name` relative to this directory; close-on-exec.
    package func open(
        _ name: [UInt8], _ flags: Flags, mode: UInt32 = 0o600
    ) throws(SystemError) -> Descriptor {
        try Descriptor.open(at: raw, name, flags, mode)
    }

    private static func open(
        at directory: Int32, _ name: [UInt8], _ flags: Flags, _ mode: UInt32
    ) throws(SystemError) -> Descriptor {
        while true {
            let (fd, code) = withCString(name) { pointer -> (Int32, Int32) in
                let fd = unsafe cl_openat(directory, pointer, flags.rawValue | O_CLOEXEC, mode)
                return (fd, fd < 0 ? errno : 0)
            }
            if fd >= 0 { return Descriptor(owning: fd) }
            guard code == EINTR else { throw SystemError(code, "openat", printable(name)) }
        }
    }

    /// A file without a name in the folder `path`, gone when it is closed or the process dies.
    package static func temporary(in path: String) throws(SystemError) -> Descriptor {
        let folder = try open(path, [.readOnly, .directory])
        if let file = try folder.makeUnnamed(mode: 0o600) { return file }
        let name = Array(".cistern-\(UInt64.random(in: .min ... .max))".utf8)
        let file = try folder.open(name, [.readWrite, .create, .exclusive], mode: 0o600)
        try folder.unlink(name)
        return file
    }

    /// A descriptor of its own for standard output.
    package static func standardOutput() throws(SystemError) -> Descriptor {
        try duplicate(of: 1)
    }

    /// A descriptor of its own for standard input.
    package static func standardInput() throws(SystemError) -> Descriptor {
        try duplicate(of: 0)
    }

    private static func duplicate(of raw: Int32) throws(SystemError) -> Descriptor {
        let fd = cl_fcntl(raw, F_DUPFD_CLOEXEC, 0)
        guard fd >= 0 else { throw SystemError(errno, "fcntl(F_DUPFD_CLOEXEC)") }
        return Descriptor(owning: fd)
    }

    /// Another descriptor of the same open file.
    package func duplicate() throws(SystemError) -> Descriptor {
        try Descriptor.duplicate(of: raw)
    }

    /// Reads up to `buffer.count` bytes at the descriptor's position; 0 at the end.
    package func read(into buffer: inout MutableSpan<UInt8>) throws(SystemError) -> Int {
        while true {
            let (n, code) = unsafe buffer.withUnsafeMutableBytes { bytes -> (Int, Int32) in
                let n = unsafe Glibc.read(raw, bytes.baseAddress, bytes.count)
                return (n, n < 0 ? errno : 0)
            }
            if n >= 0 { return n }
            guard code == EINTR else { throw SystemError(code, "read") }
        }
    }

    /// Reads up to `buffer.count` bytes at `offset`; 0 at the end.
    package func read(
        into buffer: inout MutableSpan<UInt8>, at offset: UInt64
    ) throws(SystemError) -> Int {
        while true {
            let (n, code) = unsafe buffer.withUnsafeMutableBytes { bytes -> (Int, Int32) in
                let n = unsafe pread(raw, bytes.baseAddress, bytes.count, off_t(offset))
                return (n, n < 0 ? errno : 0)
            }
            if n >= 0 { return n }
            guard code == EINTR else { throw SystemError(code, "pread") }
        }
    }

    /// Appends up to `count` bytes from the descriptor's position to `buffer`; returns how many, 0
    /// only at the end of the file.
    ///
    /// Loops over short reads until `count` or the end.
    package func read(appending buffer: inout [UInt8], upTo count: Int) throws(SystemError) -> Int {
        let start = buffer.count
        var failure: SystemError?
        buffer.append(
            addingCapacity: count,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    var done = 0
                    while done < count, let base = pointer.baseAddress {
                        let n = unsafe Glibc.read(raw, base + initialized + done, count - done)
                        if n > 0 {
                            done += n
                        } else if n == 0 {
                            break
                        } else if errno != EINTR {
                            failure = SystemError(errno, "read")
                            break
                        }
                    }
                    initialized += done
                }
            })
        if let failure { throw failure }
        return buffer.count - start
    }

    /// As `read(appending:upTo:)`, but takes a short read for the end of the file, which it is for
    /// regular files unless the file grows: ask for its size afterwards.
    package func readOnce(
        appending buffer: inout [UInt8], upTo count: Int
    ) throws(SystemError) -> Int {
        let start = buffer.count
        var code: Int32 = 0
        buffer.append(
            addingCapacity: count,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    guard let base = pointer.baseAddress else { return }
                    var n: Int
                    repeat {
                        n = unsafe Glibc.read(raw, base + initialized, count)
                        code = n < 0 ? errno : 0
                    } while code == EINTR
                    initialized += max(0, n)
                }
            })
        guard code == 0 else { throw SystemError(code, "read") }
        return buffer.count - start
    }

    /// Writes all of `bytes` at the descriptor's position.
    package func write(_ bytes: Span<UInt8>) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let (n, code) = unsafe bytes.withUnsafeBytes { pointer -> (Int, Int32) in
                let n = unsafe Glibc.write(
                    raw, pointer.baseAddress.map { unsafe $0 + done }, pointer.count - done)
                return (n, n < 0 ? errno : 0)
            }
            if n >= 0 {
                done += n
            } else if code != EINTR {
                throw SystemError(code, "write")
            }
        }
    }

    /// Writes all of `bytes` at `offset`, without moving the descriptor's position.
    package func write(_ bytes: Span<UInt8>, at offset: UInt64) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let (n, code) = unsafe bytes.withUnsafeBytes { pointer -> (Int, Int32) in
                let n = unsafe pwrite(
                    raw, pointer.baseAddress.map { unsafe $0 + done }, pointer.count - done,
                    off_t(offset) + done)
                return (n, n < 0 ? errno : 0)
            }
            if n >= 0 {
                done += n
            } else if code != EINTR {
                throw SystemError(code, "pwrite")
            }
        }
    }

    /// Moves the position to `offset` from the start.
    package func seek(to offset: UInt64) throws(SystemError) {
        guard lseek(raw, off_t(offset), SEEK_SET) >= 0 else { throw SystemError(errno, "lseek") }
    }

    /// Sets the file's length.
    package func truncate(to size: UInt64) throws(SystemError) {
        guard ftruncate(raw, off_t(size)) == 0 else { throw SystemError(errno, "ftruncate") }
    }

    /// Makes the file's content and metadata durable (fsync).
    package func sync() throws(SystemError) {
        guard fsync(raw) == 0 else { throw SystemError(errno, "fsync") }
    }

    /// Makes everything written to this file's file system durable (syncfs).
    package func syncFileSystem() throws(SystemError) {
        guard cl_sync_file_system(raw) == 0 else { throw SystemError(errno, "syncfs") }
    }

    /// The metadata of the open file.
    package func metadata() throws(SystemError) -> FileMetadata {
        var s = cl_stat()
        guard unsafe cl_stat_open_file(raw, &s) == 0 else { throw SystemError(errno, "statx") }
        return try Descriptor.metadata(s, [])
    }

    /// The metadata of `name` in this directory, not following a symlink.
    package func metadata(of name: [UInt8]) throws(SystemError) -> FileMetadata {
        var s = cl_stat()
        let code = withCString(name) { pointer -> Int32 in
            unsafe cl_statx(raw, pointer, AT_SYMLINK_NOFOLLOW, &s) == 0 ? 0 : errno
        }
        guard code == 0 else { throw SystemError(code, "statx", printable(name)) }
        return try Descriptor.metadata(s, name)
    }

    private static func metadata(
        _ s: cl_stat, _ name: [UInt8]
    ) throws(SystemError) -> FileMetadata {
        guard let kind = FileKind(mode: s.mode) else {
            throw SystemError(EINVAL, "statx", printable(name))
        }
        return FileMetadata(s, kind: kind)
    }
}

/// Calls `body` with `bytes` and a terminating NUL.
///
/// A NUL inside gives an empty name, which every call refuses with ENOENT.
@safe func withCString<R>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>) -> R) -> R {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count + 1) { buffer in
        let base = unsafe buffer.baseAddress.unsafelyUnwrapped
        var containsNUL = false
        for (i, byte) in bytes.enumerated() {
            containsNUL = containsNUL || byte == 0
            unsafe base[i] = CChar(bitPattern: byte)
        }
        unsafe base[bytes.count] = 0
        if containsNUL { unsafe base[0] = 0 }
        return unsafe body(base)
    }
}

/// A name for people: UTF-8 as it is, other bytes as \xHH.
package func printable(_ bytes: [UInt8]) -> String {
    if let text = String(validating: bytes, as: UTF8.self),
        !text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F })
    {
        return text
    }
    var text = ""
    for byte in bytes {
        if byte >= 0x20 && byte < 0x7F {
            text.unicodeScalars.append(Unicode.Scalar(byte))
        } else {
            let hex = String(byte, radix: 16)
            text += "\\x" + (hex.count == 1 ? "0" : "") + hex
        }
    }
    return text
}
