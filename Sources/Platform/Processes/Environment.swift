internal import CLinux
internal import Glibc

/// What the process was started with and into.
package enum Environment {
    /// The environment variable `name`, if it is set and not empty.
    package static func variable(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }

    /// Whether the descriptor (1 stdout, 2 stderr) is a terminal.
    package static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// The columns of the terminal behind the descriptor; 80 when it is not known.
    package static func columns(_ descriptor: Int32) -> Int {
        let width = Int(cl_terminal_columns(descriptor))
        return width > 0 ? width : 80
    }

    /// Writes all of `text` to the descriptor (1 stdout, 2 stderr).
    package static func write(_ text: String, to descriptor: Int32) throws(SystemError) {
        try write(Array(text.utf8), to: descriptor)
    }

    /// Writes all of `bytes` to the descriptor.
    package static func write(_ bytes: [UInt8], to descriptor: Int32) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let (n, code) = unsafe bytes.withUnsafeBytes { pointer -> (Int, Int32) in
                let n = unsafe Glibc.write(
                    descriptor, pointer.baseAddress.map { unsafe $0 + done }, pointer.count - done)
                return (n, n < 0 ? errno : 0)
            }
            if n >= 0 {
                done += n
            } else if code != EINTR {
                throw SystemError(code, "write", descriptor == 1 ? "standard output" : "")
            }
        }
    }

    /// Ends the process at once with `code`.
    package static func exit(_ code: Int32) -> Never { Glibc.exit(code) }
}
