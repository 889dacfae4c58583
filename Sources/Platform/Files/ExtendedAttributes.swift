internal import CLinux
internal import Glibc

/// One extended attribute: its full name (`user.note`) and its value.
package struct ExtendedAttribute: Sendable, Hashable {
    package var name: [UInt8]
    package var value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

/// Reads and writes extended attributes without following symlinks.
package enum ExtendedAttributes {
    /// The attributes of the file `name` in the calling thread's working directory (see
    /// `PrivateWorkingDirectory`), or of an absolute path, sorted by name.
    ///
    /// Empty where the file system has none.
    package static func read(path: [UInt8]) throws(SystemError) -> [ExtendedAttribute] {
        // Most files have none: asking for the length alone costs the kernel no buffer.
        let names = try sized("llistxattr", path, from: 0) { pointer, buffer, size in
            unsafe cl_list_xattrs(pointer, buffer?.assumingMemoryBound(to: CChar.self), size)
        }
        guard let names, !names.isEmpty else { return [] }
        var result: [ExtendedAttribute] = []
        for name in names.split(separator: 0) {
            let name = Array(name)
            let value = try sized("lgetxattr", path, from: 256) { pointer, buffer, size in
                withCString(name) { unsafe cl_get_xattr(pointer, $0, buffer, size) }
            }
            // An attribute that went away between the two calls is simply not there.
            if let value { result.append(ExtendedAttribute(name: name, value: value)) }
        }
        result.sort { $0.name.lexicographicallyPrecedes($1.name) }
        return result
    }

    /// Sets one attribute of the file at `path`, not following a symlink.
    package static func set(path: [UInt8], _ attribute: ExtendedAttribute) throws(SystemError) {
        let code = withCString(path) { pointer in
            withCString(attribute.name) { name in
                unsafe attribute.value.withUnsafeBytes {
                    unsafe cl_set_xattr(pointer, name, $0.baseAddress, $0.count) == 0 ? 0 : errno
                }
            }
        }
        guard code == 0 else { throw SystemError(code, "lsetxattr", printable(path)) }
    }

    /// Removes one attribute of the file at `path`.
    package static func remove(path: [UInt8], name: [UInt8]) throws(SystemError) {
        let code = withCString(path) { pointer in
            withCString(name) { unsafe cl_remove_xattr(pointer, $0) == 0 ? 0 : errno }
        }
        guard code == 0 || code == ENODATA else {
            throw SystemError(code, "lremovexattr", printable(path))
        }
    }

    /// Calls `body` first with a buffer of `first` bytes, then with larger ones; nil where there is
    /// no such attribute or no support for any.
    ///
    /// With 0 bytes the kernel names the length alone.
    @safe private static func sized(
        _ call: String, _ path: [UInt8], from first: Int,
        _ body: (UnsafePointer<CChar>, UnsafeMutableRawPointer?, Int) -> Int
    ) throws(SystemError) -> [UInt8]? {
        var size = first
        while true {
            var length = 0
            var code: Int32 = 0
            let value = unsafe withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) {
                buffer in
                withCString(path) { pointer -> [UInt8] in
                    length = unsafe body(pointer, buffer.baseAddress, size)
                    code = length < 0 ? errno : 0
                    return length > 0 && size > 0 ? unsafe Array(buffer[..<length]) : []
                }
            }
            switch code {
            case 0 where size == 0 && length > 0: size = max(256, length)
            case 0: return value
            case ERANGE: size = size < 65536 ? 65536 : size * 2
            case ENOTSUP, ENODATA, ENOSYS: return nil
            default: throw SystemError(code, call, printable(path))
            }
        }
    }
}

/// Gives the calling thread a working directory of its own, so that path calls which have no
/// `…at` form (the xattr family before Linux 6.13) can be made relative to an open directory.
package enum PrivateWorkingDirectory {
    /// Separates this thread from the process's working directory; false where the system forbids
    /// it.
    package static func begin() -> Bool { cl_unshare_fs() == 0 }

    /// Makes `directory` the working directory of this thread.
    package static func enter(_ directory: borrowing Descriptor) throws(SystemError) {
        guard fchdir(directory.raw) == 0 else { throw SystemError(errno, "fchdir") }
    }
}
