internal import Glibc

/// An extended regular expression of POSIX, as `grep -E` takes it, over the bytes of a text.
///
/// A pattern is compiled once; matching needs time proportional to the text.
@safe package final class Expression: @unchecked Sendable {
    // Written by init and deinit alone; regexec may be called from several threads.
    private var compiled = unsafe regex_t()

    /// Compiles `pattern`.
    ///
    /// - Throws: a `usage` failure that says what is wrong with it.
    package init(_ pattern: String) throws(Failure) {
        guard !pattern.utf8.contains(0) else {
            throw Failure(.usage, "a pattern cannot hold a zero byte")
        }
        let code = unsafe regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB)
        guard code == 0 else {
            var text = [CChar](repeating: 0, count: 256)
            _ = unsafe regerror(code, &compiled, &text, text.count)
            let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw Failure(
                .usage, "`\(pattern)` is not a regular expression",
                cause: String(decoding: bytes, as: UTF8.self))
        }
    }

    deinit {
        unsafe regfree(&compiled)
    }

    /// Whether some part of `text` matches.
    package func matches(_ text: String) -> Bool {
        unsafe regexec(&compiled, text, 0, nil, 0) == 0
    }
}
