/// Where a store is: `file:PATH`, `s3:https://HOST[:PORT]/BUCKET[/PREFIX]`,
/// `rest:https://HOST[:PORT]/PATH/` and what restic writes for the same.
package enum BackendURL: Sendable, Hashable, CustomStringConvertible {
    /// A directory, by its absolute path.
    case file(path: String)
    case s3(S3Location)
    /// A server of restic's REST protocol.
    case rest(RESTLocation)

    /// The kinds that `parse` knows, for messages.
    package static let allowed =
        "file:PATH, s3:https://HOST/BUCKET/PREFIX, rest:https://HOST/PATH"

    /// Reads a URL; paths of files start at `folder` unless they are absolute.
    ///
    /// Throws a `usage` failure that does not repeat the URL: it may hold a password.
    package static func parse(_ text: String, in folder: String) throws(Failure) -> BackendURL {
        guard let colon = text.firstIndex(of: ":") else {
            throw Failure(
                .usage, "the store's URL has an unknown kind", hint: "allowed: \(allowed)")
        }
        let rest = String(text[text.index(after: colon)...])
        switch text[..<colon] {
        case "file":
            guard !rest.isEmpty else {
                throw Failure(.usage, "the store's URL has no path", hint: "url: file:./store")
            }
            return .file(path: Path.absolute(rest, in: folder))
        case "s3": return .s3(try S3Location.parse(rest))
        case "rest": return .rest(try RESTLocation.parse(rest))
        default:
            throw Failure(
                .usage, "the store's URL has an unknown kind", hint: "allowed: \(allowed)")
        }
    }

    /// The URL, without secrets; `parse` reads it again, but for the user in a `rest:` URL.
    package var description: String {
        switch self {
        case .file(let path): "file:\(path)"
        case .s3(let location): "s3:\(location)"
        case .rest(let location): "rest:\(location)"
        }
    }

    /// The URL as a configuration keeps it: with the user and password of a `rest:` URL, for
    /// `parse` and for nobody's eyes.
    package var configured: String {
        if case .rest(let location) = self { "rest:\(location.configured)" } else { description }
    }

    /// The place called `name` below this one.
    ///
    /// - Parameter name: letters, digits and `-`, which mean themselves in every kind of URL.
    package func below(_ name: String) -> BackendURL {
        switch self {
        case .file(let path): return .file(path: path == "/" ? "/\(name)" : "\(path)/\(name)")
        case .s3(var location):
            location.prefix += location.prefix.isEmpty ? name : "/\(name)"
            return .s3(location)
        case .rest(let location): return .rest(location.below(name))
        }
    }

    /// The directory of a store on this machine.
    package var localPath: String? {
        if case .file(let path) = self { path } else { nil }
    }
}

/// A bucket on an S3 server, and where in it the store begins.
package struct S3Location: Sendable, Hashable, CustomStringConvertible {
    /// `https`, or `http` where that was written.
    package var scheme: String
    package var host: String
    /// nil for the scheme's own.
    package var port: Int?
    package var bucket: String
    /// Without a slash at either end; empty for the bucket itself.
    package var prefix: String

    /// Host and port as they stand in a URL and in the header Host.
    package var authority: String { port.map { "\(host):\($0)" } ?? host }

    package var description: String {
        "\(scheme)://\(authority)/\(bucket)" + (prefix.isEmpty ? "" : "/\(prefix)")
    }

    private static let example = "s3:https://HOST/BUCKET/PREFIX"

    /// Reads what stands behind `s3:`.
    package static func parse(_ text: String) throws(Failure) -> S3Location {
        var rest = Substring(text)
        var scheme = "https"
        for name in ["https", "http"] where rest.hasPrefix("\(name)://") {
            scheme = name
            rest = rest.dropFirst(name.count + 3)
            break
        }
        // restic takes s3://host/bucket as well.
        if rest.hasPrefix("//") { rest = rest.dropFirst(2) }
        func wrong(_ what: String) -> Failure {
            Failure(.usage, "the store's URL \(what)", hint: example)
        }
        let parts = rest.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        guard !rest.hasPrefix("/"), let authority = parts.first, parts.count >= 2 else {
            throw wrong("names no host or no bucket")
        }
        guard !rest.contains("@") else {
            throw Failure(
                .usage, "the store's URL holds a user",
                hint: "Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile.")
        }
        let isPlain = rest.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != 0x5C }
        guard isPlain, !rest.contains("?"), !rest.contains("#"),
            !parts.contains(where: { $0 == "." || $0 == ".." })
        else { throw wrong("holds what no bucket or prefix may hold") }
        guard let (host, port) = split(authority) else { throw wrong("has an unusable host") }
        let bucket = parts[1]
        guard
            bucket.utf8.allSatisfy({ byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
                default: false
                }
            })
        else { throw wrong("has an unusable bucket") }
        let standard = scheme == "https" ? 443 : 80
        return S3Location(
            scheme: scheme, host: host.lowercased(), port: port == standard ? nil : port,
            bucket: bucket, prefix: parts.dropFirst(2).joined(separator: "/"))
    }

    private static func split(_ authority: String) -> (host: String, port: Int?)? {
        var host = authority
        var port: Int?
        let end = authority.lastIndex(of: "]") ?? authority.startIndex
        if let colon = authority[end...].lastIndex(of: ":") {
            guard let number = Int(authority[authority.index(after: colon)...]),
                (1...65535).contains(number)
            else { return nil }
            port = number
            host = String(authority[..<colon])
        }
        let isGood = host.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
            case 0x3A, 0x5B, 0x5D: host.hasPrefix("[") && host.hasSuffix("]")
            default: false
            }
        }
        return isGood && !host.isEmpty ? (host, port) : nil
    }
}
