internal import Foundation
internal import Platform

/// Debian's rclone as a server of restic's REST protocol, on a free port, until the value goes away.
package final class RcloneServer: Sendable {
    /// With a slash at its end; a repository is any path below it.
    package let url: String
    /// Where the server keeps what it serves.
    package let folder: TemporaryFolder
    private let process: RunningCommand

    /// Whether rclone is installed.
    package static let isThere: Bool = {
        let result = try? Command("rclone", ["version"]).run()
        if result?.status == .exited(0) { return true }
        notice("rclone is not installed: stores on rest: not checked")
        return false
    }()

    /// Starts a server; `arguments` are further ones of `rclone serve restic`.
    package init(_ arguments: [String] = []) throws {
        folder = try TemporaryFolder("rest")
        let started = try RcloneServer.serve(
            "restic", arguments + [folder("served")], by: "rclone")
        url = "http://127.0.0.1:\(started.port)/"
        process = started.process
    }

    /// Starts `rclone serve KIND` on a free port.
    static func serve(
        _ kind: String, _ arguments: [String], by program: String
    ) throws -> (process: RunningCommand, port: Int) {
        // A port that is free now may be taken by the time that the server starts.
        for _ in 0..<10 {
            let port = Int.random(in: 20_000..<32_000)
            guard !isListening(port) else { continue }
            var command = Command(
                program,
                ["serve", kind, "--config", "/dev/null", "--addr", "127.0.0.1:\(port)"]
                    + arguments)
            command.timeout = 3600
            let process = try command.start()
            if process.wait(until: { _ in isListening(port) }), !process.isOver {
                return (process, port)
            }
            process.signal(SIGKILL)
        }
        throw TestError("rclone serve \(kind) does not start")
    }

    deinit {
        process.signal(SIGKILL)
        _ = try? process.wait()
    }

    /// The folder of the repository `name` on the server's disk.
    package func served(_ name: String) -> String { folder("served") + "/" + name }

    /// By the kernel's table: a connection would be one more thing that can fail.
    private static func isListening(_ port: Int) -> Bool {
        guard let table = try? AtomicFile.read("/proc/net/tcp") else { return false }
        let address = String(format: "0100007F:%04X", port)
        return String(decoding: table, as: UTF8.self).split(separator: "\n").contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 3 && fields[1] == address && fields[3] == "0A"
        }
    }
}
