import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

private let canMakeCertificates = available(
    "certificates (openssl or python3 is missing)",
    ["openssl", "python3"].allSatisfy {
        (try? Command("sh", ["-c", "command -v \($0)"]).run().status) == .exited(0)
    })

/// Certificates that fit and that do not, of a server of Python's.
@Suite(.enabled(if: canMakeCertificates)) struct TLSTests {
    static let program = """
        import http.server, ssl, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'
            def do_GET(self):
                self.send_response(200)
                self.send_header('Content-Length', '2')
                self.end_headers()
                self.wfile.write(b'ok')
            def log_message(self, *arguments): pass
        server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
        if sys.argv[3] == 'old':
            context.set_ciphers('ALL:@SECLEVEL=0')
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_address[1], flush=True)
        server.serve_forever()
        """

    /// What a client that trusts `file` (nil: the system's) gets from such a server.
    func ask(
        name: String, version: String = "new", trusting: Bool
    ) throws -> Result<HTTPResponse, HTTPError> {
        let folder = try ScratchFolder()
        let key = folder.path + "/key"
        let certificate = folder.path + "/certificate"
        try Command(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=test",
                "-addext", "subjectAltName=\(name)",
            ]
        ).run().expect()
        let server = try Command(
            "python3", ["-c", Self.program, certificate, key, version]
        ).start()
        defer { _ = try? server.killAll() }
        #expect(server.wait { $0.contains(0x0A) })
        let port = String(decoding: server.outputSoFar, as: UTF8.self)
            .trimmingCharacters(in: .newlines)
        var options = HTTPOptions()
        options.usesProxy = false
        options.connectTimeout = 10
        if trusting { options.caFile = certificate }
        let client = HTTPClient(options)
        return Result { () throws(HTTPError) in
            var body: [UInt8] = []
            return try client.send(HTTPRequest(.get, "https://127.0.0.1:\(port)/"), into: &body)
        }
    }

    @Test func aTrustedOneIsTaken() throws {
        let response = try ask(name: "IP:127.0.0.1", trusting: true).get()
        #expect(response.status == 200)
    }

    @Test(arguments: [("IP:127.0.0.1", false), ("DNS:example.com", true)])
    func othersAreRefusedForGood(_ name: String, _ trusting: Bool) throws {
        let result = try ask(name: name, trusting: trusting)
        guard case .failure(.permanent) = result else { throw TestError("\(result)") }
    }

    @Test func oldVersionsAreNotSpoken() throws {
        let result = try ask(name: "IP:127.0.0.1", version: "old", trusting: true)
        guard case .failure = result else { throw TestError("\(result)") }
    }
}
