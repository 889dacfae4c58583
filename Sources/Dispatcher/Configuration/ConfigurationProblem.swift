/// One mistake in a configuration file: where it is, what it is and what would be right.
package struct ConfigurationProblem: Sendable, Equatable, Codable, CustomStringConvertible {
    /// Whether a problem stops the program.
    package enum Severity: String, Sendable, Codable {
        /// The file cannot be used.
        case error
        /// The file can be used, but probably says something else than was meant.
        case warning
    }

    package var severity: Severity
    /// The file's path, as it was given.
    package var file: String
    /// The line, from 1; 0 when the problem is about the whole file.
    package var line: Int
    /// The column in Unicode scalars, from 1; 0 when the problem is about the whole file.
    package var column: Int
    package var message: String
    /// The allowed values, or what to do.
    package var hint: String?

    /// Describes a problem at a place in `file`.
    package init(
        _ severity: Severity, file: String, line: Int, column: Int, message: String,
        hint: String? = nil
    ) {
        self.severity = severity
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.hint = hint
    }

    /// `file:line:column: error: message (hint)`, which editors know how to jump to.
    package var description: String {
        let place = line > 0 ? "\(file):\(line):\(column)" : file
        return "\(place): \(severity.rawValue): \(message)" + (hint.map { " (\($0))" } ?? "")
    }
}
