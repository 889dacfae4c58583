package import Platform

/// A file whose first line is the password of a store.
package enum PasswordFile {
    private static let limit = 64 << 10

    /// The password: the first line without its end.
    ///
    /// Throws a `usage` failure when the file is missing, empty, no regular file, or open to
    /// others than its owner.
    package static func read(_ path: String) throws(Failure) -> [UInt8] {
        let metadata: FileMetadata
        var bytes: [UInt8] = []
        do throws(SystemError) {
            // Without O_NONBLOCK a fifo in the place of the file would block here for ever.
            let file = try Descriptor.open(path, [.readOnly, .noBlock])
            metadata = try file.metadata()
            if metadata.kind == .file {
                _ = try file.read(appending: &bytes, upTo: limit)
            }
        } catch {
            throw Failure(
                .usage, "password file \(path) cannot be read", cause: error.reason,
                hint: "Name the file with the store's password.")
        }
        guard metadata.kind == .file else {
            throw Failure(.usage, "password file \(path) is a \(metadata.kind.rawValue)")
        }
        guard metadata.permissions & 0o077 == 0 else {
            throw Failure(
                .usage, "password file \(path) is open to others",
                cause: "its mode is 0\(String(metadata.permissions, radix: 8))",
                hint: "Run: chmod 600 \(path)")
        }
        let line = firstLine(bytes)
        guard !line.isEmpty else {
            throw Failure(.usage, "password file \(path) is empty")
        }
        guard line.count < limit else {
            throw Failure(.usage, "password file \(path) has a line of more than \(limit) bytes")
        }
        return line
    }

    /// The bytes before the first line end, which may be that of Windows.
    static func firstLine(_ bytes: [UInt8]) -> [UInt8] {
        var line = bytes.prefix { $0 != 0x0A }
        if line.last == 0x0D { line.removeLast() }
        return Array(line)
    }

    /// Makes the file `path` of mode 0600 with a random password of 256 bits, durably, and
    /// returns the password.
    ///
    /// Throws a `usage` failure when the file exists or cannot be written.
    package static func create(_ path: String) throws(Failure) -> [UInt8] {
        let password = random()
        do throws(SystemError) {
            let line = password + [0x0A]
            try AtomicFile.write(line.span, to: path, mode: 0o600, replacing: false)
        } catch {
            throw Failure(
                .usage, "password file \(path) cannot be made", cause: error.reason,
                hint: error.code == Errno.exists ? "Move the old one away, or use it." : nil)
        }
        return password
    }

    /// A password of 256 random bits that files, shells and environments take.
    package static func random() -> [UInt8] { base64URL(randomBytes(32)) }

    /// RFC 4648 section 5 without padding: safe in files, shells and environments.
    private static func base64URL(_ bytes: [UInt8]) -> [UInt8] {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var output: [UInt8] = []
        var pending: UInt32 = 0
        var bits: UInt32 = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                output.append(digits[Int(pending >> bits & 63)])
            }
        }
        if bits > 0 { output.append(digits[Int(pending << (6 - bits) & 63)]) }
        return output
    }
}
