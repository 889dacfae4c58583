internal import FoundationEssentials
package import Platform

/// Where the keys of requests come from, tried in the order of AWS's own tools: the environment,
/// the shared credentials file, the container's service, the machine's service.
///
/// Keys that expire are fetched anew some minutes before; one thread does it, others wait.
package final class S3CredentialSource: Sendable {
    private let profile: String?
    private let variable: @Sendable (String) -> String?
    private let clock: any WallClock
    private let http: HTTPClient
    private let cached = Monitor<S3Credentials?>(nil)

    /// Seconds before the end at which keys are renewed.
    private static let margin: Int64 = 300

    /// - Parameters:
    ///   - profile: the profile of the file; nil for $AWS_PROFILE.
    ///   - variable: the environment.
    package init(
        profile: String?, clock: any WallClock = SystemClock(),
        variable: @escaping @Sendable (String) -> String? = { Environment.variable($0) }
    ) {
        self.profile = profile
        self.clock = clock
        self.variable = variable
        var options = HTTPOptions()
        // These services are on the machine or beside it: who does not answer is not there.
        options.connectTimeout = 2
        options.stallSeconds = 5
        options.connections = 1
        options.usesProxy = false
        http = HTTPClient(options)
    }

    /// Whether asking again may give other keys.
    var canRenew: Bool { cached.with { $0?.expires != nil } }

    /// The keys to sign with now; with `renewing` those that were just refused are not used.
    package func current(renewing: Bool = false) throws(BackendError) -> S3Credentials {
        let now = clock.now().seconds
        let result = cached.with { cached -> Result<S3Credentials, BackendError> in
            if let keys = cached, !renewing,
                keys.expires.map({ $0.seconds - now > S3CredentialSource.margin }) ?? true
            {
                return .success(keys)
            }
            do throws(BackendError) {
                let keys = try find()
                cached = keys
                return .success(keys)
            } catch {
                // What has not expired yet is still good while the service does not answer.
                if let keys = cached, !renewing, let end = keys.expires, end.seconds > now {
                    return .success(keys)
                }
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func find() throws(BackendError) -> S3Credentials {
        if profile == nil, let keys = fromEnvironment() { return keys }
        if let keys = try fromFile() { return keys }
        if let keys = try fromContainer() { return keys }
        if let keys = try fromMachine() { return keys }
        throw .refused(
            nil, cause: "there are no S3 credentials",
            hint: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write "
                + "~/.aws/credentials.")
    }

    private func fromEnvironment() -> S3Credentials? {
        guard let access = variable("AWS_ACCESS_KEY_ID"),
            let secret = variable("AWS_SECRET_ACCESS_KEY")
        else { return nil }
        return S3Credentials(
            accessKey: access, secretKey: secret, token: variable("AWS_SESSION_TOKEN"))
    }

    private func fromFile() throws(BackendError) -> S3Credentials? {
        let named = variable("AWS_SHARED_CREDENTIALS_FILE")
        guard let path = named ?? variable("HOME").map({ "\($0)/.aws/credentials" }) else {
            return nil
        }
        let name = profile ?? variable("AWS_PROFILE") ?? "default"
        let isWanted = profile != nil || named != nil || variable("AWS_PROFILE") != nil
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try AtomicFile.read(path, limit: 1 << 20)
        } catch {
            guard isWanted || error.code != Errno.noEntry else { return nil }
            throw .refused(
                nil, cause: "the credentials file \(path) cannot be read: \(error.reason)",
                hint: "AWS_SHARED_CREDENTIALS_FILE names another one.")
        }
        if let keys = S3Credentials.parse(String(decoding: bytes, as: UTF8.self), profile: name) {
            return keys
        }
        guard isWanted else { return nil }
        throw .refused(nil, cause: "\(path) has no keys of the profile `\(name)`")
    }

    // MARK: Services

    private func fromContainer() throws(BackendError) -> S3Credentials? {
        let url: String
        if let path = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            url = "http://169.254.170.2" + path
        } else if let full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            guard S3CredentialSource.isTrusted(full) else {
                throw .refused(
                    nil, cause: "AWS_CONTAINER_CREDENTIALS_FULL_URI names a foreign host",
                    hint: "Allowed are https, and http on this machine alone.")
            }
            url = full
        } else {
            return nil
        }
        var headers: [(name: String, value: String)] = []
        if let token = try containerToken() { headers.append(("Authorization", token)) }
        return try keys(get(url, headers), from: "the container's credentials")
    }

    private func containerToken() throws(BackendError) -> String? {
        guard let path = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") else {
            return variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        }
        do throws(SystemError) {
            let bytes = try AtomicFile.read(path, limit: 64 << 10)
            return String(decoding: bytes.filter { $0 > 0x20 && $0 < 0x7F }, as: UTF8.self)
        } catch {
            throw .refused(nil, cause: "the token file \(path) cannot be read: \(error.reason)")
        }
    }

    /// Whether keys may be asked for there: what goes unencrypted stays on the machine.
    static func isTrusted(_ url: String) -> Bool {
        if url.hasPrefix("https://") { return true }
        guard url.hasPrefix("http://") else { return false }
        let authority = url.dropFirst("http://".count).prefix { $0 != "/" && $0 != "?" }
        if authority.contains("@") { return false }
        if authority.hasPrefix("[::1]") { return true }
        let host = authority.prefix { $0 != ":" }
        return ["localhost", "127.0.0.1", "169.254.170.2", "169.254.170.23"].contains(String(host))
    }

    private func fromMachine() throws(BackendError) -> S3Credentials? {
        guard variable("AWS_EC2_METADATA_DISABLED")?.lowercased() != "true" else { return nil }
        let base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? "http://169.254.169.254"
        let token: HTTPResponse
        do throws(HTTPError) {
            let none: [UInt8] = []
            token = try http.send(
                HTTPRequest(
                    .put, base + "/latest/api/token",
                    headers: [("X-aws-ec2-metadata-token-ttl-seconds", "21600")], limit: 4096),
                body: none.span)
        } catch {
            // Most machines have no such service.
            return nil
        }
        guard token.isSuccess else { return nil }
        let header = [
            (name: "X-aws-ec2-metadata-token", value: String(decoding: token.body, as: UTF8.self))
        ]
        let place = base + "/latest/meta-data/iam/security-credentials/"
        let roles = try get(place, header)
        guard
            let role = String(decoding: roles, as: UTF8.self).split(whereSeparator: \.isNewline)
                .first
        else { return nil }
        return try keys(get(place + role, header), from: "the machine's credentials")
    }

    private func get(
        _ url: String, _ headers: [(name: String, value: String)]
    ) throws(BackendError) -> [UInt8] {
        var body: [UInt8] = []
        do throws(HTTPError) {
            let response = try http.send(
                HTTPRequest(.get, url, headers: headers, limit: 64 << 10), into: &body)
            if response.isSuccess { return body }
            throw HTTPError.temporary("it answered \(response.status)")
        } catch {
            throw .temporary(nil, cause: "the service of S3 credentials failed: \(error)")
        }
    }

    private struct Document: Decodable {
        var AccessKeyId: String
        var SecretAccessKey: String
        var Token: String
        var Expiration: String
    }

    private func keys(
        _ bytes: [UInt8], from what: String
    ) throws(BackendError) -> S3Credentials {
        guard let document = try? JSONDecoder().decode(Document.self, from: Data(bytes)) else {
            throw .temporary(nil, cause: "\(what) are not what was expected")
        }
        let text = Array(document.Expiration.utf8)
        guard let expires = parseRFC3339Nano(text.span) else {
            throw .temporary(nil, cause: "\(what) have an unreadable end")
        }
        return S3Credentials(
            accessKey: document.AccessKeyId, secretKey: document.SecretAccessKey,
            token: document.Token, expires: expires)
    }
}
