internal import Foundation

/// rclone's S3 server on a folder of its own.
///
/// Another implementation than the one of the other tests, and quick enough to be measured with.
/// It checks signatures. Debian's rclone has none: `scripts/s3-server` installs a newer one.
package final class RcloneS3Server: Sendable {
    /// What a client needs.
    package let server: S3Server
    /// Where the objects lie on disk.
    package let folder: TemporaryFolder
    private let process: RunningCommand

    static let program =
        (environment["S3_VENV"] ?? Project.root + "/.build/s3") + "/bin/rclone"

    /// Whether it is installed.
    package static let isThere = available(
        "another S3 server (rclone's is not installed)",
        FileManager.default.isExecutableFile(atPath: program))

    /// Starts one.
    package init() throws {
        folder = try TemporaryFolder("rclone-s3")
        try FileManager.default.createDirectory(
            atPath: folder("served/tests"), withIntermediateDirectories: true)
        let key = "cistern"
        let secret = UUID().uuidString
        let started = try RcloneServer.serve(
            "s3", ["--auth-key", "\(key),\(secret)", folder("served")],
            by: RcloneS3Server.program)
        process = started.process
        let variables = [
            "S3_ENDPOINT": "http://127.0.0.1:\(started.port)", "S3_BUCKET": "tests",
            "S3_ACCESS_KEY": key, "S3_SECRET_KEY": secret,
        ]
        guard let server = S3Server(variables) else { throw TestError("no server") }
        self.server = server
    }

    deinit {
        process.signal(SIGKILL)
        _ = try? process.wait()
    }
}

extension S3Server {
    /// Makes the bucket that this names, which keeps what is removed as older versions.
    package func makeBucketWithVersions() throws {
        let place = ":s3:\(bucket)"
        for arguments in [["mkdir", place], ["backend", "versioning", place, "Enabled"]] {
            var command = Command(
                RcloneS3Server.program,
                arguments + [
                    "--config", "/dev/null", "--s3-provider", "Other", "--s3-endpoint", endpoint,
                    "--s3-env-auth", "--s3-region", "us-east-1",
                ])
            for (name, value) in variables { command.environment[name] = value }
            try command.run().expect()
        }
    }
}
