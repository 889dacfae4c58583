import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// A clock that a test sets.
final class WoundClock: WallClock {
    private let time: Monitor<Timestamp>

    init(_ text: String) {
        let bytes = Array(text.utf8)
        time = Monitor(parseRFC3339Nano(bytes.span) ?? Timestamp(seconds: 0))
    }

    func now() -> Timestamp { time.with { $0 } }
    func advance(_ seconds: Int64) { time.with { $0.seconds += seconds } }
}

@Suite struct S3CredentialTests {
    func source(
        _ variables: [String: String], profile: String? = nil,
        clock: any WallClock = WoundClock("2026-01-01T00:00:00Z")
    ) -> S3CredentialSource {
        S3CredentialSource(profile: profile, clock: clock) { variables[$0] }
    }

    static let file = """
        # a comment
        [default]
        aws_access_key_id = AKDEFAULT
        aws_secret_access_key=s/default+=
        [ work ]
          aws_access_key_id=AKWORK
        ; another
        aws_secret_access_key = swork
        aws_session_token = twork
        region = eu-west-1
        [profile other]
        aws_access_key_id = AKOTHER
        aws_secret_access_key = sother
        [broken]
        aws_access_key_id = AKBROKEN
        """

    @Test(
        arguments: [
            ("default", "AKDEFAULT", "s/default+=", nil), ("work", "AKWORK", "swork", "twork"),
            ("other", "AKOTHER", "sother", nil), ("broken", nil, nil, nil), ("none", nil, nil, nil),
        ] as [(String, String?, String?, String?)])
    func profiles(_ name: String, _ access: String?, _ secret: String?, _ token: String?) {
        let keys = S3Credentials.parse(Self.file, profile: name)
        #expect(keys?.accessKey == access)
        #expect(keys?.secretKey == secret)
        #expect(keys?.token == token)
    }

    @Test func theOrderIsAsAmazonsToolsHaveIt() throws {
        let folder = try ScratchFolder()
        let path = folder.path + "/credentials"
        try Self.file.write(toFile: path, atomically: true, encoding: .utf8)
        var variables = [
            "AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "senv",
            "AWS_SESSION_TOKEN": "tenv", "AWS_SHARED_CREDENTIALS_FILE": path,
            "AWS_EC2_METADATA_DISABLED": "true",
        ]
        let first = try source(variables).current()
        #expect(first.accessKey == "AKENV")
        #expect(first.token == "tenv")
        // A profile that was asked for wins.
        #expect(try source(variables, profile: "work").current().accessKey == "AKWORK")
        variables["AWS_SECRET_ACCESS_KEY"] = nil
        #expect(try source(variables).current().accessKey == "AKDEFAULT")
        variables["AWS_PROFILE"] = "work"
        #expect(try source(variables).current().accessKey == "AKWORK")
        variables["AWS_PROFILE"] = "none"
        #expect(throws: BackendError.self) { try source(variables).current() }
        variables["AWS_SHARED_CREDENTIALS_FILE"] = folder.path + "/none"
        #expect(throws: BackendError.self) { try source(variables).current() }
    }

    @Test func withoutKeysTheErrorSaysWhatToDo() throws {
        let error = #expect(throws: BackendError.self) {
            try source(["AWS_EC2_METADATA_DISABLED": "true"]).current()
        }
        let failure = try #require(error).failure(at: "s3:x")
        #expect(failure.hint?.contains("AWS_ACCESS_KEY_ID") == true)
    }

    static func document(_ number: Int, until end: String) -> String {
        """
        {"Code": "Success", "AccessKeyId": "AK\(number)", "SecretAccessKey": "s\(number)",
         "Token": "t\(number)", "Expiration": "\(end)", "Type": "AWS-HMAC"}
        """
    }

    /// The container's service, renewed before the end, and its token from a file.
    @Test func containers() throws {
        let folder = try ScratchFolder()
        let file = folder.path + "/token"
        try "secret-token\n".write(toFile: file, atomically: true, encoding: .utf8)
        let count = Monitor(0)
        let isDown = Monitor(false)
        let server = try LocalServer { request in
            guard request.headers["authorization"] == "secret-token", request.path == "/keys?a=b"
            else { return LocalServer.Answer(403) }
            if isDown.with({ $0 }) { return LocalServer.Answer(500) }
            let number = count.with {
                $0 += 1; return $0
            }
            return LocalServer.Answer(
                200, Self.document(number, until: "2026-01-01T0\(number):00:00Z"))
        }
        let clock = WoundClock("2026-01-01T00:00:00Z")
        let source = source(
            [
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/keys?a=b",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": file,
            ], clock: clock)
        #expect(try source.current().accessKey == "AK1")
        clock.advance(3000)
        #expect(try source.current().token == "t1")
        #expect(server.requests.count == 1)
        // Less than five minutes are left.
        clock.advance(400)
        #expect(try source.current().secretKey == "s2")
        // While the service is down what still holds is used.
        isDown.with { $0 = true }
        clock.advance(3500)
        #expect(try source.current().accessKey == "AK2")
        clock.advance(3600)
        #expect(throws: BackendError.self) { try source.current() }
        isDown.with { $0 = false }
        #expect(try source.current().accessKey == "AK3")
        // Refused by the server of the store, whatever they say themselves.
        #expect(try source.current(renewing: true).accessKey == "AK4")
    }

    @Test(arguments: [
        "http://example.com/x", "http://127.0.0.1.example.com/", "http://127.0.0.1@example.com/",
        "ftp://localhost/",
    ]) func aForeignContainerServiceIsRefused(_ url: String) {
        #expect(throws: BackendError.self) {
            try source(["AWS_CONTAINER_CREDENTIALS_FULL_URI": url]).current()
        }
    }

    /// The machine's service, version 2: a token first, then the role, then its keys.
    @Test func machines() throws {
        let server = try LocalServer { request in
            let place = "/latest/meta-data/iam/security-credentials/"
            guard request.method != "PUT" else {
                return request.path == "/latest/api/token"
                    && request.headers["x-aws-ec2-metadata-token-ttl-seconds"] != nil
                    ? LocalServer.Answer(200, "the-token") : LocalServer.Answer(400)
            }
            guard request.headers["x-aws-ec2-metadata-token"] == "the-token" else {
                return LocalServer.Answer(401)
            }
            return switch request.path {
            case place: LocalServer.Answer(200, "my-role\n")
            case place + "my-role":
                LocalServer.Answer(200, Self.document(1, until: "2026-01-01T06:00:00Z"))
            default: LocalServer.Answer(404)
            }
        }
        let source = source(["AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url])
        let keys = try source.current()
        #expect(keys.accessKey == "AK1")
        #expect(keys.token == "t1")
        _ = try source.current()
        #expect(server.requests.count == 3)
    }

    @Test(arguments: [
        "{}", "not JSON",
        "{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Token\": \"c\", \"Expiration\": \"soon\"}",
    ])
    func nonsenseOfAServiceIsTemporary(_ text: String) throws {
        let server = try LocalServer { _ in LocalServer.Answer(200, text) }
        let error = #expect(throws: BackendError.self) {
            try source(["AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url]).current()
        }
        guard case .temporary = error else { throw TestError("\(String(describing: error))") }
    }
}
