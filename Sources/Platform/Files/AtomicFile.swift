internal import CLinux
internal import Glibc

/// Whole files written so that a reader, also after a crash, sees the old bytes or the new ones.
package enum AtomicFile {
    /// The largest file that `read` takes, unless told otherwise.
    package static let readLimit = 64 << 20

    /// Writes `bytes` to `path`: a temporary file beside it, fsync, rename, fsync of the folder.
    package static func write(
        _ bytes: Span<UInt8>, to path: String, mode: UInt32 = 0o600, replacing: Bool = true
    ) throws(SystemError) {
        let (folder, name) = split(path)
        let directory = try Descriptor.open(folder, [.readOnly, .directory])
        try write(bytes, to: name, in: directory, mode: mode, replacing: replacing)
    }

    /// The same relative to an open directory.
    ///
    /// With `replacing` false an existing `name` stays as it is and the call throws EEXIST.
    package static func write(
        _ bytes: Span<UInt8>, to name: [UInt8], in directory: borrowing Descriptor,
        mode: UInt32 = 0o600, replacing: Bool = true
    ) throws(SystemError) {
        let temporary = temporaryName(for: name)
        do throws(SystemError) {
            let file = try directory.open(
                temporary, [.writeOnly, .create, .exclusive], mode: mode)
            try write(bytes, to: file)
            try file.sync()
            try file.close()
            if replacing {
                try directory.rename(temporary, to: name, in: directory)
            } else {
                try directory.renameExclusively(temporary, to: name)
            }
        } catch {
            // The first error is the one to tell; a temporary file that stays is found by its name.
            try? directory.unlink(temporary)
            throw error
        }
        try directory.sync()
    }

    /// Large files, of which packs are most, are written once and seldom read again: they go past
    /// the page cache.
    private static func write(
        _ bytes: Span<UInt8>, to file: borrowing Descriptor
    ) throws(SystemError) {
        guard bytes.count >= FileWriter.size else { return try file.write(bytes) }
        let writer = FileWriter()
        writer.begin(file, direct: true)
        try writer.append(bytes, to: file)
        _ = try writer.finish(file)
    }

    /// As `write`, with the first `size` bytes of an open file, in memory of one block.
    package static func copy(
        from source: borrowing Descriptor, size: UInt64, to name: [UInt8],
        in directory: borrowing Descriptor, mode: UInt32 = 0o600
    ) throws(SystemError) {
        let temporary = temporaryName(for: name)
        do throws(SystemError) {
            let file = try directory.open(
                temporary, [.writeOnly, .create, .exclusive], mode: mode)
            var buffer: [UInt8] = []
            try source.seek(to: 0)
            var rest = size
            while rest > 0 {
                buffer.removeAll(keepingCapacity: true)
                let n = try source.read(appending: &buffer, upTo: Int(min(rest, 1 << 20)))
                guard n > 0 else { throw SystemError(EIO, "read", printable(name)) }
                try file.write(buffer.span)
                rest -= UInt64(n)
            }
            try file.sync()
            try file.close()
            try directory.rename(temporary, to: name, in: directory)
        } catch {
            try? directory.unlink(temporary)
            throw error
        }
        try directory.sync()
    }

    /// A name beside `name` that no reader takes for an object: `<name>-tmp-<random>`.
    package static func temporaryName(for name: [UInt8]) -> [UInt8] {
        let random = String(UInt64.random(in: .min ... .max), radix: 16)
        // 255 bytes is the longest name that Linux file systems take.
        return name.prefix(255 - 5 - 16) + Array("-tmp-\(random)".utf8)
    }

    /// Reads a whole file of at most `limit` bytes.
    package static func read(
        _ path: String, limit: Int = AtomicFile.readLimit
    ) throws(SystemError) -> [UInt8] {
        let file = try Descriptor.open(path, [.readOnly])
        var bytes: [UInt8] = []
        while bytes.count <= limit {
            if try file.read(appending: &bytes, upTo: 64 << 10) == 0 { return bytes }
        }
        throw SystemError(EFBIG, "read", path)
    }

    /// Puts the file `path` in the place of `other`, durably; both lie in one folder.
    package static func rename(_ path: String, to other: String) throws(SystemError) {
        let (folder, name) = split(path)
        let directory = try Descriptor.open(folder, [.readOnly, .directory])
        try directory.rename(name, to: split(other).name, in: directory)
        try directory.sync()
    }

    /// Removes the file at `path`; one that is not there is a success.
    package static func remove(_ path: String) throws(SystemError) {
        let (folder, name) = split(path)
        do throws(SystemError) {
            try Descriptor.open(folder, [.readOnly, .directory]).unlink(name)
        } catch {
            guard error.code == Errno.noEntry else { throw error }
        }
    }

    /// Creates the directory `path` and those above it that are missing.
    package static func makeDirectories(_ path: String, mode: UInt32 = 0o700) throws(SystemError) {
        var prefix = ""
        for part in path.split(separator: "/", omittingEmptySubsequences: true) {
            prefix += (prefix.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
            let code = unsafe mkdir(prefix, mode) == 0 ? 0 : errno
            guard code == 0 || code == EEXIST || code == EISDIR else {
                throw SystemError(code, "mkdir", prefix)
            }
        }
        var s = cl_stat()
        let code = unsafe cl_statx(AT_FDCWD, path, 0, &s) == 0 ? 0 : errno
        guard code == 0 else { throw SystemError(code, "mkdir", path) }
        guard FileKind(mode: s.mode) == .directory else {
            throw SystemError(ENOTDIR, "mkdir", path)
        }
    }

    private static func split(_ path: String) -> (folder: String, name: [UInt8]) {
        guard let slash = path.lastIndex(of: "/") else { return (".", Array(path.utf8)) }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return (folder, Array(path[path.index(after: slash)...].utf8))
    }
}
