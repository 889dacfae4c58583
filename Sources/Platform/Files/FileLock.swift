internal import CLinux
internal import Glibc

/// An exclusive lock on a file, held until the value goes away or the process dies, however it
/// dies (flock(2)).
package final class FileLock: Sendable {
    private let file: Descriptor

    /// Takes the lock on `path`, which is made if it is missing.
    ///
    /// - Parameter seconds: how long to wait for another process that holds it.
    /// - Throws: EWOULDBLOCK when another process holds it for longer.
    package init(_ path: String, waiting seconds: Double = 0) throws(SystemError) {
        file = try Descriptor.open(path, [.readWrite, .create])
        let deadline = monotonicSeconds() + seconds
        while cl_flock_exclusive(file.raw) != 0 {
            let code = errno
            if code == EWOULDBLOCK && monotonicSeconds() < deadline {
                usleep(10_000)
                continue
            }
            guard code == EINTR else { throw SystemError(code, "flock", path) }
        }
    }

    /// Takes the lock on a directory that exists; nil where the file system locks no directories.
    ///
    /// - Throws: EWOULDBLOCK when another process holds it.
    package init?(directory path: String) throws(SystemError) {
        file = try Descriptor.open(path, [.readOnly, .directory])
        while cl_flock_exclusive(file.raw) != 0 {
            let code = errno
            if code == EWOULDBLOCK { throw SystemError(code, "flock", path) }
            guard code == EINTR else { return nil }
        }
    }
}
