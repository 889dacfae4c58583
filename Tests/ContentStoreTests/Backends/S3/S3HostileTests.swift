import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// Answers that no test server gives when it is asked nicely.
@Suite struct S3HostileTests {
    typealias Answer = LocalServer.Answer

    static let id = SHA256Hasher.hash([1].span)
    static let key = ObjectKey(.index, id)

    func backend(
        _ server: LocalServer, region: String? = nil, keys: S3CredentialSource? = nil,
        path: String = "b/p"
    ) throws -> S3Backend {
        var options = BackendOptions()
        options.s3.region = region
        guard case .s3(let location) = try BackendURL.parse("s3:\(server.url)/\(path)", in: "/")
        else {
            throw TestError("no S3 URL")
        }
        let fixed = S3CredentialSource(profile: nil) { name in
            ["AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s"][name]
        }
        return S3Backend(location, options, credentials: keys ?? fixed)
    }

    func error(
        _ code: String, _ status: Int, _ more: String = "", headers: [String: String] = [:]
    ) -> Answer {
        Answer(
            status, "<Error><Code>\(code)</Code><Message>m\u{1b}[31m</Message>\(more)</Error>",
            headers: headers)
    }

    @Test(arguments: [
        (500, "InternalError"), (503, "SlowDown"), (503, ""), (429, "TooManyRequests"),
        (408, ""), (502, ""), (504, ""), (400, "RequestTimeout"), (409, "OperationAborted"),
    ]) func whatMayPassIsTemporary(_ status: Int, _ code: String) throws {
        let server = try LocalServer { _ in
            code.isEmpty ? Answer(status) : self.error(code, status)
        }
        let backend = try backend(server)
        for call in [
            { try backend.put(Self.key, [1].span) }, { try backend.remove(Self.key) },
            { _ = try backend.get(Self.key, limit: 1) }, { _ = try backend.size(Self.key) },
            { try backend.list(.index) { _, _ in } },
            { try backend.remove([Self.key, .config]) },
            { try backend.put(.config, [1].span) },
        ] {
            let error = #expect(throws: BackendError.self) { try call() }
            guard case .temporary = error else {
                Issue.record("\(status) \(code): \(String(describing: error))")
                continue
            }
        }
        // Nothing was tried twice: a layer above does that.
        // An answer to HEAD has no word that says what is wrong: it is asked for by GET.
        #expect(server.requests.count == ([400, 409].contains(status) ? 8 : 7))
    }

    @Test(arguments: [(403, "AccessDenied"), (507, ""), (400, "InvalidRequest"), (401, "")])
    func whatWillNotPassIsRefused(_ status: Int, _ code: String) throws {
        let server = try LocalServer { _ in
            code.isEmpty ? Answer(status) : self.error(code, status)
        }
        let backend = try backend(server)
        let error = #expect(throws: BackendError.self) { try backend.put(Self.key, [1].span) }
        guard case .refused(_, let cause, _) = error else {
            throw TestError("\(String(describing: error))")
        }
        #expect(cause.contains("PUT p/index/\(Self.id)"))
        #expect(cause.contains("\(status)"))
        // What comes from outside does not steer the terminal.
        #expect(!cause.unicodeScalars.contains("\u{1b}"))
    }

    @Test(arguments: [true, false]) func theRegionIsFollowedOnce(_ inHeader: Bool) throws {
        let server = try LocalServer { request in
            if request.headers["authorization"]?.contains("/eu-west-9/s3/") == true {
                return Answer(200, "\u{1}")
            }
            return inHeader
                ? Answer(301, headers: ["x-amz-bucket-region": "eu-west-9"])
                : self.error(
                    "AuthorizationHeaderMalformed", 400, "<Region>eu-west-9</Region>")
        }
        let backend = try backend(server, region: "us-east-1")
        #expect(try backend.get(Self.key, limit: 1) == [1])
        #expect(server.requests.count == 2)
        #expect(try backend.get(Self.key, limit: 1) == [1])
        #expect(server.requests.count == 3)
    }

