internal import Foundation
internal import TestSupport

extension Row {
    /// A store of a million blobs of which six in ten belong to forgotten snapshots, all over the
    /// packs; against restic's prune with its own limit, both until the space is free.
    static let garbage = Row(
        name: "gc", work: "gc of a store with 1 million blobs", target: 2
    ) { workshop in
        let fleet = try agedStore(workshop)
        let trial = workshop.folder("gc-trial")
        var current = fleet
        func prepare() throws {
            removeTree(trial)
            current = try fleet.copy(to: trial)
        }
        func verify() throws {
            let restic = try Restic.all.first.map { try ResticHome($0, in: workshop.folder.path) }
            guard let restic else { return }
            try restic.command(["check"], fleet: current).run().expect()
        }
        var contestants = [
            Contestant(
                name: "cistern gc --grace 0", reads: fleet.store, prepare: prepare,
                command: { current.command(["gc", "--grace", "0"]).quiet() },
                verify: { _ in try verify() })
        ]
        for restic in Restic.all {
            let home = try ResticHome(restic, in: workshop.folder.path)
            contestants.append(
                Contestant(
                    name: "\(restic) prune", reads: fleet.store, prepare: prepare,
                    command: { home.command(["prune"], fleet: current) },
                    verify: { _ in try verify() }))
        }
        return contestants
    }

    /// Four snapshots of a module of small files, half of which change each time; all but the last
    /// are forgotten.
    private static func agedStore(_ workshop: Workshop) throws -> Fleet {
        let count = workshop.options.quick ? 20_000 : 400_000
        let path = workshop.folder("aged")
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        let fleet = try workshop.fleet(path)
        var generator = SeededGenerator(seed: 7)
        for generation in 0..<4 {
            progress("making generation \(generation) of \(count) files")
            for i in 0..<count {
                let folder = "\(path)/\(i / 1000)"
                if generation == 0 && i % 1000 == 0 {
                    try FileManager.default.createDirectory(
                        atPath: folder, withIntermediateDirectories: true)
                }
                guard generation == 0 || generator.next() % 2 == 0 else { continue }
                var bytes = Data(capacity: 320)
                for _ in 0..<40 {
                    withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) }
                }
                try bytes.write(to: URL(fileURLWithPath: "\(folder)/\(i)"))
            }
            try fleet.command(["dehydrate", "data"]).quiet().run().expect()
        }
        guard let restic = Restic.all.first else { throw TestError("restic is not installed") }
        try ResticHome(restic, in: workshop.folder.path)
            .command(["forget", "--keep-last", "1", "--group-by", ""], fleet: fleet).run().expect()
        workshop.drop(path)
        return fleet
    }
}
