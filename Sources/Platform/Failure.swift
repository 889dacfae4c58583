/// What an error means for the work around it.
///
/// The class decides what happens next, never the most recent error.
package enum FailureClass: String, Sendable, Equatable {
    /// The same call may work later.
    case temporary
    /// This module is out, others go on.
    case module
    /// The store is out: everything that needs it pauses.
    case store
    /// Somebody asked for the work to stop.
    case cancelled
    /// The caller's input: a wrong option, a bad configuration. Retrying never helps.
    case usage
    /// Another process holds what this one needs.
    case locked
    /// So much is damaged that going on would do harm; a person has to look.
    case unhealthy
    /// An input stream ended before its terminal unit.
    case truncated
    /// A defect of Cistern.
    case bug
}

/// An error that a person can act on: what failed, why, and what to do.
///
/// Low-level calls throw `SystemError`; every error that crosses a module border is a `Failure`.
package struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What the error means for the work around it.
    package var kind: FailureClass
    /// The thing that failed, and how: `state file /x/y.sqlite is damaged`.
    package var message: String
    /// The underlying cause, if there is one: `Input/output error`.
    package var cause: String?
    /// What the reader can do about it, if anything is known.
    package var hint: String?

    /// Makes a failure of class `kind`.
    package init(_ kind: FailureClass, _ message: String, cause: String? = nil, hint: String? = nil)
    {
        self.kind = kind
        self.message = message
        self.cause = cause
        self.hint = hint
    }

    /// Wraps any error: failures pass through, others become the cause under `message`.
    package init(_ kind: FailureClass, _ message: String, wrapping error: any Error) {
        if let failure = error as? Failure {
            self = failure
            self.message = "\(message): \(failure.message)"
        } else {
            self.init(kind, message, cause: "\(error)")
        }
    }

    package var description: String {
        var text = message
        if let cause { text += ": \(cause)" }
        if let hint { text += ". \(hint)" }
        return text
    }
}
