import Foundation
import Platform
import TestSupport
import Testing

/// `scope: module`: a repository and a password for each module.
@Suite(.temporaryFolder) struct ModuleStoreTests {
    /// A fleet of two modules, a part of whose content is the same, each with a store of its own.
    private func fleet(
        mirror: Bool = false, server: S3Server? = nil, files: Int = 120
    ) throws -> Fleet {
        var modules: [String: String] = [:]
        for (number, name) in ["mail", "web"].enumerated() {
            let path = try folder()("modules/\(name)")
            var own = Corpus(seed: UInt64(number + 1))
            try own.small("\(path)/own", count: files)
            var common = Corpus(seed: 9)
            try common.small("\(path)/common", count: 30)
            modules[name] = path
        }
        let fleet = try Fleet(
            in: folder()("fleet"), modules: modules, server: server, settings: "scope: module")
        try edit(fleet, "./store.key", "\"./keys/{module}.key\"")
        if mirror { try fleet.mirror(to: ["file:\(folder()("mirror"))"]) }
        return fleet
    }

    private func edit(_ fleet: Fleet, _ text: String, _ other: String) throws {
        let path = fleet.folder + "/cistern.yaml"
        let old = try String(contentsOfFile: path, encoding: .utf8)
        try #require(old.contains(text))
        try old.replacingOccurrences(of: text, with: other)
            .write(toFile: path, atomically: true, encoding: .utf8)
    }

    private func key(_ fleet: Fleet, _ module: String) -> String {
        "\(fleet.folder)/keys/\(module).key"
    }

    /// What restic says of the repository of a module with the password of another one or its own.
    private func restic(
        _ fleet: Fleet, _ restic: Restic, _ module: String, key other: String? = nil,
        at place: String? = nil, _ arguments: String...
    ) throws -> Command.Result {
        var command = restic.command(
            arguments, store: "\(place ?? fleet.store)/\(module)",
            passwordFile: key(fleet, other ?? module))
        command.environment.merge(fleet.server?.variables ?? [:]) { $1 }
        return try command.run()
    }

