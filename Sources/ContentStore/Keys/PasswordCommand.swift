package import Platform

/// A program that prints the password of a store.
package enum PasswordCommand {
    private static let limit = 64 << 10
    /// How long it may take, in seconds.
    private static let patience: Double = 60

    /// The password: the first line that the program prints, without its end.
    ///
    /// It runs without a shell and without a terminal. What it prints is kept out of every message;
    /// what it writes to standard error is shown.
    ///
    /// - Parameters:
    ///   - command: the program, a path or a name in $PATH, and its arguments.
    /// - Throws: a `usage` failure when it cannot be run or does not give a password, `temporary`
    ///   when it takes longer than a minute.
    package static func run(
        _ command: [String], seconds: Double = PasswordCommand.patience
    ) throws(Failure) -> [UInt8] {
        guard let program = command.first else {
            throw Failure(.usage, "the password command is empty")
        }
        let what = "password command \(program)"
        let output: CommandOutput
        do throws(CommandOutput.Trouble) {
            output = try CommandOutput.of(
                program, Array(command.dropFirst()), limit: limit, seconds: seconds)
        } catch {
            switch error {
            case .tooSlow:
                throw Failure(
                    .temporary, "\(what) has not ended after \(Int(seconds)) seconds",
                    hint: "It has no terminal: it must not ask for anything.")
            case .tooMuch:
                throw Failure(.usage, "\(what) prints more than \(limit) bytes")
            case .system(let error):
                throw Failure(.usage, "\(what) cannot be run", cause: error.reason)
            }
        }
        guard output.status == .exited(0) else {
            throw Failure(
                .usage, "\(what) failed", cause: "\(output.status)",
                hint: "What it says about it is above.")
        }
        let line = PasswordFile.firstLine(output.bytes)
        guard !line.isEmpty else { throw Failure(.usage, "\(what) prints no password") }
        return line
    }
}
