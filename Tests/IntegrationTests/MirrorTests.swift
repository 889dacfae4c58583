import Foundation
import Platform
import TestSupport
import Testing

/// `cistern store mirror` with real folders, processes and restic.
@Suite(.temporaryFolder) struct MirrorTests {
    private static let pipeline = """
        name: mirrored
        modules: ["*"]
        stages:
          - manifest
          - check
          - dehydrate
          - mirror

        """

    /// A fleet with mirrors in folders beside it.
    private func scene(mirrors: [String] = ["mirror"], files: Int = 300) throws -> (Scene, [String])
    {
        let scene = try Scene(pipelines: ["mirrored": Self.pipeline]) { corpus, path in
            try corpus.small("\(path)/small", count: files)
            try corpus.large("\(path)/large", count: 2, size: 9 << 20)
        }
        let paths = try mirrors.map { try folder()($0) }
        if !paths.isEmpty { try scene.fleet.mirror(to: paths.map { "file:\($0)" }) }
        return (scene, paths)
    }

    private func objects(_ place: String) throws -> Set<String> {
        var names: Set<String> = []
        for kind in ["keys", "data", "index", "snapshots"] {
            let found = FileManager.default.enumerator(atPath: "\(place)/\(kind)")
            while let name = found?.nextObject() as? String {
                let isFile = found?.fileAttributes?[.type] as? FileAttributeType == .typeRegular
                if isFile && !name.contains("-tmp-") { names.insert("\(kind)/\(name)") }
            }
        }
        return names
    }

    /// restic finds nothing wrong; without a lock, because a killed process may have left one.
    private func judge(_ mirror: String, _ fleet: Fleet) throws {
        let restic = try #require(Restic.all.first, "restic is not installed")
        let result = try restic.command(
            ["check", "--read-data", "--no-lock"], store: mirror, passwordFile: fleet.passwordFile
        ).run().expect()
        #expect(result.text.contains("no errors were found"), "\(result)")
    }

