package import Platform

/// What is particular to S3.
package struct S3Options: Sendable, Equatable {
    /// The region that requests are signed for; nil for that of the environment, or us-east-1.
    package var region: String?
    /// The profile of the shared credentials file; nil for $AWS_PROFILE, or `default`.
    package var profile: String?
    /// The bucket in the path instead of the host name; nil for what the host is known to take.
    package var pathStyle: Bool?
    /// Files from this length on are uploaded in parts.
    package var multipartThreshold: UInt64 = 64 << 20
    /// The length of a part; longer for files that would have more than 10,000.
    package var partSize: UInt64 = 32 << 20

    package init() {}
}

/// How a bucket is addressed: where requests go and what their paths begin with.
package struct S3Addressing: Sendable, Equatable {
    /// The beginning of each URL: `https://host[:port]`.
    package let base: String
    /// The header Host.
    package let authority: String
    /// Before each key: `/bucket`, or nothing when the bucket is a part of the host.
    package let root: String

    /// - Parameter pathStyle: nil for what the host is known to take.
    package init(_ location: S3Location, pathStyle: Bool?) {
        let isAmazon = location.host.hasSuffix(".amazonaws.com")
        // With TLS a dot in the bucket's name does not fit the certificate.
        let isHostable = location.scheme == "http" || !location.bucket.contains(".")
        if pathStyle ?? !(isAmazon && isHostable) {
            authority = location.authority
            root = "/\(location.bucket)"
        } else {
            authority = "\(location.bucket).\(location.authority)"
            root = ""
        }
        base = "\(location.scheme)://\(authority)"
    }
}
