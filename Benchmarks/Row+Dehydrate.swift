internal import TestSupport

extension Row {
    static let dehydrateSmall = Row(
        name: "dehydrate-small", work: "dehydrate, first, small files", target: 4
    ) { workshop in try first(workshop, workshop.small()) }

    static let dehydrateLarge = Row(
        name: "dehydrate-large", work: "dehydrate, first, large files", target: 3
    ) { workshop in try first(workshop, workshop.large()) }

    /// Again, when nothing has changed.
    static let dehydrateUnchanged = Row(
        name: "dehydrate-unchanged", work: "dehydrate, nothing changed, small files", target: 8
    ) { workshop in
        let small = try workshop.small()
        let fleet = try workshop.dehydrated(small)
        let packs = fleet.objects("data")
        var contestants = [
            Contestant(
                name: "cistern dehydrate", reads: small,
                command: { fleet.command(["dehydrate", "data"]).quiet() },
                verify: { _ in
                    guard fleet.objects("data") == packs else {
                        throw TestError("an unchanged module wrote a pack")
                    }
                })
        ]
        for restic in Restic.all {
            let home = try ResticHome(restic, in: workshop.folder.path)
            try home.reset()
            try home.command(["backup", small]).run().expect()
            contestants.append(

                Contestant(name: "\(restic) backup", reads: small) {
                    home.command(["backup", small])
                })
        }
        return contestants
    }

    /// Into an empty store: each run has a new one, whose making is not measured.
    private static func first(_ workshop: Workshop, _ path: String) throws -> [Contestant] {
        // A class holds the fleet of the current run between its preparation and the command.
        let current = Current()
        var contestants = [
            Contestant(
                name: "cistern dehydrate", reads: path,
                prepare: {
                    if let old = current.fleet { removeTree(old.folder) }
                    current.fleet = try workshop.fleet(path)
                },
                command: {
                    guard let fleet = current.fleet else { throw TestError("no fleet") }
                    return fleet.command(["dehydrate", "data"]).quiet()
                },
                verify: { _ in
                    guard let fleet = current.fleet, fleet.objects("snapshots").count == 1 else {
                        throw TestError("no snapshot was written")
                    }
                })
        ]
        for restic in Restic.all {
            let home = try ResticHome(restic, in: workshop.folder.path)
            contestants.append(
                Contestant(
                    name: "\(restic) backup", reads: path, prepare: { try home.reset() },
                    command: { home.command(["backup", path]) }))
        }
        return contestants
    }
}

private final class Current {
    var fleet: Fleet?
}
