import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

@Suite struct HTTPClientTests {
    func client(_ change: (inout HTTPOptions) -> Void = { _ in }) -> HTTPClient {
        var options = HTTPOptions()
        change(&options)
        return HTTPClient(options)
    }

    func get(_ client: HTTPClient, _ url: String, limit: Int = 100) throws -> HTTPResponse {
        var body: [UInt8] = []
        var response = try client.send(HTTPRequest(.get, url, limit: limit), into: &body)
        if response.isSuccess { response.body = body }
        return response
    }

    @Test func requestsArriveAsTheyAre() throws {
        let server = try LocalServer { request in
            LocalServer.Answer(201, "done", headers: ["X-Two": " b  c ", "ETag": "\"x\""])
        }
        let client = client()
        let body = noise(300_000, seed: 4)
        let response = try client.send(
            HTTPRequest(
                .put, server.url + "/a%20b/./c?x=1", headers: [("X-One", "v"), ("X-Empty", "")]),
            body: body.span)
        #expect(response.status == 201)
        #expect(response.header("x-two") == "b  c")
        #expect(response.header("etag") == "\"x\"")
        #expect(response.body == Array("done".utf8))
        let seen = try #require(server.requests.first)
        #expect(seen.method == "PUT")
        #expect(seen.path == "/a%20b/./c?x=1")
        #expect(seen.headers["x-one"] == "v")
        #expect(seen.headers["x-empty"] == "")
        #expect(seen.headers["expect"] == nil)
        #expect(seen.body == body)
        let totals = client.counters.totals
        #expect(totals.requests == ["PUT": 1])
        #expect(totals.bytesSent == 300_000)
        #expect(totals.bytesReceived == 4)
    }

