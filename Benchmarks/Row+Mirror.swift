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
}
