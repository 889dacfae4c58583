internal import ArgumentParser
internal import Platform

/// Exit codes: documented API, the same for every command.
enum Exit {
    static let fatal: Int32 = 1
    static let usage: Int32 = 2
    static let partly: Int32 = 3
    static let locked: Int32 = 4
    static let truncated: Int32 = 5
    static let cancelled: Int32 = 130

    /// Runs `body`, tells what went wrong on standard error, and ends the process.
    static func end(_ body: () throws -> Void) -> Never {
        do {
            try body()
            Environment.exit(0)
        } catch {
            Environment.exit(report(error))
        }
    }

    /// The exit code for a failure of class `kind`.
    static func code(_ kind: FailureClass) -> Int32 {
        switch kind {
        case .usage: usage
        case .locked: locked
        case .unhealthy: partly
        case .truncated: truncated
        case .cancelled: cancelled
        case .temporary, .module, .store, .bug: fatal
        }
    }

    /// The exit code for an error of a command.
    static func code(of error: any Error) -> Int32 {
        switch error {
        case let code as ExitCode: code.rawValue
        case let failure as Failure: code(failure.kind)
        default: fatal
        }
    }

    private static func report(_ error: any Error) -> Int32 {
        switch error {
        case let code as ExitCode:
            return code.rawValue
        case let failure as Failure:
            complain(failure.description)
            return code(failure.kind)
        case let error as SystemError:
            // A reader that went away (`cistern ... | head`) is no failure worth a line.
            if error.code != Errno.brokenPipe { complain(error.description) }
            return fatal
        default:
            return reportParsing(error)
        }
    }

    private static func reportParsing(_ error: any Error) -> Int32 {
        let message = Cistern.fullMessage(for: error)
        guard Cistern.exitCode(for: error) == .success else {
            let isParsing = Cistern.exitCode(for: error) == .validationFailure
            if isParsing {
                try? Environment.write(message + "\n", to: 2)
            } else {
                complain("\(error)")
            }
            return isParsing ? usage : fatal
        }
        // `--help` and `--version` arrive as errors that carry the text.
        try? Environment.write(message + "\n", to: 1)
        return 0
    }

    private static func complain(_ text: String) {
        // Standard error is the last place to tell anything: there is none to report its own to.
        try? Environment.write("cistern: \(text)\n", to: 2)
    }
}
