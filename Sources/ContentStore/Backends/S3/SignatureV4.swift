package import Platform

/// What a request is signed with.
package struct S3Credentials: Sendable, Equatable {
    package var accessKey: String
    package var secretKey: String
    /// The session token of credentials that expire.
    package var token: String?
    /// When they cease to be valid; nil for never.
    package var expires: Timestamp?

    package init(
        accessKey: String, secretKey: String, token: String? = nil, expires: Timestamp? = nil
    ) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.token = token
        self.expires = expires
    }
}

/// AWS Signature Version 4: pure functions of the request, the time and the credentials.
///
/// See "Signature Calculations for the Authorization Header" in the Amazon S3 API reference.
package enum SignatureV4 {
    /// The value of the header Authorization.
    ///
    /// - Parameters:
    ///   - path: the path of the URL as it is sent, encoded.
    ///   - query: names and values, not encoded.
    ///   - headers: what is signed; `host` and `x-amz-date` have to be among them.
    ///   - payload: the SHA-256 of the body in hexadecimal.
    ///   - date: `20130524T000000Z`.
    package static func authorization(
        method: String, path: String, query: [(name: String, value: String)],
        headers: [(name: String, value: String)], payload: String, date: String, region: String,
        service: String = "s3", credentials: S3Credentials
    ) -> String {
        let (canonical, signed) = canonicalRequest(
            method: method, path: path, query: query, headers: headers, payload: payload)
        let scope = "\(date.prefix(8))/\(region)/\(service)/aws4_request"
        let text = stringToSign(canonical, date: date, scope: scope)
        let signature = hmac(
            signingKey(
                credentials.secretKey, date: date, region: region, service: service),
            text)
        return "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), "
            + "SignedHeaders=\(signed), Signature=\(signature)"
    }

    /// The request in the one form that both sides hash, and the names of its headers.
    package static func canonicalRequest(
        method: String, path: String, query: [(name: String, value: String)],
        headers: [(name: String, value: String)], payload: String
    ) -> (text: String, signed: String) {
        var values: [String: [String]] = [:]
        for (name, value) in headers { values[name.lowercased(), default: []].append(trim(value)) }
        let names = values.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let lines = names.map { "\($0):\((values[$0] ?? []).joined(separator: ","))\n" }
        let signed = names.joined(separator: ";")
        let text = """
            \(method)
            \(path)
            \(canonicalQuery(query))
            \(lines.joined())
            \(signed)
            \(payload)
            """
        return (text, signed)
    }

    /// What is signed: the time, the scope and the hash of the canonical request.
    package static func stringToSign(_ canonical: String, date: String, scope: String) -> String {
        let bytes = Array(canonical.utf8)
        return "AWS4-HMAC-SHA256\n\(date)\n\(scope)\n\(SHA256Hasher.hash(bytes.span))"
    }

    /// The query sorted and encoded, as it is signed and sent.
    package static func canonicalQuery(_ query: [(name: String, value: String)]) -> String {
        query.map { (encode($0.name), encode($0.value)) }
            .sorted {
                $0.0 == $1.0
                    ? $0.1.utf8.lexicographicallyPrecedes($1.1.utf8)
                    : $0.0.utf8.lexicographicallyPrecedes($1.0.utf8)
            }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    /// Everything but letters, digits and `-._~` as `%XX`; slashes too unless `keepingSlashes`.
    package static func encode(_ text: String, keepingSlashes: Bool = false) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var output: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                output.append(byte)
            case 0x2F where keepingSlashes: output.append(byte)
            default: output += [0x25, hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// `20130524T000000Z`.
    package static func date(_ time: Timestamp) -> String {
        var text: [UInt8] = []
        appendRFC3339Nano(Timestamp(seconds: time.seconds), to: &text)
        return String(decoding: text.filter { $0 != 0x2D && $0 != 0x3A }, as: UTF8.self)
    }

    private static func signingKey(
        _ secret: String, date: String, region: String, service: String
    ) -> Digest {
        let start = Array("AWS4\(secret)".utf8)
        let day = hmac(start, String(date.prefix(8)))
        return hmac(hmac(hmac(day, region), service), "aws4_request")
    }

    private static func hmac(_ key: Digest, _ text: String) -> Digest { hmac(key.bytes, text) }

    /// HMAC-SHA-256 (RFC 2104).
    private static func hmac(_ key: [UInt8], _ text: String) -> Digest {
        var block = key.count > 64 ? SHA256Hasher.hash(key.span).bytes : key
        block += [UInt8](repeating: 0, count: 64 - block.count)
        let inner = block.map { $0 ^ 0x36 } + Array(text.utf8)
        let outer = block.map { $0 ^ 0x5C } + SHA256Hasher.hash(inner.span).bytes
        return SHA256Hasher.hash(outer.span)
    }

    /// Without blanks at the ends, and with one where there are several.
    private static func trim(_ value: String) -> String {
        value.split(whereSeparator: { $0 == " " || $0 == "\t" }).joined(separator: " ")
    }
}