    @Test func aPartOfAFileIsSent() throws {
        let server = try LocalServer { _ in LocalServer.Answer() }
        let folder = try ScratchFolder()
        let bytes = noise(500_000, seed: 4)
        let file = try Descriptor.temporary(in: folder.path)
        try file.write(bytes.span)
        _ = try client().send(HTTPRequest(.put, server.url), body: file, 1000..<400_000)
        #expect(server.requests.first?.body == Array(bytes[1000..<400_000]))
        // The file ends too early.
        #expect(throws: HTTPError.self) {
            try client().send(HTTPRequest(.put, server.url), body: file, 0..<500_001)
        }
    }

    @Test func everyMethodHasItsForm() throws {
        let server = try LocalServer { _ in LocalServer.Answer(200, "body") }
        let client = client()
        let none: [UInt8] = []
        for method in HTTPMethod.allCases {
            let response = try client.send(HTTPRequest(method, server.url), body: none.span)
            #expect(response.status == 200)
            #expect(response.body.isEmpty == (method == .head))
        }
        #expect(server.requests.map(\.method) == HTTPMethod.allCases.map(\.rawValue))
        #expect(client.counters.totals.total == HTTPMethod.allCases.count)
        for request in server.requests where ["PUT", "POST"].contains(request.method) {
            #expect(request.headers["content-length"] == "0")
        }
    }

    @Test func redirectionsAreNotFollowed() throws {
        let server = try LocalServer { _ in
            LocalServer.Answer(301, "elsewhere", headers: ["Location": "http://127.0.0.1:1/"])
        }
        let response = try get(client(), server.url)
        #expect(response.status == 301)
        #expect(response.body == Array("elsewhere".utf8))
    }

    @Test func answersAreBounded() throws {
        let server = try LocalServer { request in
            request.path == "/error"
                ? LocalServer.Answer(500, String(repeating: "e", count: 200_000))
                : LocalServer.Answer(200, String(repeating: "x", count: 101))
        }
        #expect(throws: HTTPError.tooLong) { try get(client(), server.url) }
        #expect(try get(client(), server.url, limit: 101).body.count == 101)
        let error = try get(client(), server.url + "/error")
        #expect(error.body.count == HTTPResponse.problemLimit)
    }

    /// What was in the buffer stays, whatever comes.
    @Test func aFailedAnswerLeavesNothing() throws {
        let server = try LocalServer { request in
            switch request.path {
            case "/short":
                LocalServer.Answer(raw: "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nonly this")
            case "/silent": nil
            case "/noise": LocalServer.Answer(raw: "what?\r\n\r\n")
            default: LocalServer.Answer(404, "no")
            }
        }
        for path in ["/short", "/silent", "/noise", "/none"] {
            var body: [UInt8] = [7]
            let request = HTTPRequest(.get, server.url + path)
            if path == "/none" {
                #expect(try client().send(request, into: &body).status == 404)
            } else {
                let error = #expect(throws: HTTPError.self, "\(path)") {
                    try client().send(request, into: &body)
                }
                guard case .temporary = error else {
                    Issue.record("\(path): \(String(describing: error))")
                    continue
                }
            }
            #expect(body == [7], "\(path)")
        }
    }

    @Test func whatIsNotThereIsTemporary() throws {
        let error = #expect(throws: HTTPError.self) { try get(client(), "http://127.0.0.1:1/") }
        guard case .temporary = error else { throw TestError("\(String(describing: error))") }
    }

    @Test(arguments: ["ftp://127.0.0.1/", "file:///etc/passwd", "http://[", ""])
    func otherProtocolsAreRefused(_ url: String) throws {
        let error = #expect(throws: HTTPError.self) { try get(client(), url) }
        guard case .permanent = error else { throw TestError("\(String(describing: error))") }
    }

    @Test func lineBreaksInHeadersAreRefused() throws {
        #expect(throws: HTTPError.self) {
            var body: [UInt8] = []
            _ = try client().send(
                HTTPRequest(.get, "http://127.0.0.1:1/", headers: [("A", "b\r\nC: d")]),
                into: &body)
        }
    }

    /// The server takes the request and never answers.
    @Test func whatStallsIsGivenUp() throws {
        let released = Monitor(false)
        let server = try LocalServer { _ in
            _ = released.wait(seconds: 60) { $0 ? true : nil }
            return nil
        }
        let began = monotonicSeconds()
        let error = #expect(throws: HTTPError.self) {
            try get(client { $0.stallSeconds = 1 }, server.url)
        }
        released.with { $0 = true }
        #expect(error == .temporary("it stalled and was given up"))
        #expect(monotonicSeconds() - began < 30)
    }

    @Test func noMoreThanSoManyAtOnce() throws {
        let state = Monitor((now: 0, most: 0, total: 0))
        let server = try LocalServer { _ in
            state.with {
                $0.now += 1
                $0.total += 1
                $0.most = max($0.most, $0.now)
            }
            // Until as many are here as there may be, or it is clear that no more will come.
            _ = state.wait(seconds: 0.2) { $0.now > 3 ? true : nil }
            state.with { $0.now -= 1 }
            return LocalServer.Answer()
        }
        let client = client { $0.connections = 3 }
        let threads = (0..<9).map { _ in
            DedicatedThread(name: "test") { _ = try? self.get(client, server.url) }
        }
        for thread in threads { thread.join() }
        #expect(state.with { $0.total } == 9)
        #expect(state.with { $0.most } <= 3)
    }

    @Test func limitsHold() {
        var bucket = TokenBucket(rate: 1000, now: 100)
        let waits = [
            bucket.take(500, now: 100), bucket.take(500, now: 100), bucket.take(100, now: 200),
        ]
        #expect(waits == [0.25, 0.75, 0])
        // Transfers at once share the rate.
        var shared = TokenBucket(rate: 1000, now: 0)
        let last = (0..<100).map { _ in shared.take(1000, now: 0) }.last ?? 0
        #expect(abs(last - 100) < 1)
    }

    @Test func stallsAreJudgedByWhatMoves() {
        var watch = StallWatch(rate: 1024, patience: 30, now: 0)
        let steady = (1...100).map { watch.isStalled(total: $0 * 2000, now: Double($0)) }
        #expect(!steady.contains(true))
        // From here on a little less than the rate.
        let slow = [
            watch.isStalled(total: 200_100, now: 115), watch.isStalled(total: 200_200, now: 130),
        ]
        #expect(slow == [false, true])
        var held = StallWatch(rate: 1024, patience: 30, now: 0)
        held.heldBack(50)
        let waiting = [
            held.isStalled(total: 0, now: 60), held.isStalled(total: 0, now: 60, patience: 5),
        ]
        #expect(waiting == [false, true])
    }
}
