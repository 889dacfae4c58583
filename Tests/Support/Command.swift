internal import Foundation
internal import Platform

/// A program to run, with what it is given.
package struct Command: Sendable {
    package var program: String
    package var arguments: [String]
    /// Variables set on top of those of the tests; nil takes one away.
    package var environment: [String: String?] = [:]
    /// The file that standard input is read from.
    package var input = "/dev/null"
    /// The file that standard output is written to; nil collects it for `Result.output`.
    package var output: String?
    /// Whether `output` is kept and added to.
    package var appends = false
    /// The program's working directory.
    package var folder: String?
    /// Seconds until the program and its process group are killed.
    package var timeout: Double = 300

    /// A program by its path, or by a name that is looked up in PATH.
    package init(_ program: String, _ arguments: [String] = []) {
        self.program = program
        self.arguments = arguments
    }

    /// How a program ended.
    package enum Status: Sendable, Equatable, CustomStringConvertible {
        case exited(Int32)
        case killed(signal: Int32)

        package var description: String {
            switch self {
            case .exited(let code): "exit \(code)"
            case .killed(let signal): "signal \(signal)"
            }
        }
    }

    /// What a program said and used.
    package struct Result: Sendable, CustomStringConvertible {
        package var command: String
        package var status: Status
        package var output: [UInt8]
        package var errors: [UInt8]
        /// Seconds from start to end.
        package var wall: Double
        /// Seconds of processor time of the program and the children it waited for.
        package var processor: Double
        /// The largest resident size of any one process among them, in bytes; never less than what
        /// the process that started it had.
        package var peak: Int

        package var text: String { String(decoding: output, as: UTF8.self) }
        package var errorText: String { String(decoding: errors, as: UTF8.self) }

        /// The command, its end, and the last of what it said: for failing expectations.
        package var description: String {
            "\(command)\n→ \(status) after \(wall) s\n\(text.suffix(2000))\(errorText.suffix(4000))"
        }

        /// The same result, or an error that shows it when the program did not exit with `code`.
        @discardableResult
        package func expect(_ code: Int32 = 0) throws -> Result {
            guard status == .exited(code) else {
                throw TestError("expected exit \(code):\n\(self)")
            }
            return self
        }
    }

    /// Runs the program to its end.
    package func run() throws -> Result { try start().wait() }

    /// Starts the program in a process group of its own.
    package func start() throws -> RunningCommand { try RunningCommand(self) }

    /// The command for people, as one would type it.
    package var line: String { ([program] + arguments).joined(separator: " ") }

    /// The same command as another user, by setpriv of util-linux; as root only.
    package func asUser(_ id: UInt32) -> Command {
        var command = self
        command.program = "setpriv"
        command.arguments =
            ["--reuid=\(id)", "--regid=\(id)", "--clear-groups", program] + arguments
        return command
    }
}
