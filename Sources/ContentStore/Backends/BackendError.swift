package import Platform

/// Why a call on a backend failed, by what the caller can do about it.
package enum BackendError: Error, Sendable, Equatable {
    /// The object is not there.
    case missing(ObjectKey)
    /// A config with other bytes is there already.
    case exists(ObjectKey)
    /// The object is there, but not as it has to be: shorter than a range, longer than a limit.
    case damaged(ObjectKey, cause: String)
    /// The same call may work later; it may also have taken effect.
    case temporary(ObjectKey?, cause: String)
    /// The same call will fail again until somebody changes something.
    case permanent(SystemError)
    /// The server said no, or the place cannot be used as it is configured: says nothing about
    /// the object.
    case refused(ObjectKey?, cause: String, hint: String? = nil)

    /// Sorts a failed system call into `temporary` and `permanent`.
    package init(_ error: SystemError, _ key: ObjectKey?) {
        switch error.code {
        case Errno.again, Errno.stale: self = .temporary(key, cause: error.description)
        default: self = .permanent(error)
        }
    }

    /// The same as a failure that names the place and what to do.
    package func failure(at location: String) -> Failure {
        switch self {
        case .missing(let key):
            Failure(.store, "\(key) is missing in store \(location)")
        case .exists(let key):
            Failure(
                .store, "\(key) exists already in store \(location)",
                hint: "The place holds a repository: open it, or choose an empty place.")
        case .damaged(let key, let cause):
            Failure(.store, "\(key) of store \(location) is damaged", cause: cause)
        case .temporary(let key, let cause):
            Failure(
                .temporary, "store \(location) failed" + (key.map { " on \($0)" } ?? ""),
                cause: cause)
        case .permanent(let error):
            Failure(
                .store, "store \(location) failed", cause: error.description,
                hint: BackendError.hint(error, location))
        case .refused(_, let cause, let hint):
            // Not of class store, which readers take for damage: nothing is known of the object.
            Failure(.temporary, "store \(location) failed", cause: cause, hint: hint)
        }
    }

    private static func hint(_ error: SystemError, _ location: String) -> String? {
        switch error.code {
        case Errno.noSpace: "Free space on the file system of \(location), then run again."
        case Errno.quota: "Raise the quota or free space for \(location), then run again."
        case Errno.access, Errno.permission:
            "Run as the user who owns \(location), or give this one access."
        case Errno.noEntry: "Check that \(location) exists and is mounted."
        case Errno.inputOutput: "The disk reports errors: see the kernel's log (dmesg)."
        default: nil
        }
    }
}

extension BackendError: CustomStringConvertible {
    /// What happened, without the place: the request, the status, the object.
    package var description: String {
        switch self {
        case .missing(let key): "\(key) is missing"
        case .exists(let key): "\(key) exists already"
        case .damaged(let key, let cause): "\(key) is damaged: \(cause)"
        case .temporary(_, let cause), .refused(_, let cause, _): cause
        case .permanent(let error): error.description
        }
    }
}

extension Failure {
    /// As `init(_:_:wrapping:)`; of an error of the backend at `location` what to do is kept, and
    /// whether it may pass.
    package init(
        _ kind: FailureClass, _ message: String, wrapping error: any Error, at location: String
    ) {
        guard let error = error as? BackendError else {
            self.init(kind, message, wrapping: error)
            return
        }
        let failure = error.failure(at: location)
        self.init(
            failure.kind == .temporary ? .temporary : kind, message, cause: error.description,
            hint: failure.hint)
    }
}

extension Backend {
    /// Runs `body` on this backend, with its errors as failures that name the place.
    package func failing<R>(
        _ body: (Self) throws(BackendError) -> R
    ) throws(Failure) -> R {
        do throws(BackendError) {
            return try body(self)
        } catch {
            throw error.failure(at: location)
        }
    }
}
