internal import Platform

/// A request that an S3 server refused.
struct S3Problem: Sendable, Equatable {
    var status: Int
    /// S3's own word: `AccessDenied`; empty when the answer has none, as answers to HEAD.
    var code = ""
    var message = ""
    var requestID = ""
    /// The region that the bucket is in, when the server says so.
    var region: String?

    /// Reads an answer that is no success.
    init(_ response: HTTPResponse) {
        status = response.status
        region = response.header("x-amz-bucket-region")
        requestID = response.header("x-amz-request-id") ?? ""
        guard let document = try? XMLRecords(response.body), document.root == "Error" else {
            return
        }
        take(document.fields)
    }

    /// The problem of one part of a request that was answered with 200.
    init(fields: [String: String], status: Int, requestID: String = "") {
        self.status = status
        self.requestID = requestID
        take(fields)
    }

    private mutating func take(_ fields: [String: String]) {
        code = S3Problem.printable(fields["Code"] ?? "", limit: 64)
        message = S3Problem.printable(fields["Message"] ?? "", limit: 200)
        if requestID.isEmpty { requestID = fields["RequestId"] ?? "" }
        if let region = fields["Region"], !region.isEmpty { self.region = region }
    }

    /// The problem for people: `403 AccessDenied: Access Denied. (request 4442587FB7D0A2F9)`.
    var description: String {
        var text = "\(status)"
        if !code.isEmpty { text += " \(code)" }
        if !message.isEmpty { text += ": \(message)" }
        if !requestID.isEmpty { text += " (request \(S3Problem.printable(requestID, limit: 80)))" }
        return text
    }

    /// Whether credentials of a session have run out.
    var isExpired: Bool {
        ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"].contains(code)
    }

    /// Whether the server does not know what was asked for.
    var isUnknownToServer: Bool {
        status == 501 || code == "NotImplemented" || (status == 405 && code != "MethodNotAllowed")
    }

    /// Whether the same request may succeed later.
    var isTemporary: Bool {
        switch status {
        case 501, 505, 507: false
        case 408, 425, 429, 500...599: true
        // A body that was cut off or spoiled on its way, two writers at one moment.
        case 400:
            ["RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"]
                .contains(code)
        case 409: ["OperationAborted", "ConditionalRequestConflict"].contains(code)
        case 403: code == "SlowDown" || code == "RequestThrottled"
        default: false
        }
    }

    /// What a person can do about it.
    var hint: String? {
        switch code {
        case "SignatureDoesNotMatch":
            return "Check the secret key, and that a proxy does not change requests."
        case "InvalidAccessKeyId": return "The server does not know this access key."
        case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken":
            return "Get new session credentials."
        case "RequestTimeTooSkewed": return "Set this machine's clock, by NTP for instance."
        case "NoSuchBucket": return "Make the bucket, or correct the store's URL."
        case "QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "EntityTooLarge":
            return "Free space in the bucket or raise its quota."
        case "AuthorizationHeaderMalformed", "PermanentRedirect":
            return "Set `region` in the store's `s3` settings to the bucket's region"
                + (region.map { ": \($0)." } ?? ".")
        default: break
        }
        switch status {
        case 401, 403: return "Check which access the key has on the bucket and the prefix."
        case 507: return "Free space in the bucket or raise its quota."
        default: return nil
        }
    }

    /// The error that the backend's caller gets.
    func error(_ key: ObjectKey?, _ label: String) -> BackendError {
        let cause = "\(label): \(description)"
        if isTemporary { return .temporary(key, cause: cause) }
        if let key, code == "NoSuchKey" || code == "NotFound" || (status == 404 && code.isEmpty) {
            return .missing(key)
        }
        return .refused(key, cause: cause, hint: hint)
    }

    /// What came from outside, for a terminal and a log.
    private static func printable(_ text: String, limit: Int) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.prefix(limit).filter {
                    $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value)
                }))
    }
}
