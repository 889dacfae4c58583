internal import CLinux
internal import Glibc
internal import Synchronization

/// The process's wish to stop, set by SIGTERM and SIGINT, asked by loops between batches.
package enum Interruption {
    private static let signal = Atomic<Int32>(0)

    /// Sets SIGTERM and SIGINT to ask for a stop, and ignores SIGHUP (`restic unlock` sends it to
    /// whoever holds a lock) and SIGPIPE (a closed pipe is an error of the write).
    package static func install() {
        _ = cl_signal_handler(SIGTERM) { Interruption.signal.store($0, ordering: .relaxed) }
        _ = cl_signal_handler(SIGINT) { Interruption.signal.store($0, ordering: .relaxed) }
        _ = cl_signal_ignore(SIGHUP)
        _ = cl_signal_ignore(SIGPIPE)
    }

    /// The signal that asked for the stop, if one did.
    package static var requested: Int32? {
        let value = signal.load(ordering: .relaxed)
        return value == 0 ? nil : value
    }

    /// Throws a `cancelled` failure once a stop was asked for.
    package static func check() throws(Failure) {
        guard let signal = requested else { return }
        throw Failure(.cancelled, "stopped by \(signal == SIGINT ? "SIGINT" : "SIGTERM")")
    }
}
