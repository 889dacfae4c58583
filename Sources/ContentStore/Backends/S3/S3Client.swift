internal import Platform

/// A request on a bucket.
struct S3Request {
    var method: HTTPMethod
    /// The key below the bucket; empty for the bucket itself.
    var key = ""
    var query: [(name: String, value: String)] = []
    var headers: [(name: String, value: String)] = []
    /// The SHA-256 of the body.
    var payload = S3Request.nothing
    /// The object that it is about, for errors.
    var object: ObjectKey?
    /// The most bytes of the answer.
    var limit = 1 << 20
    var patience: Double?

    init(_ method: HTTPMethod, _ key: String = "") {
        self.method = method
        self.key = key
    }

    /// The SHA-256 of no bytes.
    static let nothing = SHA256Hasher().finish()

    /// The request for people, without keys or signatures.
    var label: String {
        let operation =
            query.first { $0.value.isEmpty }?.name
            ?? query.first { ["list-type", "uploadId"].contains($0.name) }?.name
        return "\(method.rawValue) \(key)" + (operation.map { "?\($0)" } ?? "")
    }
}

/// Signs requests and sends them to one bucket; for any number of threads.
///
/// A request is sent again only where the server says how it wants it: for the region that the
/// bucket is in, or with fresh credentials.
final class S3Client: Sendable {
    let http: HTTPClient
    private let addressing: S3Addressing
    private let credentials: S3CredentialSource
    private let region: Monitor<String>
    private let clock: any WallClock

    init(
        _ location: S3Location, _ options: BackendOptions, credentials: S3CredentialSource,
        clock: any WallClock
    ) {
        http = HTTPClient(options.http)
        addressing = S3Addressing(location, pathStyle: options.s3.pathStyle)
        self.credentials = credentials
        self.clock = clock
        region = Monitor(
            options.s3.region ?? Environment.variable("AWS_REGION")
                ?? Environment.variable("AWS_DEFAULT_REGION") ?? "us-east-1")
    }

    /// Sends a request with the body `bytes`, whose SHA-256 the request states.
    func send(
        _ request: S3Request, body bytes: Span<UInt8>
    ) throws(BackendError) -> HTTPResponse {
        var attempts = Attempts()
        while true {
            let signed = try sign(request, attempts.freshCredentials)
            let response: HTTPResponse
            do throws(HTTPError) {
                response = try http.send(signed, body: bytes)
            } catch {
                throw S3Client.error(error, request)
            }
            if response.isSuccess { return response }
            guard try attempts.mayRepeat(self, S3Problem(response)) else {
                return response
            }
        }
    }

    /// Sends a request with a part of a file as its body.
    func send(
        _ request: S3Request, body file: borrowing Descriptor, _ range: Range<UInt64>
    ) throws(BackendError) -> HTTPResponse {
        var attempts = Attempts()
        while true {
            let signed = try sign(request, attempts.freshCredentials)
            let response: HTTPResponse
            do throws(HTTPError) {
                response = try http.send(signed, body: file, range)
            } catch {
                throw S3Client.error(error, request)
            }
            if response.isSuccess { return response }
            guard try attempts.mayRepeat(self, S3Problem(response)) else {
                return response
            }
        }
    }

    /// Sends a request without a body; a successful answer's is appended to `output`.
    func send(
        _ request: S3Request, into output: inout [UInt8]
    ) throws(BackendError) -> HTTPResponse {
        var attempts = Attempts()
        while true {
            let signed = try sign(request, attempts.freshCredentials)
            let response: HTTPResponse
            do throws(HTTPError) {
                response = try http.send(signed, into: &output)
            } catch {
                throw S3Client.error(error, request)
            }
            if response.isSuccess { return response }
            guard try attempts.mayRepeat(self, S3Problem(response)) else {
                return response
            }
        }
    }

    private func sign(_ request: S3Request, _ fresh: Bool) throws(BackendError) -> HTTPRequest {
        let keys = try credentials.current(renewing: fresh)
        let path =
            addressing.root + "/" + SignatureV4.encode(request.key, keepingSlashes: true)
        let date = SignatureV4.date(clock.now())
        let payload = request.payload.description
        var headers = request.headers
        headers.append(("x-amz-content-sha256", payload))
        headers.append(("x-amz-date", date))
        if let token = keys.token { headers.append(("x-amz-security-token", token)) }
        let authorization = SignatureV4.authorization(
            method: request.method.rawValue, path: path, query: request.query,
            headers: headers + [("host", addressing.authority)], payload: payload, date: date,
            region: region.with { $0 }, credentials: keys)
        headers.append(("Authorization", authorization))
        let query = SignatureV4.canonicalQuery(request.query)
        return HTTPRequest(
            request.method, addressing.base + path + (query.isEmpty ? "" : "?\(query)"),
            headers: headers, limit: request.limit, patience: request.patience)
    }

    private static func error(_ error: HTTPError, _ request: S3Request) -> BackendError {
        switch error {
        case .temporary(let reason):
            .temporary(request.object, cause: "\(request.label): \(reason)")
        case .permanent(let reason):
            .refused(request.object, cause: "\(request.label): \(reason)")
        case .tooLong:
            if let object = request.object {
                .damaged(object, cause: "it is longer than the limit of \(request.limit) bytes")
            } else {
                .refused(nil, cause: "\(request.label): the answer is too long")
            }
        }
    }

    /// What was tried of one request.
    private struct Attempts {
        private var followedRegion = false
        private(set) var freshCredentials = false

        /// Whether the server's answer says how the request would be taken; notes it.
        mutating func mayRepeat(
            _ client: S3Client, _ problem: S3Problem
        ) throws(BackendError) -> Bool {
            if problem.isExpired, !freshCredentials, client.credentials.canRenew {
                freshCredentials = true
                return true
            }
            guard [301, 307, 400, 403].contains(problem.status), !followedRegion,
                let region = problem.region, region.utf8.count < 64
            else { return false }
            followedRegion = true
            return client.region.with { current in
                guard current != region else { return false }
                current = region
                return true
            }
        }
    }
}