    @Test func thePipelineEndsWithIt() throws {
        let (scene, mirrors) = try scene(mirrors: ["mirror", "second"])
        try scene.fleet.cistern("run", "mirrored")
        for mirror in mirrors {
            #expect(try objects(mirror) == objects(scene.fleet.store))
            try judge(mirror, scene.fleet)
        }
        var info = try JSON(scene.fleet.cistern("store", "info", "--json").output)
        #expect(info["mirrors"].array.count == 2)
        #expect(info["mirrors"][0]["missing_objects"].integer == 0)
        // One that is away stops neither the modules nor the other mirror, and its lag is told.
        try FileManager.default.moveItem(atPath: mirrors[0], toPath: mirrors[0] + "-away")
        var corpus = Corpus(seed: 8)
        _ = try corpus.churn(scene.module + "/small")
        let run = try scene.fleet.cistern("run", "mirrored", expecting: 3)
        #expect(run.errorText.contains("is its disk mounted?"), "\(run)")
        #expect(try objects(mirrors[1]) == objects(scene.fleet.store))
        info = try JSON(scene.fleet.cistern("store", "info", "--json").output)
        #expect(info["mirrors"][0]["lagging_since_ns"].integer != nil)
        #expect(info["mirrors"][0]["error"].string?.contains("not there") == true)
        #expect(info["mirrors"][1]["lagging_since_ns"].integer == nil)
        // It is not made anew in its place, and catches up when it is back.
        #expect(!FileManager.default.fileExists(atPath: mirrors[0]))
        try FileManager.default.moveItem(atPath: mirrors[0] + "-away", toPath: mirrors[0])
        let status = try scene.fleet.cistern("store", "mirror", "--status", expecting: 3)
        #expect(status.text.contains("lacks"), "\(status)")
        let report = try JSON(scene.fleet.cistern("store", "mirror", "--json").output)
        #expect(
            report["ok"].bool == true && (report["mirrors"][0]["copied_objects"].integer ?? 0) > 0)
        try scene.fleet.cistern("store", "mirror", "--status")
        #expect(try objects(mirrors[0]) == objects(scene.fleet.store))
    }

    /// Dies at each point between two durable steps; the next run ends with an equal mirror, and
    /// restic finds nothing wrong at any time.
    @Test func killedAtEachStep() throws {
        let (scene, _) = try scene(mirrors: [], files: 60)
        // In the fleet's own folder, so that each copy of the fleet has one of its own.
        try scene.fleet.mirror(to: ["file:./mirror"])
        try scene.fleet.cistern("dehydrate", "data")
        var corpus = Corpus(seed: 5)
        _ = try corpus.churn(scene.module + "/small")
        try scene.fleet.cistern("dehydrate", "data")
        let expected = try objects(scene.fleet.store)
        let places = try scene.fleet.dieEverywhere(
            ["store", "mirror"], in: folder(),
            at: { places in places.filter { $0.name.hasPrefix("mirror-") } },
            undisturbed: { fleet in
                #expect(try objects(fleet.folder + "/mirror") == expected)
                try judge(fleet.folder + "/mirror", fleet)
            }
        ) { fleet, place in
            let mirror = fleet.folder + "/mirror"
            if FileManager.default.fileExists(atPath: mirror + "/config") {
                try judge(mirror, fleet)
            }
            try fleet.cistern("store", "mirror")
            #expect(try objects(mirror) == expected, "\(place)")
        }
        #expect(places.count { $0.name.hasPrefix("mirror-") } >= 7, "\(places)")
    }

    /// The store is gone or damaged: what it holds is read from the mirror.
    @Test func hydratesFromTheMirror() throws {
        let (scene, _) = try scene()
        try scene.fleet.cistern("run", "mirrored")
        for name in scene.fleet.objects("data") {
            try FileManager.default.removeItem(atPath: scene.fleet.store + "/data/" + name)
        }
        func hydrate(_ name: String) throws -> Command.Result {
            let target = try folder()(name)
            let result = try scene.fleet.cistern("hydrate", "data", "--to", target)
            #expect(try TreeComparison.differences(scene.module, target) == [])
            return result
        }
        let damaged = try hydrate("from-damaged")
        #expect(damaged.errorText.contains("is read from the mirror"), "\(damaged)")
        #expect(damaged.text.contains("came from mirrors"))
        removeTree(scene.fleet.store)
        let away = try hydrate("from-away")
        #expect(away.errorText.contains("reading from the mirror"), "\(away)")
        try scene.fleet.cistern("snapshots")
        // Nothing is written to a mirror in place of the store.
        #expect(try scene.fleet.command(["dehydrate", "data"]).run().status != .exited(0))
    }

    @Test func anotherRepositoryIsRefused() throws {
        let (scene, mirrors) = try scene()
        try scene.fleet.cistern("dehydrate", "data")
        let other = try Fleet(
            in: try folder()("other"), modules: ["data": scene.module])
        try other.cistern("dehydrate", "data")
        try FileManager.default.moveItem(atPath: other.store, toPath: mirrors[0])
        let before = try objects(mirrors[0])
        let result = try scene.fleet.cistern("store", "mirror", expecting: 2)
        #expect("\(result)".contains("is no mirror of the store"), "\(result)")
        #expect(try objects(mirrors[0]) == before)
        let check = try scene.fleet.cistern("store", "check", "--read-data", expecting: 2)
        #expect(check.errorText.contains("is another repository"), "\(check)")
        try scene.fleet.cistern("store", "mirror", "file:/elsewhere", expecting: 2)
    }

    /// What has to happen on all mirrors does not happen when one of them is away: nobody knows
    /// then what it has.
    @Test func nothingIsForgottenWhileOneIsAway() throws {
        let (scene, mirrors) = try scene(mirrors: ["mirror", "second"], files: 20)
        let fleet = scene.fleet
        try fleet.cistern("dehydrate", "data")
        let other = try folder()("other.key")
        try fleet.cistern("store", "mirror")
        try fleet.cistern("store", "key", "add", "--new-password-file", other, "--user", "ann")
        func keys() throws -> [JSON] {
            try JSON(fleet.cistern("store", "key", "list", "--json").output)["keys"].array
        }
        let key = try #require(keys().first { $0["user"].string == "ann" }?["id"].string)
        let before = fleet.objects()
        let packs = fleet.objects("data")
        let mirrored = try mirrors.map(objects)
        let password = FileManager.default.contents(atPath: fleet.passwordFile)
        let away = mirrors[1] + "-away"
        try FileManager.default.moveItem(atPath: mirrors[1], toPath: away)
        let commands = [
            ["obliterate", "data", "--yes"], ["store", "key", "remove", key],
            ["store", "key", "passwd"],
            ["store", "key", "add", "--new-password-file", fleet.folder + "/third.key"],
        ]
        for command in commands {
            let what = command.joined(separator: " ")
            let refused = try fleet.command(command).run()
            #expect(refused.status != .exited(0), "\(refused)")
            #expect(refused.errorText.contains(mirrors[1]), "\(refused)")
            #expect(fleet.objects() == before, "\(what)")
            #expect(try objects(mirrors[0]) == mirrored[0], "\(what)")
            #expect(try objects(away) == mirrored[1], "\(what)")
            #expect(FileManager.default.contents(atPath: fleet.passwordFile) == password)
            #expect(!FileManager.default.fileExists(atPath: fleet.folder + "/third.key"))
            for path in ["obliterated", "obliterating"] {
                #expect(!FileManager.default.fileExists(atPath: "\(fleet.state)/\(path)"))
            }
        }
        // The module's list is there still: nothing has changed, nothing is done.
        try fleet.cistern("dehydrate", "data")
        #expect(fleet.objects("data") == packs)
        try FileManager.default.moveItem(atPath: away, toPath: mirrors[1])
        try fleet.cistern("store", "key", "remove", key)
        try fleet.cistern("obliterate", "data", "--yes")
        for place in [fleet.store] + mirrors {
            let left = try objects(place)
            #expect(left.count { $0.hasPrefix("keys/") } == 1, "\(place): \(left)")
            #expect(!left.contains { $0.hasPrefix("snapshots/") || $0.hasPrefix("data/") })
        }
    }

    /// A dehydrate beside the copying: the mirror is whole each time.
    @Test func besideADehydrate() throws {
        let (scene, mirrors) = try scene(files: 2000)
        try scene.fleet.cistern("store", "init")
        let running = try scene.fleet.command(["dehydrate", "data"]).start()
        for _ in 0..<5 {
            try scene.fleet.cistern("store", "mirror")
            try judge(mirrors[0], scene.fleet)
        }
        try running.wait().expect()
        try scene.fleet.cistern("store", "mirror")
        #expect(try objects(mirrors[0]) == objects(scene.fleet.store))
        try judge(mirrors[0], scene.fleet)
    }
}
