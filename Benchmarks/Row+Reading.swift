internal import TestSupport

extension Row {
    /// The walk into the module's durable list, against find with the same fields into a file.
    static let manifest = Row(
        name: "manifest", work: "manifest into the list, many small files", target: 1
    ) { workshop in
        let small = try workshop.small()
        let fleet = try workshop.fleet(small)
        let out = workshop.folder("find.txt")
        return [
            Contestant(name: "cistern run (manifest only)", reads: small) {
                fleet.command(["run", "list", "--fresh"]).quiet()
            },
            Contestant(name: "find -printf", reads: small) {
                var find = Command(
                    "find",
                    [small, "-printf", "%y %P %m %U %G %s %T@ %C@ %i %D %n %l\\n"]
                ).quiet()
                find.output = out
                return find
            },
            Contestant(name: "(cistern manifest, to a file)", reads: small) {
                var manifest = fleet.command(["manifest", "data"]).quiet()
                manifest.output = out
                return manifest
            },
        ]
    }

    /// Reading and hashing large files, against sha256sum on both cores.
    static let checkVerify = Row(
        name: "check-verify", work: "check --verify of large files", target: 0.9
    ) { workshop in
        let large = try workshop.large()
        let fleet = try workshop.dehydrated(large)
        return [
            Contestant(name: "cistern check --verify", reads: large) {
                fleet.command(["check", "data", "--verify"]).quiet()
            },
            Contestant(name: "xargs -P2 sha256sum", reads: large) {
                Command(
                    "sh", ["-c", "find \"$0\" -type f -print0 | xargs -0 -P2 -n1 sha256sum", large]
                ).quiet()
            },
        ]
    }

    static let storeCheckSmall = Row(
        name: "store-check-small", work: "store check --read-data, small files", target: 3
    ) { workshop in try storeCheck(workshop, workshop.small()) }

    static let storeCheckLarge = Row(
        name: "store-check-large", work: "store check --read-data, large files", target: 3
    ) { workshop in try storeCheck(workshop, workshop.large()) }

    static let storeCheckS3 = Row(
        name: "store-check-s3", work: "store check --read-data, large files, on S3", target: 3
    ) { workshop in try storeCheck(workshop, workshop.large(), on: workshop.server()) }

    /// Reading every pack of one and the same store.
    private static func storeCheck(
        _ workshop: Workshop, _ path: String, on server: RcloneS3Server? = nil
    ) throws -> [Contestant] {
        let fleet = try workshop.dehydrated(path, on: server?.server)
        let reads = server?.folder.path ?? fleet.store
        var contestants = [
            Contestant(name: "cistern store check", reads: reads) {
                fleet.command(["store", "check", "--read-data"]).quiet()
            }
        ]
        for restic in Restic.all {
            let home = try ResticHome(restic, in: workshop.folder.path)
            contestants.append(
                Contestant(name: "\(restic) check", reads: reads) {
                    home.command(["check", "--read-data"], fleet: fleet)
                })
        }
        return contestants
    }

    /// Every object of a store against its name, and the same by the tool for it.
    static let storeSums = Row(
        name: "store-sums", work: "store check --level sum, large files", target: 0.9
    ) { workshop in
        let fleet = try workshop.dehydrated(workshop.large())
        return [
            Contestant(name: "cistern store check", reads: fleet.store) {
                fleet.command(["store", "check", "--level", "sum"]).quiet()
            },
            Contestant(name: "xargs -P2 sha256sum", reads: fleet.store) {
                Command(
                    "sh",
                    ["-c", "find \"$0\" -type f -print0 | xargs -0 -P2 -n1 sha256sum", fleet.store]
                ).quiet()
            },
        ]
    }

    static let hydrateSmall = Row(
        name: "hydrate-small", work: "hydrate, small files", target: 2
    ) { workshop in try hydrate(workshop, workshop.small()) }

    static let hydrateLarge = Row(
        name: "hydrate-large", work: "hydrate, large files", target: 2
    ) { workshop in try hydrate(workshop, workshop.large()) }

    static let hydrateSmallS3 = Row(
        name: "hydrate-s3-small", work: "hydrate, small files, from S3", target: 2
    ) { workshop in try hydrate(workshop, workshop.small(), on: workshop.server()) }

    static let hydrateLargeS3 = Row(
        name: "hydrate-s3-large", work: "hydrate, large files, from S3", target: 2
    ) { workshop in try hydrate(workshop, workshop.large(), on: workshop.server()) }

    private static func hydrate(
        _ workshop: Workshop, _ path: String, on server: RcloneS3Server? = nil
    ) throws -> [Contestant] {
        let fleet = try workshop.dehydrated(path, on: server?.server)
        let reads = server?.folder.path ?? fleet.store
        let expected = Corpus.files(path).count
        let targets = Targets(in: workshop, keeps: expected > 1000)
        func verify(_ folder: String) throws {
            let found = Corpus.files(folder).count
            guard found == expected else {
                throw TestError("\(found) files in place of \(expected) in \(folder)")
            }
        }
        var contestants = [
            Contestant(
                name: "cistern hydrate", reads: reads, prepare: targets.next,
                command: {
                    fleet.command(["hydrate", "data", "--to", targets.current]).quiet()
                },
                verify: { _ in try verify(targets.current) })
        ]
        // A hydrate ends when what it wrote is on the disk; restic's restore does not wait for that.
        for restic in Restic.all {
            let home = try ResticHome(restic, in: workshop.folder.path)
            for syncs in [false, true] {
                contestants.append(
                    Contestant(
                        name: "\(restic) restore\(syncs ? ", sync" : "")", reads: reads,
                        prepare: targets.next,
                        command: {
                            let command = home.command(
                                ["restore", "latest", "--target", targets.current], fleet: fleet)
                            return syncs ? command.syncing(targets.current) : command
                        },
                        verify: { _ in try verify(targets.current) }))
            }
        }
        return contestants
    }
}

/// A new folder for each run.
///
/// Many small files stay until the end: where many were just deleted, ext4 looks long for inodes,
/// and whoever comes next pays for it. A few large ones make room for the next at once.
private final class Targets {
    private let workshop: Workshop
    private let keeps: Bool
    private var count = 0
    private(set) var current = ""

    init(in workshop: Workshop, keeps: Bool) {
        self.workshop = workshop
        self.keeps = keeps
    }

    func next() {
        if !keeps, count > 0 { removeTree(current) }
        count += 1
        current = workshop.folder("target-\(count)")
    }

    deinit { for number in 0...count { removeTree(workshop.folder("target-\(number)")) } }
}
