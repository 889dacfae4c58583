internal import Foundation
internal import TestSupport

extension Row {
    /// A whole store of large files to an empty folder, against a plain copy of the same files.
    ///
    /// The mirror compares each object with its name and has it on disk when it goes on; the copy
    /// does neither by itself.
    static let mirror = Row(
        name: "mirror", work: "mirror to an empty folder", target: 0.8
    ) { workshop in
        let fleet = try workshop.dehydrated(workshop.large())
        let target = workshop.folder("mirror")
        try fleet.mirror(to: ["file:\(target)"])
        let expected = fleet.objects("data").count
        let empty = {
            removeTree(target)
            // What is remembered of it: a mirror that was there and is gone is not made anew.
            removeTree(fleet.state + "/mirrors")
        }
        let verify = { (_: Command.Result) in
            let found = Corpus.files(target + "/data").count
            guard found == expected else {
                throw TestError("\(found) packs in place of \(expected)")
            }
        }
        return [
            Contestant(
                name: "cistern store mirror", reads: fleet.store, prepare: empty,
                command: { fleet.command(["store", "mirror"]).quiet() }, verify: verify),
            Contestant(
                name: "rclone copy --transfers 8", reads: fleet.store, prepare: empty,
                command: {
                    Command(
                        "rclone",
                        ["copy", "--config", "/dev/null", "--transfers", "8", fleet.store, target]
                    ).quiet()
                }, verify: verify),
        ]
    }

    /// The same to an empty prefix of a bucket each time.
    static let mirrorS3 = Row(
        name: "mirror-s3", work: "mirror to S3, large files", target: 0.8
    ) { workshop in
        let fleet = try workshop.dehydrated(workshop.medium())
        let server = try workshop.server().server
        let expected = fleet.objects("data").count
        let target = Prefix()
        let verify = { (_: Command.Result) in
            let listing = try rclone(server, ["lsf", "-R", "--files-only"], target.name + "/data")
                .run().expect()
            let found = listing.text.split(separator: "\n").count
            guard found == expected else {
                throw TestError("\(found) packs in place of \(expected)")
            }
        }
        return [
            Contestant(
                name: "cistern store mirror", reads: fleet.store,
                prepare: {
                    target.next()
                    try fleet.mirror(to: [server.url(target.name)])
                },
                command: {
                    var command = fleet.command(["store", "mirror"]).quiet()
                    for (name, value) in server.variables { command.environment[name] = value }
                    return command
                }, verify: verify),
            Contestant(
                name: "rclone copy --transfers 8", reads: fleet.store, prepare: target.next,
                command: {
                    rclone(server, ["copy", "--transfers", "8", fleet.store], target.name).quiet()
                }, verify: verify),
        ]
    }

    private static func rclone(
        _ server: S3Server, _ arguments: [String], _ prefix: String
    ) -> Command {
        var command = Command(
            "rclone",
            arguments + [
                "--config", "/dev/null", ":s3:\(server.bucket)/\(prefix)", "--s3-provider", "Other",
                "--s3-endpoint", server.endpoint, "--s3-env-auth",
            ])
        for (name, value) in server.variables { command.environment[name] = value }
        // rclone of Debian 12 ends with an error when it is set.
        command.environment["AWS_CA_BUNDLE"] = .some(nil)
        return command
    }
}

/// A new prefix of a bucket for each run.
private final class Prefix {
    private var count = 0
    var name: String { "bench-\(count)" }

    func next() { count += 1 }
}
