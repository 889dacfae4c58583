internal import Foundation

/// Holds a program at the next crash point it comes by, until the gate is opened.
///
/// A named pipe in the place of the log that `Command.noting` names: whoever opens it for writing
/// waits for a reader.
package final class Gate {
    /// For `Command.noting`.
    package let path: String
    private var reader: Int32 = -1

    /// Makes the gate, closed, in a file that is not there yet.
    package init(_ path: String) throws {
        self.path = path
        guard mkfifo(path, 0o600) == 0 else { throw TestError("no pipe \(path): errno \(errno)") }
    }

    deinit {
        if reader >= 0 { close(reader) }
    }

    /// Lets the program through, as long as its log fits in the pipe: thousands of points.
    package func open() throws {
        // For both, so that it waits for nobody, and a reader is there until the end.
        reader = Foundation.open(path, O_RDWR | O_CLOEXEC)
        guard reader >= 0 else { throw TestError("\(path) cannot be opened: errno \(errno)") }
    }
}
