package import Platform

/// A repository in a bucket of an S3 server, in restic's layout below a prefix.
///
/// - Writes: an object is there whole or not at all, and durable when the server says 200. Its
///   name, the SHA-256 of its bytes, is part of the signed request, so a server never takes
///   other bytes for it.
/// - Consistency: as the server's. AWS, and most others, show what was written at once.
package final class S3Backend: Backend {
    package let location: String
    let client: S3Client
    let options: S3Options
    /// Before the path of each object: empty, or with a slash at its end.
    let prefix: String

    /// What went over the network for this backend.
    package var counters: RequestCounters { client.http.counters }

    /// Describes the place; connects nowhere yet.
    package init(
        _ location: S3Location, _ options: BackendOptions,
        credentials: S3CredentialSource? = nil, clock: any WallClock = SystemClock()
    ) {
        self.location = "s3:\(location)"
        self.options = options.s3
        prefix = location.prefix.isEmpty ? "" : location.prefix + "/"
        client = S3Client(
            location, options,
            credentials: credentials
                ?? S3CredentialSource(profile: options.s3.profile, clock: clock),
            clock: clock)
    }

    func request(_ method: HTTPMethod, _ key: ObjectKey) -> S3Request {
        var request = S3Request(method, prefix + key.path)
        request.object = key
        return request
    }

    /// The error of an answer that is no success.
    func error(_ response: HTTPResponse, _ request: S3Request) -> BackendError {
        S3Problem(response).error(request.object, request.label)
    }

    // MARK: Writing

    package func put(_ key: ObjectKey, _ bytes: Span<UInt8>) throws(BackendError) {
        guard let id = key.id else { return try putConfig(bytes) }
        var request = request(.put, key)
        request.payload = id
        if let md5 = MD5Hasher() {
            md5.update(bytes)
            request.headers.append(("Content-MD5", base64(md5.finish())))
        }
        let response = try client.send(request, body: bytes)
        guard response.isSuccess else { throw missingPlace(error(response, request), request) }
    }

    package func put(
        _ key: ObjectKey, from file: borrowing Descriptor, size: UInt64
    ) throws(BackendError) {
        guard size <= options.multipartThreshold, let id = key.id else {
            return try putParts(key, file, size)
        }
        var request = request(.put, key)
        request.payload = id
        let hashes = try hash(file, 0..<size, key)
        if let md5 = hashes.md5 { request.headers.append(("Content-MD5", md5)) }
        let response = try client.send(request, body: file, 0..<size)
        guard response.isSuccess else { throw missingPlace(error(response, request), request) }
    }

    /// On a write nothing can be missing but the bucket.
    func missingPlace(_ error: BackendError, _ request: S3Request) -> BackendError {
        guard case .missing(let key) = error else { return error }
        return .refused(key, cause: "\(request.label): 404", hint: "Does the bucket exist?")
    }

    /// The config must not be replaced, also not by two who make a store at once.
    ///
    /// With `If-None-Match` the server sees to that. Of servers that do not know the header some
    /// refuse it and others pass over it: what is there is read before, and again afterwards.
    private func putConfig(_ bytes: Span<UInt8>) throws(BackendError) {
        if let there = try config() { return try S3Backend.compare(there, bytes) }
        var request = request(.put, .config)
        request.payload = SHA256Hasher.hash(bytes)
        request.headers = [("If-None-Match", "*")]
        if let md5 = MD5Hasher() {
            md5.update(bytes)
            request.headers.append(("Content-MD5", base64(md5.finish())))
        }
        var response = try client.send(request, body: bytes)
        let refused = S3Problem(response)
        if [400, 501].contains(response.status), !refused.isTemporary {
            request.headers.removeFirst()
            response = try client.send(request, body: bytes)
        }
        guard response.isSuccess || response.status == 412 else {
            throw missingPlace(error(response, request), request)
        }
        guard let there = try config() else {
            throw .temporary(.config, cause: "\(request.label): it is not there yet")
        }
        try S3Backend.compare(there, bytes)
    }

    private func config() throws(BackendError) -> [UInt8]? {
        do throws(BackendError) {
            return try get(.config, limit: 1 << 20)
        } catch {
            if case .missing = error { return nil }
            throw error
        }
    }

    private static func compare(
        _ there: [UInt8], _ bytes: Span<UInt8>
    ) throws(BackendError) {
        let isSame =
            there.count == bytes.count && there.indices.allSatisfy { there[$0] == bytes[$0] }
        guard isSame else { throw .exists(.config) }
    }

    // MARK: Reading

    package func get(_ key: ObjectKey, limit: Int) throws(BackendError) -> [UInt8] {
        var request = request(.get, key)
        request.limit = limit
        var output: [UInt8] = []
        let response = try client.send(request, into: &output)
        guard response.isSuccess else { throw error(response, request) }
        return output
    }

    package func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError) {
        guard !range.isEmpty else { return }
        var request = request(.get, key)
        request.headers = [("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")]
        request.limit = Int(range.upperBound - range.lowerBound)
        let start = output.count
        let response: HTTPResponse
        do throws(BackendError) {
            response = try client.send(request, into: &output)
        } catch {
            guard case .damaged = error else { throw error }
            throw S3Backend.noParts(key, request)
        }
        guard response.isSuccess else {
            guard response.status != 416 else {
                throw .damaged(key, cause: "it ends before byte \(range.lowerBound)")
            }
            throw error(response, request)
        }
        do throws(BackendError) {
            try S3Backend.check(response, key, range, got: output.count - start, request)
        } catch {
            output.removeSubrange(start...)
            throw error
        }
    }

    /// It gave the whole object, which says nothing about its length.
    private static func noParts(_ key: ObjectKey, _ request: S3Request) -> BackendError {
        .refused(key, cause: "\(request.label): the server does not give parts of objects")
    }

    /// Whether an answer holds the whole range and nothing else.
    private static func check(
        _ response: HTTPResponse, _ key: ObjectKey, _ range: Range<UInt64>, got: Int,
        _ request: S3Request
    ) throws(BackendError) {
        // Some servers (rclone's) say 200 beside the range that they give.
        guard let text = response.header("content-range"),
            let (part, total) = parse(contentRange: text), part.lowerBound == range.lowerBound
        else {
            throw noParts(key, request)
        }
        if let total, total < range.upperBound {
            throw .damaged(key, cause: "it ends at byte \(total), before \(range.upperBound)")
        }
        guard part == range, got == range.count else {
            throw .temporary(key, cause: "\(request.label): the answer is not what was asked for")
        }
    }

    /// `bytes 0-9/443`, or `*` for an unknown length.
    static func parse(contentRange text: String) -> (Range<UInt64>, total: UInt64?)? {
        let parts = text.split(whereSeparator: { $0 == " " || $0 == "-" || $0 == "/" })
        guard parts.count == 4, parts[0] == "bytes", let first = UInt64(parts[1]),
            let last = UInt64(parts[2]), first <= last, last < .max
        else { return nil }
        return (first..<(last + 1), UInt64(parts[3]))
    }

    package func size(_ key: ObjectKey) throws(BackendError) -> UInt64? {
        let request = request(.head, key)
        var none: [UInt8] = []
        let response = try client.send(request, into: &none)
        guard response.isSuccess else {
            let found = error(response, request)
            if case .missing = found { return nil }
            guard case .refused = found else { throw found }
            throw try explain(found, key)
        }
        guard let length = response.header("content-length").flatMap({ UInt64($0) }) else {
            throw .refused(key, cause: "\(request.label): the server gives no length")
        }
        return length
    }

    /// An answer to HEAD has no text that says what is wrong: one to GET has.
    private func explain(_ found: BackendError, _ key: ObjectKey) throws(BackendError)
        -> BackendError
    {
        var request = request(.get, key)
        request.headers = [("Range", "bytes=0-0")]
        var none: [UInt8] = []
        let response = try client.send(request, into: &none)
        return response.isSuccess || response.status == 416 ? found : error(response, request)
    }
}
