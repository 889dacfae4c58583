import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// A place of its own on the tests' S3 server, and requests that go past the backend.
struct S3Bench {
    let server: S3Server
    let location: S3Location
    let backend: S3Backend
    let credentials: S3CredentialSource

    /// - Parameters:
    ///   - same: the backend whose place it is, instead of a new one.
    ///   - variables: changes of the environment that the backend sees.
    init(
        _ same: S3Backend? = nil, server: S3Server? = S3Server.shared,
        variables: [String: String] = [:], clock: any WallClock = SystemClock(),
        _ change: (inout BackendOptions) -> Void = { _ in }
    ) throws {
        self.server = try #require(server)
        let url = same?.location ?? self.server.url()
        guard case .s3(let place) = try BackendURL.parse(url, in: "/") else {
            throw TestError("\(url) is not on S3")
        }
        location = place
        var options = BackendOptions()
        change(&options)
        let environment = self.server.variables.merging(variables) { $1 }
        credentials = S3CredentialSource(profile: nil, clock: clock) { environment[$0] }
        backend = S3Backend(place, options, credentials: credentials, clock: clock)
    }

    /// Sends a signed request on `path` below the store.
    func raw(
        _ method: HTTPMethod, _ path: String, query: [(name: String, value: String)] = [],
        _ body: [UInt8] = []
    ) throws -> HTTPResponse {
        let key =
            path.isEmpty ? "/\(location.bucket)" : "/\(location.bucket)/\(location.prefix)/\(path)"
        let date = SignatureV4.date(SystemClock().now())
        let payload = "\(SHA256Hasher.hash(body.span))"
        let headers = [(name: "x-amz-content-sha256", value: payload), ("x-amz-date", date)]
        let authorization = SignatureV4.authorization(
            method: method.rawValue, path: key, query: query,
            headers: headers + [("host", location.authority)], payload: payload, date: date,
            region: "us-east-1",
            credentials: S3Credentials(accessKey: server.accessKey, secretKey: server.secretKey))
        let text = SignatureV4.canonicalQuery(query)
        let request = HTTPRequest(
            method, server.endpoint + key + (text.isEmpty ? "" : "?\(text)"),
            headers: headers + [("Authorization", authorization)])
        return try HTTPClient(HTTPOptions()).send(request, body: body.span)
    }

    /// Stores any bytes at any place.
    func putRaw(_ path: String, _ bytes: [UInt8]) throws {
        let response = try raw(.put, path, bytes)
        #expect(response.isSuccess, "\(response)")
    }

    /// The keys of the uploads that are under way below the store.
    func uploads() throws -> [String] {
        let response = try raw(
            .get, "", query: [("uploads", ""), ("prefix", location.prefix + "/")])
        #expect(response.isSuccess, "\(response)")
        return String(decoding: response.body, as: UTF8.self).components(separatedBy: "<Upload>")
            .dropFirst().compactMap {
                $0.components(separatedBy: "<Key>").last?.components(separatedBy: "</Key>").first
            }
    }
}
