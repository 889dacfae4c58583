package import Platform
internal import FoundationEssentials

/// A repository on a server of restic's REST protocol, version 1 or 2: rest-server, or `rclone
/// serve restic`, which opens what rclone knows.
///
/// Servers that only append are respected: what they refuse is `.refused`.
package final class RESTBackend: Backend {
    package let location: String
    private let url: String
    private let authorization: String?
    private let client: HTTPClient
    /// Whether the config was seen here: there is a repository then.
    private let isThere = Monitor(false)

    /// What a listing may hold at most: a hundred bytes for each of ten million objects.
    private static let listingLimit = 1 << 30
    private static let pieceSize: UInt64 = 8 << 20

    /// The repository at `place`, over `client`; nothing is sent yet.
    package init(_ place: RESTLocation, client: HTTPClient) {
        location = "rest:\(place)"
        url = place.url
        // RFC 7617.
        authorization = place.user.map { user in
            let text = "\(user):\(place.password ?? "")"
            return "Basic " + Data(text.utf8).base64EncodedString()
        }
        self.client = client
    }

    /// Makes the folders of a repository, where the server needs them to be made.
    private func create() throws(BackendError) {
        let nothing: [UInt8] = []
        let response = try send(.post, "?create=true", nil, body: nothing.span)
        // Servers answer so when there is one: making it again is no error.
        guard response.isSuccess || response.status == 409 || response.status == 403 else {
            throw error(response, .post, "?create=true", nil)
        }
    }

    package func put(_ key: ObjectKey, _ bytes: Span<UInt8>) throws(BackendError) {
        if key == .config, let size = try size(key) {
            guard size == UInt64(bytes.count), try isSame(key, bytes) else { throw .exists(key) }
            return
        }
        var response = try send(.post, path(key), key, body: bytes)
        if response.status == 404 {
            // The server wants repositories to be made first.
            try create()
            response = try send(.post, path(key), key, body: bytes)
        }
        if isTaken(response), let size = try size(key) {
            if size == UInt64(bytes.count), try isSame(key, bytes) { return }
            // A damaged one is replaced, where the server lets it be.
            try remove(key)
            response = try send(.post, path(key), key, body: bytes)
        }
        guard response.isSuccess else { throw error(response, .post, path(key), key) }
        if key == .config { isThere.with { $0 = true } }
    }

    package func put(
        _ key: ObjectKey, from file: borrowing Descriptor, size: UInt64
    ) throws(BackendError) {
        var response = try send(.post, path(key), key, file, 0..<size)
        if isTaken(response), let found = try self.size(key) {
            if found == size, try sum(key, size) == key.id { return }
            try remove(key)
            response = try send(.post, path(key), key, file, 0..<size)
        }
        guard response.isSuccess else { throw error(response, .post, path(key), key) }
    }

    /// Servers refuse to write over an object: rest-server always, others when they only append.
    private func isTaken(_ response: HTTPResponse) -> Bool {
        [403, 405, 409, 412].contains(response.status)
    }

    private func isSame(_ key: ObjectKey, _ bytes: Span<UInt8>) throws(BackendError) -> Bool {
        try sum(key, UInt64(bytes.count)) == SHA256Hasher.hash(bytes)
    }

    private func sum(_ key: ObjectKey, _ size: UInt64) throws(BackendError) -> Digest {
        let hasher = SHA256Hasher()
        var at: UInt64 = 0
        var piece: [UInt8] = []
        while at < size {
            let end = min(size, at + RESTBackend.pieceSize)
            piece.removeAll(keepingCapacity: true)
            try read(key, at..<end, into: &piece)
            hasher.update(piece.span)
            at = end
        }
        return hasher.finish()
    }

    package func get(_ key: ObjectKey, limit: Int) throws(BackendError) -> [UInt8] {
        let request = request(.get, path(key), limit: limit)
        var bytes: [UInt8] = []
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try client.send(request, into: &bytes)
        } catch {
            throw self.error(error, .get, path(key), key, limit: limit)
        }
        guard response.isSuccess else { throw try missing(response, .get, key) }
        if key == .config { isThere.with { $0 = true } }
        return bytes
    }

    package func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError) {
        guard !range.isEmpty else { return }
        var request = request(.get, path(key), limit: range.count)
        request.headers.append(("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
        let start = output.count
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try client.send(request, into: &output)
        } catch {
            guard error != .tooLong else {
                throw .refused(
                    key, cause: "GET \(path(key)): more came than the range that was asked for",
                    hint: "The server has to serve ranges.")
            }
            throw self.error(error, .get, path(key), key, limit: range.count)
        }
        if response.status == 416 {
            throw .damaged(key, cause: "it ends before byte \(range.upperBound)")
        }
        guard response.isSuccess else { throw try missing(response, .get, key) }
        let got = output.count - start
        // The whole object is right when the range begins with it.
        let isRange = response.status == 206 || range.lowerBound == 0
        guard got == range.count, isRange else {
            output.removeSubrange(start...)
            guard isRange else {
                throw .refused(
                    key, cause: "GET \(path(key)): the answer is not the range",
                    hint: "The server has to serve ranges.")
            }
            throw .damaged(
                key,
                cause: "it ends at byte \(range.lowerBound + UInt64(got)), before "
                    + "\(range.upperBound)")
        }
    }

    package func size(_ key: ObjectKey) throws(BackendError) -> UInt64? {
        let size = try askSize(key)
        if size == nil { try confirmAbsence("HEAD \(path(key))") }
        if key == .config, size != nil { isThere.with { $0 = true } }
        return size
    }

    private func askSize(_ key: ObjectKey) throws(BackendError) -> UInt64? {
        let nothing: [UInt8] = []
        let response = try send(.head, path(key), key, body: nothing.span)
        if response.status == 404 { return nil }
        guard response.isSuccess else { throw error(response, .head, path(key), key) }
        guard let length = response.header("content-length").flatMap({ UInt64($0) }) else {
            throw .refused(key, cause: "HEAD \(path(key)): the answer has no Content-Length")
        }
        return length
    }

    package func list(
        _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) {
        guard kind != .config else { return }
        var body = try listing(kind)
        if body == nil {
            try confirmAbsence("GET \(kind.folder)/")
            // Asked again: the failure may have been of that moment. A store has keys always.
            body = try listing(kind)
            if body == nil, kind == .key, isThere.with({ $0 }) {
                throw .temporary(nil, cause: "GET keys/: 404, and the store is there")
            }
        }
        guard let body else { return }
        let found: [(id: Digest, size: UInt64?)]
        do throws(Failure) {
            found = try RESTListing.parse(body)
        } catch {
            throw .temporary(nil, cause: "GET \(kind.folder)/: \(error)")
        }
        var seen = Set<Digest>()
        for object in found where seen.insert(object.id).inserted {
            // Version 1 lists names alone.
            if let size = object.size {
                try each(object.id, size)
            } else if let size = try size(ObjectKey(kind, object.id)) {
                try each(object.id, size)
            }
        }
    }

    /// The answer to GET of a folder; nil for 404.
    private func listing(_ kind: ObjectKind) throws(BackendError) -> [UInt8]? {
        let path = kind.folder + "/"
        var request = request(.get, path, limit: RESTBackend.listingLimit)
        request.headers.append(("Accept", "application/vnd.x.restic.rest.v2"))
        var body: [UInt8] = []
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try client.send(request, into: &body)
        } catch {
            throw self.error(error, .get, path, nil, limit: RESTBackend.listingLimit)
        }
        if response.status == 404 { return nil }
        guard response.isSuccess else { throw error(response, .get, path, nil) }
        return body
    }

    package func remove(_ key: ObjectKey) throws(BackendError) {
        let nothing: [UInt8] = []
        let response = try send(.delete, path(key), key, body: nothing.span)
        if response.status == 404 {
            guard try askSize(key) == nil else {
                throw .temporary(key, cause: "DELETE \(path(key)): 404, and it is there")
            }
            try confirmAbsence("DELETE \(path(key))")
        } else if !response.isSuccess {
            throw error(response, .delete, path(key), key)
        }
        if key == .config { isThere.with { $0 = false } }
    }

    /// Of a place that has a repository a 404 says that something is not there only while the
    /// config is: rclone gives it for every failure to reach what it serves.
    private func confirmAbsence(_ request: String) throws(BackendError) {
        guard isThere.with({ $0 }) else { return }
        guard try askSize(.config) != nil else {
            throw .temporary(nil, cause: "\(request): 404, and the same for the config")
        }
    }

    /// The error of an answer to a request for `key` that is no success.
    private func missing(
        _ response: HTTPResponse, _ method: HTTPMethod, _ key: ObjectKey
    ) throws(BackendError) -> BackendError {
        if response.status == 404 { try confirmAbsence("\(method.rawValue) \(path(key))") }
        return error(response, method, path(key), key)
    }

    /// What is half written is the server's to remove.
    package func removeLeftovers(olderThan time: Timestamp) throws(BackendError) -> Int { 0 }

    // MARK: Requests

    /// Packs lie in one folder here: the server has folders of its own.
    private func path(_ key: ObjectKey) -> String {
        key.id.map { "\(key.kind.folder)/\($0)" } ?? "config"
    }

    private func request(_ method: HTTPMethod, _ path: String, limit: Int) -> HTTPRequest {
        var headers: [(name: String, value: String)] = []
        if let authorization { headers.append(("Authorization", authorization)) }
        if method == .post { headers.append(("Content-Type", "application/octet-stream")) }
        return HTTPRequest(method, url + path, headers: headers, limit: limit)
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ key: ObjectKey?, body: Span<UInt8>
    ) throws(BackendError) -> HTTPResponse {
        do throws(HTTPError) {
            return try client.send(request(method, path, limit: 1 << 20), body: body)
        } catch {
            throw self.error(error, method, path, key, limit: 1 << 20)
        }
    }

    private func send(
        _ method: HTTPMethod, _ path: String, _ key: ObjectKey, _ file: borrowing Descriptor,
        _ range: Range<UInt64>
    ) throws(BackendError) -> HTTPResponse {
        do throws(HTTPError) {
            return try client.send(request(method, path, limit: 1 << 20), body: file, range)
        } catch {
            throw self.error(error, method, path, key, limit: 1 << 20)
        }
    }

    private func error(
        _ error: HTTPError, _ method: HTTPMethod, _ path: String, _ key: ObjectKey?, limit: Int
    ) -> BackendError {
        switch error {
        case .temporary(let cause):
            return .temporary(key, cause: "\(method.rawValue) \(path): \(cause)")
        case .permanent(let cause):
            return .refused(key, cause: "\(method.rawValue) \(path): \(cause)")
        case .tooLong:
            guard let key else {
                return .refused(nil, cause: "\(method.rawValue) \(path): an endless answer")
            }
            return .damaged(key, cause: "it is longer than the limit of \(limit) bytes")
        }
    }

    /// What an answer that is no success means.
    private func error(
        _ response: HTTPResponse, _ method: HTTPMethod, _ path: String, _ key: ObjectKey?
    ) -> BackendError {
        let text =
            String(decoding: response.body.prefix(200), as: UTF8.self)
            .split(whereSeparator: \.isNewline).first.map { " " + printable(Array($0.utf8)) } ?? ""
        let cause = "\(method.rawValue) \(path): \(response.status)\(text)"
        switch response.status {
        case 404:
            if let key { return .missing(key) }
            return .refused(nil, cause: cause, hint: "Check the path of the URL.")
        case 408, 423, 425, 429, 500, 502, 503, 504:
            return .temporary(key, cause: cause)
        case 401:
            return .refused(
                key, cause: cause,
                hint: "Set RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD.")
        case 403, 405:
            return .refused(
                key, cause: cause,
                hint: method == .delete
                    ? "The server only appends: remove it there." : "The server does not allow it.")
        case 413, 507:
            return .refused(key, cause: cause, hint: "Free space on the server.")
        default:
            return .refused(key, cause: cause)
        }
    }
}
