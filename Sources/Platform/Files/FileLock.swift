internal import CLinux
internal import Glibc

/// An exclusive lock on a file, held until the value goes away or the process dies, however it
/// dies (flock(2)).
package final class FileLock: Sendable {
    private let file: Descriptor

    /// Takes the lock on `path`, which is made if it is missing.
    ///
    /// - Throws: EWOULDBLOCK when another process holds it.
    package init(_ path: String) throws(SystemError) {
        file = try Descriptor.open(path, [.readWrite, .create])
        while cl_flock_exclusive(file.raw) != 0 {
            let code = errno
            guard code == EINTR else { throw SystemError(code, "flock", path) }
        }
    }
}
