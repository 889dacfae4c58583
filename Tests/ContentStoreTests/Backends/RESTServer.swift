import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// Debian's rclone as a server of restic's REST protocol, on a free port, until the value goes away.
final class RESTServer: Sendable {
    let url: String
    /// Where the server keeps what it serves.
    let folder: TemporaryFolder
    private let process: RunningCommand

    /// Whether rclone is installed.
    static let isAvailable: Bool = {
        let result = try? Command("rclone", ["version"]).run()
        if result?.status == .exited(0) { return true }
        notice("rclone is not installed: stores on rest: not checked")
        return false
    }()

    /// Starts a server; `arguments` are further ones of `rclone serve restic`.
    init(_ arguments: [String] = []) throws {
        folder = try TemporaryFolder("rest")
        // A port that was free a moment ago may be taken by the time that the server starts.
        for _ in 0..<10 {
            let port = Int.random(in: 20_000..<32_000)
            var command = Command(
                "rclone",
                [
                    "serve", "restic", "--config", "/dev/null", "--addr", "127.0.0.1:\(port)",
                ] + arguments + [folder("served")])
            command.timeout = 3600
            let process = try command.start()
            let url = "http://127.0.0.1:\(port)/"
            let client = HTTPClient(HTTPOptions())
            var isUp = false
            let isRunning = process.wait { running in
                var body: [UInt8] = []
                isUp = (try? client.send(HTTPRequest(.head, url + "config"), into: &body)) != nil
                return isUp
            }
            if isRunning, isUp {
                self.url = url
                self.process = process
                return
            }
            process.signal(SIGKILL)
        }
        throw TestError("rclone serve restic does not start")
    }

    deinit {
        process.signal(SIGKILL)
        _ = try? process.wait()
    }

    /// A backend on a repository of its own.
    func backend(_ name: String = UUID().uuidString) throws -> RESTBackend {
        let place = try RESTLocation.parse(url + name, variable: { _ in nil })
        return RESTBackend(place, client: HTTPClient(HTTPOptions()))
    }
}
