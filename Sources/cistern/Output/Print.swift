internal import Platform

/// Writes to standard output and standard error, at once and whole.
enum Print {
    /// Writes to standard output as it is.
    static func out(_ text: String) throws(SystemError) { try Environment.write(text, to: 1) }

    /// Writes a line to standard output.
    static func line(_ text: String) throws(SystemError) { try out(text + "\n") }

    /// Writes a note to standard error.
    ///
    /// It is not worth failing for.
    static func note(_ text: String) { try? Environment.write("cistern: \(text)\n", to: 2) }
}
