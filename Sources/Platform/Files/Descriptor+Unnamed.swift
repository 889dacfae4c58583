internal import CLinux
internal import Glibc

/// Files that get their name when they are whole: until then nothing can find them, and a kill
/// leaves nothing behind (O_TMPFILE of open(2)).
extension Descriptor {
    /// Makes a file without a name on this directory's file system, to be written; nil where the
    /// file system has none.
    ///
    /// - Parameter mode: its permission bits, less those of the umask.
    package func makeUnnamed(mode: UInt32) throws(SystemError) -> Descriptor? {
        do throws(SystemError) {
            return try open([0x2E], [.readWrite, Flags(rawValue: cl_o_tmpfile())], mode: mode)
        } catch {
            // EISDIR is what kernels say that do not know the flag.
            guard [EOPNOTSUPP, EISDIR, EINVAL, ENOSYS].contains(error.code) else { throw error }
            return nil
        }
    }

    /// Gives an unnamed file the name `name` in this directory.
    ///
    /// - Throws: EEXIST when something has the name.
    package func name(
        _ file: borrowing Descriptor, _ name: [UInt8]
    ) throws(SystemError) {
        let source = file.raw
        var code = withCString(name) { pointer in
            unsafe linkat(source, "", raw, pointer, Int32(cl_at_empty_path())) == 0 ? 0 : errno
        }
        if code == ENOENT || code == EPERM || code == EINVAL {
            // Only CAP_DAC_READ_SEARCH may name a descriptor directly; /proc is for everybody.
            code = withCString(name) { pointer in
                unsafe linkat(
                    AT_FDCWD, "/proc/self/fd/\(source)", raw, pointer, AT_SYMLINK_FOLLOW) == 0
                    ? 0 : errno
            }
        }
        guard code == 0 else { throw SystemError(code, "linkat", printable(name)) }
    }

    /// Sets one extended attribute of the open file.
    package func set(_ attribute: ExtendedAttribute) throws(SystemError) {
        let code = withCString(attribute.name) { name in
            unsafe attribute.value.withUnsafeBytes {
                unsafe cl_set_open_xattr(raw, name, $0.baseAddress, $0.count) == 0 ? 0 : errno
            }
        }
        guard code == 0 else {
            throw SystemError(code, "fsetxattr", printable(attribute.name))
        }
    }

    /// Whether the open file has an extended attribute of that name.
    package func hasAttribute(_ name: [UInt8]) -> Bool {
        withCString(name) { unsafe cl_has_open_xattr(raw, $0) != 0 }
    }

    /// Removes an extended attribute of the open file.
    package func removeAttribute(_ name: [UInt8]) throws(SystemError) {
        let code = withCString(name) { unsafe cl_remove_open_xattr(raw, $0) == 0 ? 0 : errno }
        guard code == 0 || code == ENODATA else {
            throw SystemError(code, "fremovexattr", printable(name))
        }
    }
}
