/// The methods that are used, for requests and for counts of them.
package enum HTTPMethod: String, Sendable, Hashable, CaseIterable {
    case get = "GET"
    case head = "HEAD"
    case put = "PUT"
    case post = "POST"
    case delete = "DELETE"
}

/// A request but for its body, which is handed over apart.
package struct HTTPRequest: Sendable {
    package var method: HTTPMethod
    /// The whole URL, with everything in it encoded.
    package var url: String
    /// Names and values; neither may hold a line break.
    package var headers: [(name: String, value: String)]
    /// The most bytes of a successful answer's body that are taken; a longer one is an error.
    package var limit: Int
    /// Seconds that the server may be silent, when it needs longer than usual for this one.
    package var patience: Double?

    package init(
        _ method: HTTPMethod, _ url: String, headers: [(name: String, value: String)] = [],
        limit: Int = 1 << 20, patience: Double? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.limit = limit
        self.patience = patience
    }
}

/// What a server answered.
package struct HTTPResponse: Sendable {
    package var status: Int
    /// With the names in lower case, in the order of the answer.
    package var headers: [(name: String, value: String)]
    /// The body; of an answer that is no success at most `HTTPResponse.problemLimit` bytes of it.
    package var body: [UInt8]

    /// How much of the body of a refusal is kept.
    package static let problemLimit = 64 << 10

    package init(
        status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []
    ) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Whether the request was done: 200 to 299.
    package var isSuccess: Bool { (200..<300).contains(status) }

    /// The first header called `name` (in lower case).
    package func header(_ name: String) -> String? {
        headers.first { $0.name == name }?.value
    }
}

/// Why there is no answer.
package enum HTTPError: Error, Sendable, Equatable {
    /// The connection failed or stalled: the same request may work later, and may have been done.
    case temporary(String)
    /// The same request will fail again: a certificate that does not fit, an unusable URL.
    case permanent(String)
    /// The answer is longer than the request's limit.
    case tooLong
}

/// How a client behaves.
package struct HTTPOptions: Sendable, Equatable {
    /// The most requests at once; further callers wait.
    package var connections = 8
    /// A file of certificates to trust instead of the system's.
    package var caFile: String?
    /// Seconds until a connection has to stand, TLS included.
    package var connectTimeout: Double = 30
    /// A request that moves less than `stallRate` bytes a second for `stallSeconds` is given up.
    package var stallRate = 1024
    package var stallSeconds: Double = 30
    /// Bytes a second of all transfers together; nil for no limit.
    package var uploadLimit: Int?
    package var downloadLimit: Int?

    /// Whether the proxies that the environment names are used.
    package var usesProxy = true

    package init() {}
}
