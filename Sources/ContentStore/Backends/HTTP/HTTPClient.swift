package import Platform

/// What bounds the transfers of one client.
struct HTTPLimits: Sendable {
    var upload: RateLimiter?
    var download: RateLimiter?
    var stallRate: Int
    var stallSeconds: Double
    /// Instead of `stallSeconds` once the process was asked to stop.
    var interruptedSeconds: Double { min(stallSeconds, 10) }

    init(_ options: HTTPOptions) {
        upload = options.uploadLimit.map { RateLimiter(rate: $0) }
        download = options.downloadLimit.map { RateLimiter(rate: $0) }
        stallRate = options.stallRate
        stallSeconds = options.stallSeconds
    }
}

/// Sends requests over HTTP/1.1, or HTTP/2 with TLS, and waits for the answers.
///
/// For any number of threads: at most `connections` requests are under way, further callers wait.
/// Connections are kept and used again. Certificates are always verified, TLS is 1.2 or newer,
/// redirections are answers like others, nothing is retried.
package final class HTTPClient: Sendable {
    private struct Pool {
        /// The one used most recently is last: its connection is most likely still open.
        var idle: [HTTPHandle] = []
        var made = 0
    }

    package let options: HTTPOptions
    /// What this client has sent and received.
    package let counters = RequestCounters()
    private let limits: HTTPLimits
    private let pool = Monitor(Pool())

    /// Makes a client; connects nowhere.
    package init(_ options: HTTPOptions) {
        self.options = options
        limits = HTTPLimits(options)
    }

    /// Sends a request without a body, or with one of `bytes`.
    package func send(
        _ request: HTTPRequest, body bytes: Span<UInt8>
    ) throws(HTTPError) -> HTTPResponse {
        var output: [UInt8] = []
        let result = unsafe bytes.withUnsafeBytes { pointer in
            Result { () throws(HTTPError) in
                unsafe try run(
                    request, pointer.isEmpty ? .none : .memory(pointer), into: &output)
            }
        }
        var response = try result.get()
        if response.isSuccess { response.body = output }
        return response
    }

    /// Sends a request whose body is a part of a file.
    package func send(
        _ request: HTTPRequest, body file: borrowing Descriptor, _ range: Range<UInt64>
    ) throws(HTTPError) -> HTTPResponse {
        let shared: SharedFile
        do throws(SystemError) {
            shared = SharedFile(try file.duplicate())
        } catch {
            throw .permanent("the file to send cannot be used: \(error)")
        }
        var output: [UInt8] = []
        var response = try run(request, .file(shared, range), into: &output)
        if response.isSuccess { response.body = output }
        return response
    }

    /// Sends a request without a body; that of a successful answer is appended to `output`, which
    /// is otherwise as it was.
    package func send(
        _ request: HTTPRequest, into output: inout [UInt8]
    ) throws(HTTPError) -> HTTPResponse {
        try run(request, .none, into: &output)
    }

    private func run(
        _ request: HTTPRequest, _ source: HTTPSource, into output: inout [UInt8]
    ) throws(HTTPError) -> HTTPResponse {
        let handle = try take()
        defer { give(handle) }
        let all = [counters, RequestCounters.process]
        for each in all { each.add(request.method) }
        let start = output.count
        // The caller's buffer goes into the transfer and comes back, so that nothing is copied.
        var own: [UInt8] = []
        swap(&own, &output)
        let transfer = HTTPTransfer(request, source, into: own, limits, all)
        own = []
        defer {
            swap(&output, &transfer.output)
        }
        do throws(HTTPError) {
            try handle.perform(request, transfer)
        } catch {
            transfer.output.removeSubrange(start...)
            throw error
        }
        return HTTPResponse(
            status: transfer.status, headers: transfer.headers, body: transfer.problem)
    }

    private func take() throws(HTTPError) -> HTTPHandle {
        let idle: HTTPHandle? = pool.wait { pool -> HTTPHandle?? in
            if let handle = pool.idle.popLast() { return .some(handle) }
            guard pool.made < max(1, options.connections) else { return nil }
            pool.made += 1
            return .some(nil)
        }
        if let idle { return idle }
        do throws(HTTPError) {
            return try HTTPHandle(options)
        } catch {
            pool.with { $0.made -= 1 }
            throw error
        }
    }

    private func give(_ handle: HTTPHandle) {
        pool.with { $0.idle.append(handle) }
    }
}
