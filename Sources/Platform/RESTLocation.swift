/// The place that a `rest:` URL names, apart from what opens it.
package struct RESTLocation: Sendable, Hashable, CustomStringConvertible {
    /// The URL of the repository, with a slash at its end and without credentials.
    package var url: String
    /// From the URL, else from RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD.
    package var user: String?
    package var password: String?
    /// The URL as it was given, with the credentials in it.
    var configured: String

    /// Reads what stands behind `rest:`: `http(s)://[user:password@]host[:port]/path`.
    ///
    /// - Throws: a `usage` failure that never shows the URL's credentials.
    package static func parse(
        _ text: String, variable: (String) -> String? = { Environment.variable($0) }
    ) throws(Failure) -> RESTLocation {
        var user: String?
        var password: String?
        var rest = text[...]
        guard let scheme = ["https://", "http://"].first(where: { rest.hasPrefix($0) }) else {
            throw RESTLocation.mistake("it needs http:// or https:// behind `rest:`")
        }
        rest = rest.dropFirst(scheme.count)
        let end = rest.firstIndex(of: "/") ?? rest.endIndex
        var authority = rest[..<end]
        if let at = authority.lastIndex(of: "@") {
            let parts = authority[..<at].split(
                separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = parts.first.flatMap { RESTLocation.decode($0) }
            password = parts.count > 1 ? RESTLocation.decode(parts[1]) : ""
            guard user != nil, password != nil else {
                throw RESTLocation.mistake("its user or password is not encoded as in URLs")
            }
            authority = authority[authority.index(after: at)...]
        } else if let name = variable("RESTIC_REST_USERNAME") {
            user = name
            password = variable("RESTIC_REST_PASSWORD") ?? ""
        }
        guard !authority.isEmpty else { throw RESTLocation.mistake("it names no host") }
        let path = rest[end...]
        guard !path.contains("?"), !path.contains("#") else {
            throw RESTLocation.mistake("its path holds `?` or `#`")
        }
        var url = scheme + authority + path
        if !url.hasSuffix("/") { url += "/" }
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x5C }) else {
            throw RESTLocation.mistake("it holds what has to be encoded in URLs")
        }
        return RESTLocation(url: url, user: user, password: password, configured: text)
    }

    /// The repository called `name` below this one.
    func below(_ name: String) -> RESTLocation {
        var location = self
        location.url += "\(name)/"
        location.configured += (configured.hasSuffix("/") ? "" : "/") + "\(name)/"
        return location
    }

    /// The URL without credentials.
    package var description: String { url }

    private static func decode(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func mistake(_ cause: String) -> Failure {
        Failure(
            .usage, "the rest: URL of the store cannot be used", cause: cause,
            hint: "rest:https://host:8000/path/, with the user and password in "
                + "RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD")
    }
}
