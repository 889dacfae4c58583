internal import CLinux
internal import Glibc

/// A failed system call: its errno, its name and what it was called on.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The value of errno, captured on the line of the call.
    package var code: Int32
    /// The call, as in its manual page: `openat`.
    package var call: String
    /// The path or thing the call was about, for the reader.
    package var subject: String

    /// Makes an error from a captured errno.
    package init(_ code: Int32, _ call: String, _ subject: String = "") {
        self.code = code
        self.call = call
        self.subject = subject
    }

    /// The symbolic name and the text of the code: `ENOENT: No such file or directory`.
    package var reason: String { "\(Errno.name(code)): \(Errno.text(code))" }

    package var description: String {
        subject.isEmpty ? "\(call): \(reason)" : "\(call) \(subject): \(reason)"
    }
}

/// Names and texts of errno values.
package enum Errno {
    package static let noEntry = ENOENT
    package static let exists = EEXIST
    package static let notDirectory = ENOTDIR
    package static let notEmpty = ENOTEMPTY
    package static let isDirectory = EISDIR
    package static let loop = ELOOP
    package static let noDevice = ENXIO
    package static let access = EACCES
    package static let permission = EPERM
    package static let inputOutput = EIO
    package static let noSpace = ENOSPC
    package static let quota = EDQUOT
    package static let crossDevice = EXDEV
    package static let tooManyLinks = EMLINK
    package static let notSupported = EOPNOTSUPP
    package static let nameTooLong = ENAMETOOLONG
    package static let again = EAGAIN
    package static let stale = ESTALE
    package static let invalid = EINVAL
    package static let brokenPipe = EPIPE
    package static let tooManyFiles = EMFILE
    package static let tooManyFilesInSystem = ENFILE
    package static let fileTooBig = EFBIG

    /// The symbol of an errno value, or its number where it has no common name.
    package static func name(_ code: Int32) -> String {
        names[code] ?? "errno \(code)"
    }

    /// The text that strerror gives for an errno value.
    package static func text(_ code: Int32) -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let base = buffer.baseAddress else { return "unknown error" }
            unsafe cl_strerror(code, base, buffer.count)
            return unsafe String(cString: base)
        }
    }

    private static let names: [Int32: String] = [
        EPERM: "EPERM", ENOENT: "ENOENT", EINTR: "EINTR", EIO: "EIO", ENXIO: "ENXIO",
        E2BIG: "E2BIG", EBADF: "EBADF", ECHILD: "ECHILD", EAGAIN: "EAGAIN", ENOMEM: "ENOMEM",
        EACCES: "EACCES", EBUSY: "EBUSY", EEXIST: "EEXIST", EXDEV: "EXDEV", ENODEV: "ENODEV",
        ENOTDIR: "ENOTDIR", EISDIR: "EISDIR", EINVAL: "EINVAL", ENFILE: "ENFILE",
        EMFILE: "EMFILE", ETXTBSY: "ETXTBSY", EFBIG: "EFBIG", ENOSPC: "ENOSPC", EROFS: "EROFS",
        EMLINK: "EMLINK", EPIPE: "EPIPE", ERANGE: "ERANGE", ENAMETOOLONG: "ENAMETOOLONG",
        ENOTEMPTY: "ENOTEMPTY", ELOOP: "ELOOP", ENODATA: "ENODATA", EBADMSG: "EBADMSG",
        EOVERFLOW: "EOVERFLOW", EUCLEAN: "EUCLEAN", EOPNOTSUPP: "EOPNOTSUPP",
        ETIMEDOUT: "ETIMEDOUT", ECONNREFUSED: "ECONNREFUSED", EHOSTUNREACH: "EHOSTUNREACH",
        ESTALE: "ESTALE", EDQUOT: "EDQUOT", ENOSYS: "ENOSYS",
    ]
}
