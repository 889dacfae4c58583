internal import Foundation

/// The S3 server that the tests were started with, by `scripts/s3-server`.
package struct S3Server: Sendable {
    /// Where it listens: `http://127.0.0.1:PORT`.
    package var endpoint: String
    package var bucket: String
    package var accessKey: String
    package var secretKey: String
    /// A user who is known and may do nothing.
    package var readerKey: String
    package var readerSecret: String

    /// The server of the environment.
    package static let shared = S3Server(environment)

    /// Whether there is one; says so when there is none.
    package static let isThere = available("S3 (there is no server)", shared != nil)

    /// From the lines that `scripts/s3-server` prints.
    package init?(_ variables: [String: String]) {
        guard let endpoint = variables["S3_ENDPOINT"], let bucket = variables["S3_BUCKET"],
            let accessKey = variables["S3_ACCESS_KEY"],
            let secretKey = variables["S3_SECRET_KEY"]
        else { return nil }
        self.endpoint = endpoint
        self.bucket = bucket
        self.accessKey = accessKey
        self.secretKey = secretKey
        readerKey = variables["S3_READER_KEY"] ?? ""
        readerSecret = variables["S3_READER_SECRET"] ?? ""
    }

    /// Starts a server of a test's own in `folder`, or starts one that was stopped again.
    package static func start(in folder: String) throws -> S3Server {
        let output = try Command(Project.root + "/scripts/s3-server", ["start", folder])
            .run().expect().text
        var variables: [String: String] = [:]
        for line in output.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            variables[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
        guard let server = S3Server(variables) else { throw TestError("no server: \(output)") }
        return server
    }

    /// Kills the server in `folder`.
    package static func stop(in folder: String) throws {
        try Command(Project.root + "/scripts/s3-server", ["stop", folder]).run().expect()
    }

    /// The URL of a store at `prefix` that nobody else uses.
    package func url(_ prefix: String = UUID().uuidString) -> String {
        "s3:\(endpoint)/\(bucket)/\(prefix)"
    }

    /// What Cistern and restic take their keys from.
    package var variables: [String: String] {
        ["AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey]
    }
}
