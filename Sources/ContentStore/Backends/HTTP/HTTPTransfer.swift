internal import Platform

/// Where the bytes of a request's body come from.
@safe enum HTTPSource {
    case none
    /// Memory that stays as it is for as long as the request lasts.
    case memory(UnsafeRawBufferPointer)
    case file(SharedFile, Range<UInt64>)

    /// The length in bytes.
    var count: Int {
        switch self {
        case .none: 0
        case .memory(let bytes): bytes.count
        case .file(_, let range): Int(range.upperBound - range.lowerBound)
        }
    }
}

/// An open file that is read at offsets.
final class SharedFile: Sendable {
    private let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// Reads up to `room.count` bytes from `offset` on; 0 at the end.
    func read(into room: inout MutableSpan<UInt8>, at offset: UInt64) throws(SystemError) -> Int {
        try descriptor.read(into: &room, at: offset)
    }
}

/// One request under way: what libcurl's callbacks ask and tell.
@safe final class HTTPTransfer {
    let source: HTTPSource
    private let request: HTTPRequest
    private let limits: HTTPLimits
    private let counters: [RequestCounters]
    private var position = 0
    private var watch: StallWatch
    private var headerBytes = 0

    /// The bytes of a successful answer, behind those that were there before.
    var output: [UInt8]
    private let start: Int
    /// The beginning of any other answer.
    private(set) var problem: [UInt8] = []
    var status = 0
    private(set) var headers: [(name: String, value: String)] = []
    /// Why a callback stopped the transfer.
    private(set) var failure: HTTPError?

    init(
        _ request: HTTPRequest, _ source: HTTPSource, into output: consuming [UInt8],
        _ limits: HTTPLimits, _ counters: [RequestCounters]
    ) {
        self.request = request
        self.source = source
        self.limits = limits
        self.counters = counters
        start = output.count
        self.output = output
        watch = StallWatch(
            rate: limits.stallRate, patience: request.patience ?? limits.stallSeconds,
            now: monotonicSeconds())
    }

    /// Takes a line of the answer's head.
    func receiveHeader(_ line: String) -> Bool {
        headerBytes += line.utf8.count
        guard headerBytes <= 256 << 10 else { return stop(.permanent("endless headers")) }
        if line.hasPrefix("HTTP/") {
            // A new head begins, behind a 100 (Continue) for instance.
            headers = []
            status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            return true
        }
        guard let colon = line.firstIndex(of: ":") else { return true }
        let name = line[..<colon].lowercased()
        headers.append((name, HTTPTransfer.trim(line[line.index(after: colon)...])))
        return true
    }

    /// Takes bytes of the answer's body; false to stop.
    func receive(_ bytes: RawSpan) -> Bool {
        for each in counters { each.add(received: bytes.byteCount) }
        if let limiter = limits.download { watch.heldBack(limiter.take(bytes.byteCount)) }
        guard (200..<300).contains(status) else {
            let room = min(HTTPResponse.problemLimit - problem.count, bytes.byteCount)
            unsafe bytes.extracting(first: room).withUnsafeBytes {
                unsafe problem.append(contentsOf: $0)
            }
            return true
        }
        guard output.count - start + bytes.byteCount <= request.limit else {
            return stop(.tooLong)
        }
        if output.count == start, let length = contentLength {
            guard length <= request.limit else { return stop(.tooLong) }
            output.reserveCapacity(start + length)
        }
        unsafe bytes.withUnsafeBytes { unsafe output.append(contentsOf: $0) }
        return true
    }

    /// Fills `room` with the next bytes of the request's body: how many, nil to stop.
    func send(into room: UnsafeMutableRawBufferPointer) -> Int? {
        var count = min(room.count, source.count - position)
        if let limiter = limits.upload {
            // Small steps, so that a low limit does not look like a stall from outside.
            count = min(count, max(1024, limiter.rate / 8))
            watch.heldBack(limiter.take(count))
        }
        guard count > 0 else { return 0 }
        switch source {
        case .none: return 0
        case .memory(let bytes):
            let part = unsafe UnsafeRawBufferPointer(
                rebasing: bytes[position..<(position + count)])
            unsafe room.copyMemory(from: part)
        case .file(let file, let range):
            do throws(SystemError) {
                let bytes = unsafe room.bindMemory(to: UInt8.self)
                var span = unsafe MutableSpan(_unsafeElements: bytes)
                var part = span._mutatingExtracting(first: count)
                count = try file.read(into: &part, at: range.lowerBound + UInt64(position))
                guard count > 0 else { throw SystemError(Errno.inputOutput, "read", "the file") }
            } catch {
                _ = stop(.permanent("the file to send cannot be read: \(error)"))
                return nil
            }
        }
        position += count
        for each in counters { each.add(sent: count) }
        return count
    }

    /// Goes back to `offset` of the request's body, when it is sent again on a new connection.
    func seek(to offset: Int) -> Bool {
        guard offset >= 0, offset <= source.count else { return false }
        position = offset
        return true
    }

    /// Asked about once a second, and whenever bytes have moved.
    func mayGoOn(total: Int) -> Bool {
        // Somebody waits for the process to end: what moves may finish, what hangs may not.
        let patience = Interruption.requested == nil ? nil : limits.interruptedSeconds
        guard !watch.isStalled(total: total, now: monotonicSeconds(), patience: patience) else {
            return stop(.temporary("it stalled and was given up"))
        }
        return true
    }

    private var contentLength: Int? {
        headers.first { $0.name == "content-length" }.flatMap { Int($0.value) }
    }

    private func stop(_ error: HTTPError) -> Bool {
        failure = error
        return false
    }

    private static func trim(_ text: Substring) -> String {
        var text = text
        while let last = text.unicodeScalars.last, " \t\r\n".unicodeScalars.contains(last) {
            text.unicodeScalars.removeLast()
        }
        return String(text.drop { $0 == " " || $0 == "\t" })
    }
}