    /// Each module's repository is whole, has its snapshots alone, and gives its files back.
    private func judge(_ fleet: Fleet, _ modules: [String], at place: String? = nil) throws {
        for module in modules {
            for judge in Restic.all {
                let check = try restic(fleet, judge, module, at: place, "check", "--read-data")
                #expect(
                    check.text.contains("no errors were found")
                        && !check.text.contains("not referenced"), "\(judge): \(check)")
                let found = try JSON(
                    restic(fleet, judge, module, at: place, "snapshots", "--json").expect().output)
                #expect(!found.array.isEmpty)
                #expect(found.array.allSatisfy { $0["paths"][0].string == "/\(module)" })
            }
            let copy = try folder()("copy-\(UUID().uuidString)")
            try fleet.cistern("hydrate", module, "--to", copy)
            let path = try #require(fleet.modules[module])
            #expect(try TreeComparison.differences(path, copy) == [], "\(module)")
        }
    }

    private func entries(_ path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    @Test func eachModuleHasItsOwn() throws {
        let fleet = try fleet(mirror: true)
        try fleet.cistern("run", "nightly")
        try judge(fleet, ["mail", "web"])
        for judge in Restic.all {
            let other = try restic(fleet, judge, "web", key: "mail", "snapshots")
            #expect(other.status != .exited(0), "\(other)")
        }
        #expect(entries(fleet.store) == ["mail", "web"])
        #expect(entries(fleet.state + "/module-stores") == ["mail", "web"])
        #expect(!FileManager.default.fileExists(atPath: fleet.state + "/stores"))
        #expect(!FileManager.default.fileExists(atPath: fleet.state + "/store.key"))

        // What is about the whole store goes over both.
        let path = try #require(fleet.modules["web"])
        removeTree(path + "/own")
        try fleet.cistern("run", "nightly")
        try fleet.cistern("prune")
        let restic = try #require(Restic.all.first)
        _ = try self.restic(
            fleet, restic, "web", "forget", "--keep-last", "1", "--group-by", ""
        ).expect()
        for _ in 0..<2 {
            let documents = try documents(
                fleet.cistern("gc", "--grace", "0", "--max-unused", "0", "--json").text)
            #expect(documents.map { $0["module"].string } == ["mail", "web"])
            #expect(documents.allSatisfy { $0["ok"].bool == true })
        }
        try fleet.cistern("store", "mirror")
        let status = try documents(fleet.cistern("store", "mirror", "--status", "--json").text)
        #expect(status.map { $0["module"].string } == ["mail", "web"])
        #expect(status.allSatisfy { $0["ok"].bool == true })
        try fleet.cistern("store", "check", "--read-data")
        let info = try documents(fleet.cistern("store", "info", "--json").text)
        #expect(Set(info.compactMap { $0["id"].string }).count == 2)
        #expect(info.map { $0["password_file"].string } == ["mail", "web"].map { key(fleet, $0) })
        try fleet.cistern("store", "key", "list")
        let snapshots = try JSON(fleet.cistern("snapshots", "--json").output)["snapshots"].array
        #expect(Set(snapshots.compactMap { $0["module"].string }) == ["mail", "web"])
        #expect(try fleet.cistern("snapshots", "web").text.contains("web"))
        try judge(fleet, ["mail", "web"])
        try judge(fleet, ["mail", "web"], at: folder()("mirror"))
        try Damage.flipByte("\(fleet.store)/web/config", at: 20)
        try fleet.cistern("store", "check", "--repair", "--module", "web")
        try judge(fleet, ["web"])
        #expect(entries(fleet.state + "/module-stores/web/quarantine/.store").count >= 1)
        #expect(!FileManager.default.fileExists(atPath: fleet.state + "/quarantine"))

        // And what is about one names it.
        try fleet.cistern("store", "key", "passwd", expecting: 2)
        try fleet.cistern("store", "key", "passwd", "--module", "web")
        try fleet.cistern("state", "rebuild", "web")
        let one = try documents(
            fleet.cistern("gc", "--dry-run", "--module", "web", "--json").text)
        #expect(one.map { $0["module"].string } == ["web"])
        try judge(fleet, ["mail", "web"])
        try fleet.cistern(
            "hydrate", "--snapshot", "latest", "--to", folder()("none"), expecting: 2)
    }

    /// Several documents, one after the other, each over several lines.
    private func documents(_ text: String) throws -> [JSON] {
        var found: [JSON] = []
        var lines: [Substring] = []
        for line in text.split(separator: "\n") {
            lines.append(line)
            guard line == "}" || (lines.count == 1 && line.hasSuffix("}")) else { continue }
            found.append(try JSON(Array(lines.joined(separator: "\n").utf8)))
            lines = []
        }
        #expect(lines.isEmpty, "\(text)")
        return found
    }

    /// A damaged store is told of, and the others are looked at all the same.
    @Test func oneBadStoreStopsNoOther() throws {
        let fleet = try fleet()
        try fleet.cistern("run", "nightly")
        // The larger pack: the other one has trees, which no live file gives back.
        let packs = fleet.objects("mail/data").map { "\(fleet.store)/mail/data/\($0)" }
        func size(_ path: String) -> UInt64 {
            (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64) ?? 0
        }
        let pack = try #require(packs.max { size($0) < size($1) })
        try Damage.flipByte(pack, at: 40)
        let check = try fleet.cistern("store", "check", "--read-data", expecting: 3)
        #expect(check.text.contains("module mail:"), "\(check)")
        #expect(check.text.contains("module web:"), "\(check)")
        #expect(check.text.contains("no damage found"), "\(check)")
        // What a repair takes out of a store stays with what this host knows of that store.
        try fleet.cistern("store", "check", "--read-data", "--repair")
        try judge(fleet, ["mail", "web"])
        let manager = FileManager.default
        #expect(manager.fileExists(atPath: fleet.state + "/module-stores/mail/quarantine/.store"))
        #expect(!manager.fileExists(atPath: fleet.state + "/quarantine"))
        #expect(!manager.fileExists(atPath: fleet.state + "/stores"))
        removeTree("\(fleet.store)/mail")
        let gone = try fleet.cistern("gc", "--json", expecting: 1)
        #expect(gone.errorText.contains("module mail"), "\(gone)")
        let documents = try documents(gone.text)
        #expect(documents.map { $0["module"].string } == ["mail", "web"])
        #expect(documents.map { $0["ok"].bool } == [false, true])
        // The good ones are listed.
        let snapshots = try fleet.cistern("snapshots", expecting: 1)
        #expect(snapshots.text.contains("web") && !snapshots.text.contains("mail"))
        // A store that is gone is not made anew, for this module as for the fleet.
        try fleet.cistern("run", "nightly", expecting: 3)
        #expect(!FileManager.default.fileExists(atPath: fleet.store + "/mail"))
        try judge(fleet, ["web"])
    }

    @Test func modulesWithoutAStoreArePassedOver() throws {
        let fleet = try fleet()
        #expect(try fleet.cistern("gc").errorText.contains("no module has a store"))
        try fleet.cistern("dehydrate", "web")
        let check = try fleet.cistern("store", "check")
        #expect(check.text.contains("module web:") && !check.text.contains("mail"), "\(check)")
        try fleet.cistern("store", "init", "--module", "web", expecting: 2)
        try fleet.cistern("store", "init")
        #expect(entries(fleet.store) == ["mail", "web"])
        #expect(entries(fleet.folder + "/keys") == ["mail.key", "web.key"])
    }

    @Test func obliterateRemovesTheWholeStore() throws {
        let fleet = try fleet(mirror: true)
        try fleet.cistern("run", "nightly")
        try fleet.cistern("store", "mirror")
        try fleet.cistern("obliterate", "nothing", "--yes")
        let result = try JSON(fleet.cistern("obliterate", "web", "--yes", "--json").output)
        #expect(result["proven"].bool == true)
        #expect(result["password_file"].string == key(fleet, "web"))
        #expect(result["deleted"]["snapshots"].array.count == 1)
        #expect(result["places"].array.count == 2)
        try expectGone(fleet, "web")
        try fleet.cistern("obliterate", "web", "--yes")
        #expect(entries(fleet.state + "/obliterated").count == 1)
        try judge(fleet, ["mail"])
        try judge(fleet, ["mail"], at: folder()("mirror"))
        // The module can be stored anew, with another password.
        try fleet.cistern("run", "nightly")
        try judge(fleet, ["mail", "web"])
    }

    private func expectGone(_ fleet: Fleet, _ module: String, _ what: String = "") throws {
        let places = try [
            "\(fleet.store)/\(module)", folder()("mirror/\(module)"), key(fleet, module),
            "\(fleet.state)/module-stores/\(module)", "\(fleet.state)/modules/\(module).sqlite",
            "\(fleet.state)/obliterating/\(module).json",
        ]
        for place in places {
            #expect(!FileManager.default.fileExists(atPath: place), "\(place) \(what)")
        }
    }

    /// Dies at each point between two durable steps; run again, all is gone, and nothing else.
    @Test func obliterateGoesOn() throws {
        let base = try fleet(mirror: true, files: 20)
        let mirror = try folder()("mirror")
        try base.cistern("run", "nightly")
        try base.cistern("store", "mirror")
        let saved = try base.copy(to: folder()("saved"))
        try Command("cp", ["-a", mirror, mirror + "-saved"]).run().expect()
        func restore() throws {
            for (from, to) in [(saved.folder, base.folder), (mirror + "-saved", mirror)] {
                removeTree(to)
                try Command("cp", ["-a", from, to]).run().expect()
            }
        }
        let obliterate = base.command(["obliterate", "web", "--yes"])
        let places = try obliterate.crashPlaces(folder()("places"))
            .filter { $0.name.hasPrefix("removal-") || $0.name.hasPrefix("obliterate-") }
        #expect(places.count >= 15, "\(places)")
        for place in places {
            try restore()
            try obliterate.die(at: place)
            let again = try JSON(
                base.cistern("obliterate", "web", "--yes", "--json").output)
            #expect(again["proven"].bool == true, "\(place)")
            #expect(again["deleted"]["snapshots"].array.count == 1, "\(place): \(again)")
            try expectGone(base, "web", "\(place)")
            try base.cistern("obliterate", "web", "--yes")
            try base.cistern("store", "check", "--read-data")
            #expect(entries(mirror) == ["mail"] && entries(base.store) == ["mail"], "\(place)")
        }
        try judge(base, ["mail"])
    }

    /// Somebody let a module's place be a repository that others use too.
    @Test func aSharedRepositoryIsNotObliterated() throws {
        let fleet = try fleet(files: 20)
        try fleet.cistern("run", "nightly")
        let judge = try #require(Restic.all.last)
        let path = try #require(fleet.modules["mail"])
        _ = try restic(fleet, judge, "web", "backup", path).expect()
        let before = fleet.objects()
        let result = try fleet.cistern("obliterate", "web", "--yes", expecting: 2)
        #expect(result.errorText.contains(path), "\(result)")
        #expect(fleet.objects().subtracting(before) == [])
        #expect(before.subtracting(fleet.objects()) == [])
        try self.judge(fleet, ["mail"])
    }

    /// Its path alone does not make a snapshot the module's.
    @Test func aSnapshotOfTheModulesNameIsNotItsOwn() throws {
        let fleet = try fleet(files: 20)
        try fleet.cistern("run", "nightly")
        let judge = try #require(Restic.all.last)
        _ = try restic(fleet, judge, "web", "tag", "--remove", "module=web").expect()
        let before = fleet.objects()
        let result = try fleet.cistern("obliterate", "web", "--yes", expecting: 2)
        #expect(result.errorText.contains("it has snapshots of /web"), "\(result)")
        #expect(before == fleet.objects())
    }

    /// What is no object of a store stays, and is told of.
    @Test func othersFilesStay() throws {
        let fleet = try fleet(files: 20)
        try fleet.cistern("run", "nightly")
        let file = fleet.store + "/web/README"
        try "mine".write(toFile: file, atomically: true, encoding: .utf8)
        let result = try fleet.cistern("obliterate", "web", "--yes")
        #expect(result.errorText.contains("\(fleet.store)/web stays"), "\(result)")
        #expect(entries(fleet.store + "/web") == ["README"])
    }

    /// The state has worked with the other scope: nothing is made anew beside what is there.
    @Test func aChangeOfScopeIsRefused() throws {
        let fleet = try fleet(files: 20)
        try fleet.cistern("run", "nightly")
        let before = fleet.objects()
        try edit(fleet, "scope: module", "scope: fleet")
        try edit(fleet, "\"./keys/{module}.key\"", "./store.key")
        for arguments in [["dehydrate", "web"], ["run", "nightly"], ["gc"], ["store", "init"]] {
            let result = try fleet.command(arguments).run().expect(2)
            #expect(result.errorText.contains("stores of modules"), "\(result)")
        }
        #expect(fleet.objects() == before)
        #expect(!FileManager.default.fileExists(atPath: fleet.passwordFile))

        // A new state does not know of them, the other way round it does.
        let other = try Fleet(in: folder()("other"), modules: fleet.modules)
        try other.cistern("run", "nightly")
        try edit(other, "./store.key", "\"./keys/{module}.key\"\n  scope: module")
        for arguments in [["dehydrate", "web"], ["run", "nightly"], ["gc"], ["store", "init"]] {
            let result = try other.command(arguments).run().expect(2)
            #expect(result.errorText.contains("whole fleet"), "\(result)")
        }
        // Nor is a module's store made inside of the fleet's.
        removeTree(other.state)
        let inside = try other.command(["dehydrate", "web"]).run().expect(2)
        #expect(inside.errorText.contains("there is a store at"), "\(inside)")
        #expect(!FileManager.default.fileExists(atPath: other.store + "/web"))
        #expect(!FileManager.default.fileExists(atPath: other.folder + "/keys/web.key"))
    }

    /// One password for all in the environment is no password of a module's own.
    @Test func passwordsComeByModule() throws {
        let fleet = try fleet(files: 20)
        try edit(fleet, "password_file: \"./keys/{module}.key\"", "connections: 4")
        var command = fleet.command(["dehydrate", "web"])
        command.environment["CISTERN_PASSWORD"] = "one for all"
        #expect(try command.run().expect(2).errorText.contains("one password"))
        try fleet.cistern("dehydrate", "web")
        #expect(entries(fleet.state + "/keys") == ["web.key"])
        try edit(fleet, "connections: 4", "password_command: [cat, \"./state/keys/{module}.key\"]")
        try fleet.cistern("store", "check")
        let result = try JSON(fleet.cistern("obliterate", "web", "--yes", "--json").output)
        #expect(result["password_file"] == .null)
        // It is not ours to destroy where a command gives it.
        #expect(entries(fleet.state + "/keys") == ["web.key"])
    }

    @Test(.enabled(if: S3Server.isThere)) func inABucket() throws {
        try expectLife(fleet(server: S3Server.shared, files: 40))
    }

    /// Where what is removed lives on as an older version, until that is removed as well.
    @Test(.enabled(if: S3Server.isThere && RcloneS3Server.isThere))
    func inABucketWithVersions() throws {
        var server = try #require(S3Server.shared)
        server.bucket = "stores-\(UUID().uuidString.lowercased())"
        try server.makeBucketWithVersions()
        let receipt = try expectLife(fleet(server: server, files: 40))
        #expect(receipt["places"][0]["versions_listed"].bool == true, "\(receipt)")
    }

    @Test(.enabled(if: RcloneServer.isThere)) func behindRESTServers() throws {
        let server = try RcloneServer()
        let fleet = try fleet(files: 40)
        try edit(fleet, "url: file:./store", "url: \"rest:\(server.url)stores\"")
        try expectLife(fleet, at: "rest:\(server.url)stores")
    }

    /// From the first snapshot to the end of one of the modules.
    @discardableResult
    private func expectLife(_ fleet: Fleet, at place: String? = nil) throws -> JSON {
        try fleet.cistern("run", "nightly")
        try judge(fleet, ["mail", "web"], at: place)
        try fleet.cistern("store", "check", "--read-data")
        try fleet.cistern("gc", "--grace", "0")
        // With the password that obliterate destroys, restic tells whether the repository is there.
        try Command("cp", ["-a", key(fleet, "web"), key(fleet, "kept")]).run().expect()
        let judges = Restic.all
        func seen(_ judge: Restic) throws -> Command.Result {
            try restic(fleet, judge, "web", key: "kept", at: place, "cat", "config")
        }
        for judge in judges { try seen(judge).expect() }
        let result = try JSON(fleet.cistern("obliterate", "web", "--yes", "--json").output)
        #expect(result["proven"].bool == true)
        try expectGone(fleet, "web")
        for judge in judges { #expect(try seen(judge).status != .exited(0), "\(judge)") }
        try judge(fleet, ["mail"], at: place)
        return result
    }
}