    @Test func aRegionThatChangesAllTheTimeEnds() throws {
        let count = Monitor(0)
        let server = try LocalServer { _ in
            let number = count.with {
                $0 += 1; return $0
            }
            return Answer(301, headers: ["x-amz-bucket-region": "region-\(number)"])
        }
        #expect(throws: BackendError.self) {
            try backend(server).get(Self.key, limit: 1)
        }
        #expect(server.requests.count == 2)
    }

    @Test func anExpiredSessionIsRenewedOnce() throws {
        let count = Monitor(0)
        let keys = try LocalServer { _ in
            let number = count.with {
                $0 += 1; return $0
            }
            return Answer(200, S3CredentialTests.document(number, until: "2099-01-01T00:00:00Z"))
        }
        let source = S3CredentialSource(profile: nil) { name in
            name == "AWS_CONTAINER_CREDENTIALS_FULL_URI" ? keys.url : nil
        }
        let server = try LocalServer { request in
            request.headers["x-amz-security-token"] == "t2"
                ? Answer(200, "\u{1}") : self.error("ExpiredToken", 400)
        }
        #expect(try backend(server, keys: source).get(Self.key, limit: 1) == [1])
        #expect(keys.requests.count == 2)
        // Of keys that nobody renews the error tells.
        let fixed = try backend(server)
        let error = #expect(throws: BackendError.self) { try fixed.get(Self.key, limit: 1) }
        #expect(error?.failure(at: "x").hint?.contains("session") == true)
    }

    /// A page of a listing of everything below `p/`.
    func objects(_ names: [String], next: String?) -> Answer {
        let keys = names.map { "<Contents><Key>p/\($0)</Key><Size>1</Size></Contents>" }
        return Answer(
            200,
            "<ListBucketResult><IsTruncated>\(next != nil)</IsTruncated>"
                + (next.map { "<NextContinuationToken>\($0)</NextContinuationToken>" } ?? "")
                + keys.joined() + "</ListBucketResult>")
    }

    /// One listing of all ends before the snapshots, where the server lists in order.
    @Test(arguments: [
        // In order: the second page is not asked for.
        (["config", "index", "locks", "snapshots"], ["snapshots"], true, 1, 3),
        // Not in order: index files may come on any page.
        (["locks", "config", "snapshots"], ["index"], true, 2, 3),
        (["config", "index"], ["keys", "locks"], true, 2, 4),
        // Something else lies in the bucket, perhaps very much of it.
        (["config", "index"], ["other"], false, 2, 2),
    ]) func oneListingOfAll(
        _ first: [String], _ second: [String], _ isWhole: Bool, _ requests: Int, _ count: Int
    ) throws {
        @Sendable func names(_ kinds: [String]) -> [String] {
            kinds.map { $0 == "config" ? $0 : "\($0)/\(Self.id)" }
        }
        let server = try LocalServer { request in
            request.path.contains("continuation-token")
                ? self.objects(names(second), next: nil)
                : self.objects(names(first), next: "t")
        }
        var found: [ObjectKey] = []
        #expect(try backend(server).listTogether { key, _ in found.append(key) } == isWhole)
        #expect(server.requests.count == requests)
        #expect(found.count == count && !found.contains { $0.kind == .snapshot }, "\(found)")
    }

    /// A server that has no word for versions keeps none; who may not list them does not know.
    @Test(
        arguments: [
            (200, "<ListVersionsResult/>", true),
            (501, "<Error><Code>NotImplemented</Code></Error>", false),
            (403, "<Error><Code>AccessDenied</Code></Error>", nil),
        ] as [(Int, String, Bool?)])
    func versionsAreAskedFor(_ status: Int, _ body: String, _ expected: Bool?) throws {
        let backend = try backend(try LocalServer { _ in Answer(status, body) })
        guard let expected else {
            #expect(throws: Failure.self) { try backend.askedForVersions() }
            return
        }
        #expect(try (backend.askedForVersions() != nil) == expected)
    }

    /// And none is left half written where the server says so in its own way.
    @Test(arguments: [(501, "NotImplemented"), (404, "NoSuchUpload")])
    func noUploadsAreNoFailure(_ status: Int, _ code: String) throws {
        let server = try LocalServer { _ in Answer(status, "<Error><Code>\(code)</Code></Error>") }
        #expect(try backend(server).removeLeftovers(olderThan: Timestamp(seconds: 1)) == 0)
    }

    /// Names are decoded only where the server says that it has encoded them.
    @Test(arguments: [("p+q", ""), ("p%2Bq", "<EncodingType>url</EncodingType>")])
    func namesAreAsTheServerSays(_ prefix: String, _ encoding: String) throws {
        let server = try LocalServer { _ in
            Answer(
                200,
                "<ListBucketResult>\(encoding)<IsTruncated>false</IsTruncated><Contents>"
                    + "<Key>\(prefix)/index/\(Self.id)</Key><Size>1</Size></Contents>"
                    + "</ListBucketResult>")
        }
        var found: [Digest] = []
        try backend(server, path: "b/p+q").list(.index) { id, _ in found.append(id) }
        #expect(found == [Self.id])
    }

    func page(_ names: [String], next: String? = nil, truncated: Bool? = nil) -> Answer {
        var text = "<ListBucketResult><IsTruncated>\(truncated ?? (next != nil))</IsTruncated>"
        if let next { text += "<NextContinuationToken>\(next)</NextContinuationToken>" }
        for name in names {
            text += "<Contents><Key>p/index/\(name)</Key><Size>1</Size></Contents>"
        }
        return Answer(200, text + "</ListBucketResult>")
    }

    @Test func aListingGoesOnWhereItWasCutOff() throws {
        let ids = (0..<5).map { SHA256Hasher.hash([UInt8($0)].span) }
        let server = try LocalServer { request in
            let parts = request.path.components(separatedBy: "continuation-token=")
            let number = parts.count == 2 ? Int(parts[1].prefix(1)) ?? 0 : 0
            return self.page(
                ["\(ids[number])"], next: number < 4 ? "\(number + 1) &amp; more" : nil)
        }
        var found: [Digest] = []
        try backend(server).list(.index) { id, _ in found.append(id) }
        #expect(found == ids)
        #expect(server.requests.last?.path.contains("continuation-token=4%20%26%20more") == true)
    }

    /// What is not listed counts as gone: a listing is complete or an error.
    @Test(arguments: ["cut", "no token", "same token", "empty", "html", "error", "other"])
    func aListingThatIsNotCompleteIsAnError(_ kind: String) throws {
        let server = try LocalServer { _ in
            switch kind {
            case "cut":
                var answer = self.page(["\(Self.id)"])
                answer.body.removeLast(10)
                return answer
            case "no token": return self.page(["\(Self.id)"], truncated: true)
            case "same token": return self.page(["\(Self.id)"], next: "x")
            case "empty": return Answer(200, "")
            case "html": return Answer(200, "<html><body>Please log in</body></html>")
            case "error": return self.error("InternalError", 200)
            default: return Answer(200, "<ListVersionsResult/>")
            }
        }
        let backend = try backend(server)
        let error = #expect(throws: BackendError.self) { try backend.list(.index) { _, _ in } }
        guard case .temporary = error else { throw TestError("\(String(describing: error))") }
    }

    @Test(
        arguments: [
            (200, nil, false), (200, "bytes 0-3/4", false), (200, "bytes 2-5/9", nil),
            (206, nil, false), (206, "bytes 0-3/4", false),
            (206, "bytes 2-5/4", true), (206, "bytes 2-4/5", true), (206, "bytes 2-5/*", false),
            (206, "words 2-5/9", false), (206, "bytes 2-5/9", nil), (416, nil, true),
        ] as [(Int, String?, Bool?)])
    func partsAreWhatWasAskedFor(_ status: Int, _ range: String?, _ damaged: Bool?) throws {
        let server = try LocalServer { _ in
            Answer(status, "abcd", headers: range.map { ["Content-Range": $0] } ?? [:])
        }
        let backend = try backend(server)
        let careless = try LocalServer { _ in
            Answer(200, "the whole object, whatever was asked for")
        }
        let whole = try self.backend(careless)
        var none: [UInt8] = []
        let ignored = #expect(throws: BackendError.self) {
            try whole.read(Self.key, 2..<6, into: &none)
        }
        guard case .refused = ignored else { throw TestError("\(String(describing: ignored))") }
        var output: [UInt8] = [7]
        if damaged == nil || range == "bytes 2-5/*" {
            try backend.read(Self.key, 2..<6, into: &output)
            #expect(output == [7] + Array("abcd".utf8))
            return
        }
        let error = #expect(throws: BackendError.self) {
            try backend.read(Self.key, 2..<6, into: &output)
        }
        if case .damaged = error {
            #expect(damaged == true)
        } else {
            #expect(damaged == false, "\(String(describing: error))")
        }
        #expect(output == [7])
    }

    /// Servers that do not know If-None-Match, and what the config becomes on them.
    @Test(arguments: [501, 400, 200], [nil, "theirs", "mine"] as [String?])
    func aConfigIsSafeEverywhere(_ status: Int, _ there: String?) throws {
        let stored = Monitor(there)
        let server = try LocalServer { request in
            guard request.method == "PUT" else {
                return stored.with { $0 }.map { Answer(200, $0) } ?? self.error("NoSuchKey", 404)
            }
            if status != 200, request.headers["if-none-match"] != nil {
                return self.error("NotImplemented", status)
            }
            stored.with { $0 = String(decoding: request.body, as: UTF8.self) }
            return Answer()
        }
        let backend = try backend(server)
        let mine = Array("mine".utf8)
        if there == "theirs" {
            #expect(throws: BackendError.exists(.config)) {
                try backend.put(.config, mine.span)
            }
            #expect(stored.with { $0 } == "theirs")
        } else {
            try backend.put(.config, mine.span)
            #expect(stored.with { $0 } == "mine")
        }
    }

    @Test func errorsOfSingleObjectsAreSeen() throws {
        let code = Monitor("AccessDenied")
        let server = try LocalServer { _ in
            Answer(
                200,
                """
                <DeleteResult><Error><Key>p/index/x</Key><Code>\(code.with { $0 })</Code>
                <Message>m</Message></Error></DeleteResult>
                """)
        }
        let backend = try backend(server)
        let error = #expect(throws: BackendError.self) {
            try backend.remove([Self.key, .config])
        }
        guard case .refused(_, let cause, _) = error else {
            throw TestError("\(String(describing: error))")
        }
        #expect(cause.contains("DELETE p/index/x: 403 AccessDenied"))
        code.with { $0 = "SlowDown" }
        let slow = #expect(throws: BackendError.self) {
            try backend.remove([Self.key, .config])
        }
        guard case .temporary = slow else { throw TestError("\(String(describing: slow))") }
        code.with { $0 = "NoSuchKey" }
        try backend.remove([Self.key, .config])
    }

    /// Where several at once cannot be removed, each is.
    @Test func withoutBatchesEachIsRemoved() throws {
        let server = try LocalServer { request in
            request.method == "POST" ? self.error("NotImplemented", 501) : Answer(204)
        }
        try backend(server).remove([Self.key, .config])
        #expect(server.requests.map(\.method) == ["POST", "DELETE", "DELETE"])
    }

    /// The upload fails with an answer of 200, as S3 may do it.
    @Test func aLateErrorOfAnUploadIsSeen() throws {
        let server = try LocalServer { request in
            switch request.method {
            case "POST" where request.path.hasSuffix("?uploads="):
                Answer(
                    200,
                    "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
                )
            case "POST": self.error("InternalError", 200)
            case "DELETE": Answer(204)
            default: Answer(200, headers: ["ETag": "\"e\""])
            }
        }
        var options = BackendOptions()
        options.s3.multipartThreshold = 1
        let plain = try backend(server)
        guard case .s3(let location) = try BackendURL.parse(plain.location, in: "/") else { return }
        let backend = S3Backend(
            location, options,
            credentials: S3CredentialSource(profile: nil) { name in
                name.contains("SECRET") ? "s" : "k"
            })
        let folder = try ScratchFolder()
        let file = try Descriptor.temporary(in: folder.path)
        try file.write([1, 2].span)
        let key = ObjectKey(.pack, SHA256Hasher.hash([1, 2].span))
        let error = #expect(throws: BackendError.self) {
            try backend.put(key, from: file, size: 2)
        }
        guard case .temporary = error else { throw TestError("\(String(describing: error))") }
        #expect(server.requests.last?.method == "DELETE", "the upload is given up")
    }

    @Test(
        arguments: [
            (
                "s3:https://s3.eu-west-1.amazonaws.com/b/p", nil,
                "https://b.s3.eu-west-1.amazonaws.com", ""
            ),
            ("s3:https://s3.amazonaws.com/b.c/p", nil, "https://s3.amazonaws.com", "/b.c"),
            ("s3:https://s3.amazonaws.com/b/p", true, "https://s3.amazonaws.com", "/b"),
            ("s3:http://h:9000/b/p", nil, "http://h:9000", "/b"),
            ("s3:http://h:9000/b/p", false, "http://b.h:9000", ""),
        ] as [(String, Bool?, String, String)])
    func bucketsAreAddressed(_ url: String, _ style: Bool?, _ base: String, _ root: String) throws {
        guard case .s3(let location) = try BackendURL.parse(url, in: "/") else { return }
        let addressing = S3Addressing(location, pathStyle: style)
        #expect(addressing.base == base)
        #expect(addressing.root == root)
    }
}
