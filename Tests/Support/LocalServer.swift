internal import Foundation
internal import Platform

/// Listens on a port of 127.0.0.1 and gives each connection to a thread of its own.
package final class LocalListener: Sendable {
    package let port: Int
    private let socket: Int32

    /// Starts to listen; `serve` owns each connection and closes it.
    package init(_ serve: @escaping @Sendable (Int32) -> Void) throws {
        let listener = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                guard bind(listener, generic, size) == 0, listen(listener, 64) == 0 else {
                    return Int32(-1)
                }
                return getsockname(listener, generic, &size)
            }
        }
        guard listener >= 0, code == 0 else { throw TestError("no port: errno \(errno)") }
        socket = listener
        port = Int(UInt16(bigEndian: address.sin_port))
        _ = DedicatedThread(name: "listener") {
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                _ = DedicatedThread(name: "connection") { serve(connection) }
            }
        }
    }

    /// A connection to `port` of this machine; nil when nobody listens.
    static func connect(_ port: Int) -> Int32? {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(socket, $0, size)
            }
        }
        guard code == 0 else {
            close(socket)
            return nil
        }
        return socket
    }

    /// Stops to listen; connections go on.
    package func stop() {
        shutdown(socket, Int32(SHUT_RDWR))
        close(socket)
    }
}

/// A web server that answers as a test says.
package final class LocalServer: Sendable {
    /// A request as it came.
    package struct Request: Sendable {
        package var method: String
        /// With the query.
        package var path: String
        /// By names in lower case.
        package var headers: [String: String]
        package var body: [UInt8]
    }

    /// An answer; `raw` instead of all others is sent as it is, and the connection closed.
    package struct Answer: Sendable {
        package var status = 200
        package var headers: [String: String] = [:]
        package var body: [UInt8] = []
        package var raw: [UInt8]?

        package init(
            _ status: Int = 200, _ body: String = "", headers: [String: String] = [:],
            raw: String? = nil
        ) {
            self.status = status
            self.headers = headers
            self.body = Array(body.utf8)
            self.raw = raw.map { Array($0.utf8) }
        }
    }

    private let listener: LocalListener
    private let seen: Monitor<[Request]>

    /// Where it listens: `http://127.0.0.1:PORT`.
    package var url: String { "http://127.0.0.1:\(listener.port)" }

    /// The requests so far.
    package var requests: [Request] { seen.with { $0 } }

    /// Starts a server that answers with what `answer` gives, from any thread; nil closes the
    /// connection without an answer.
    package init(_ answer: @escaping @Sendable (Request) -> Answer?) throws {
        let seen = Monitor<[Request]>([])
        self.seen = seen
        listener = try LocalListener { connection in
            defer { close(connection) }
            var buffer: [UInt8] = []
            while let request = LocalServer.read(connection, &buffer) {
                seen.with { $0.append(request) }
                guard let answer = answer(request) else { return }
                if let raw = answer.raw {
                    _ = LocalServer.write(connection, raw)
                    return
                }
                var head = "HTTP/1.1 \(answer.status) X\r\nContent-Length: \(answer.body.count)\r\n"
                for (name, value) in answer.headers { head += "\(name): \(value)\r\n" }
                let body = request.method == "HEAD" ? [] : answer.body
                guard LocalServer.write(connection, Array((head + "\r\n").utf8) + body) else {
                    return
                }
            }
        }
    }

    deinit { listener.stop() }

    private static func read(_ connection: Int32, _ buffer: inout [UInt8]) -> Request? {
        let end = Array("\r\n\r\n".utf8)
        var headEnd = buffer.firstRange(of: end)
        while headEnd == nil {
            guard more(connection, &buffer) else { return nil }
            headEnd = buffer.firstRange(of: end)
        }
        guard let headEnd else { return nil }
        let lines = String(decoding: buffer[..<headEnd.lowerBound], as: UTF8.self)
            .components(separatedBy: "\r\n")
        buffer.removeSubrange(..<headEnd.upperBound)
        let first = lines[0].split(separator: " ").map(String.init)
        guard first.count == 3 else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] =
                line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        let length = headers["content-length"].flatMap { Int($0) } ?? 0
        while buffer.count < length {
            guard more(connection, &buffer) else { return nil }
        }
        let body = Array(buffer[..<length])
        buffer.removeSubrange(..<length)
        return Request(method: first[0], path: first[1], headers: headers, body: body)
    }

    private static func more(_ connection: Int32, _ buffer: inout [UInt8]) -> Bool {
        var block = [UInt8](repeating: 0, count: 64 << 10)
        let n = recv(connection, &block, block.count, 0)
        guard n > 0 else { return false }
        buffer += block[..<n]
        return true
    }

    /// Sends all of `bytes`; false when the other side is gone.
    package static func write(_ connection: Int32, _ bytes: [UInt8]) -> Bool {
        var done = 0
        while done < bytes.count {
            let n = bytes.withUnsafeBytes {
                send(
                    connection, $0.baseAddress.map { $0 + done }, bytes.count - done,
                    Int32(MSG_NOSIGNAL))
            }
            guard n > 0 else { return false }
            done += n
        }
        return true
    }
}
