import Foundation
import TestSupport
import Testing

/// Passwords of a store, with restic beside.
@Suite(.temporaryFolder) struct KeyTests {
    private func scene() throws -> Scene {
        let scene = try Scene { try $0.small($1, count: 20) }
        try scene.fleet.cistern("dehydrate", "data")
        return scene
    }

    private func write(_ text: String, _ path: String) throws {
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }

    private func keys(_ fleet: Fleet) throws -> [JSON] {
        try JSON(fleet.cistern("store", "key", "list", "--json").output)["keys"].array
    }

    private func opens(_ fleet: Fleet, _ restic: Restic, _ file: String) throws -> Bool {
        let result = try restic.command(
            // A killed change leaves its lock behind.
            ["snapshots", "--no-lock"], store: fleet.store, passwordFile: file
        ).run()
        return result.status == .exited(0)
    }

    @Test(arguments: Restic.all) func bothAddAndRemoveKeys(restic: Restic) throws {
        let fleet = try scene().fleet
        let mine = try folder()("mine")
        // The file is not there: it is made.
        try fleet.cistern("store", "key", "add", "--new-password-file", mine, "--user", "ann")
        #expect(try opens(fleet, restic, mine))
        let listed = try keys(fleet)
        #expect(listed.count == 2 && listed.filter { $0["current"].bool == true }.count == 1)
        let added = try #require(listed.first { $0["user"].string == "ann" }?["id"].string)
        // The same again is no second key.
        try fleet.cistern("store", "key", "add", "--new-password-file", mine, expecting: 2)

        let theirs = try folder()("theirs")
        try write("restic's own\n", theirs)
        try fleet.restic(restic, "key", "add", "--new-password-file", theirs)
        let yaml = fleet.folder + "/cistern.yaml"
        let text = try String(contentsOfFile: yaml, encoding: .utf8)
        try write(text.replacingOccurrences(of: "./store.key", with: theirs), yaml)
        try fleet.cistern("snapshots")
        #expect(try keys(fleet).count == 3)
        try fleet.cistern("store", "key", "remove", added)
        #expect(try !opens(fleet, restic, mine))
        #expect(try opens(fleet, restic, theirs))
        let current = try #require(keys(fleet).first { $0["current"].bool == true }?["id"].string)
        try fleet.cistern("store", "key", "remove", current, expecting: 2)
        try fleet.cistern("store", "key", "remove", "zz", expecting: 2)
        try write(text, yaml)
        try fleet.judge()
    }

    @Test func thePasswordChanges() throws {
        let restic = try #require(Restic.all.first)
        let fleet = try scene().fleet
        let old = try folder()("old")
        try FileManager.default.copyItem(atPath: fleet.passwordFile, toPath: old)
        let made = try fleet.cistern("store", "key", "passwd")
        #expect(try opens(fleet, restic, fleet.passwordFile))
        #expect(try !opens(fleet, restic, old))
        let password = try String(contentsOfFile: fleet.passwordFile, encoding: .utf8)
            .trimmingCharacters(in: .newlines)
        #expect(!(made.text + made.errorText).contains(password))
        var command = fleet.command(["store", "key", "passwd"])
        command.environment["CISTERN_NEW_PASSWORD"] = "by a variable"
        try command.run().expect()
        #expect(
            try String(contentsOfFile: fleet.passwordFile, encoding: .utf8) == "by a variable\n")
        let mode = try FileManager.default.attributesOfItem(atPath: fleet.passwordFile)
        #expect(mode[.posixPermissions] as? Int == 0o600)
        try fleet.cistern("dehydrate", "data")
        try fleet.judge()
    }

    /// Killed at each step of a change the file's password opens the store, and the next change
    /// leaves one key and one file.
    @Test func killedAtEachStepOfAChange() throws {
        let restic = try #require(Restic.all.first)
        let start = try scene().fleet
        let passwd = ["store", "key", "passwd"]
        let places = try start.dieEverywhere(passwd, in: folder()) { fleet, place in
            // restic too finds its way in with what the file has now.
            #expect(try opens(fleet, restic, fleet.passwordFile), "\(place)")
            try fleet.cistern("snapshots")
            try fleet.command(passwd).run().expect()
            #expect(try keys(fleet).count == 1, "\(place)")
            let files = try FileManager.default.contentsOfDirectory(atPath: fleet.folder)
            #expect(files.filter { $0.hasPrefix("store.key") } == ["store.key"], "\(place)")
            #expect(try opens(fleet, restic, fleet.passwordFile), "\(place)")
            #expect(fleet.objects("locks") == [], "\(place)")
        }
        #expect(places.count >= 6, "\(places)")
    }

    /// Killed while a key with a password of its own making is added: the next one takes the file
    /// that is there, and there is one new key.
    @Test func killedAtEachStepOfAnAddition() throws {
        let restic = try #require(Restic.all.first)
        let add = ["store", "key", "add", "--new-password-file", "mine"]
        let places = try scene().fleet.dieEverywhere(add, in: folder()) { fleet, place in
            let mine = fleet.folder + "/mine"
            let mode = try FileManager.default.attributesOfItem(atPath: mine)[.posixPermissions]
            #expect(mode as? Int == 0o600, "\(place)")
            let password = try Data(contentsOf: URL(fileURLWithPath: mine))
            let isAdded = place.name == "key-put"
            #expect(try opens(fleet, restic, mine) == isAdded, "\(place)")
            // The same again is no second key.
            try fleet.command(add).run().expect(isAdded ? 2 : 0)
            #expect(try Data(contentsOf: URL(fileURLWithPath: mine)) == password, "\(place)")
            #expect(try opens(fleet, restic, mine), "\(place)")
            #expect(try keys(fleet).count == 2, "\(place)")
            #expect(fleet.objects("locks") == [], "\(place)")
            try fleet.judge()
        }
        #expect(places.names.isSuperset(of: ["new-password-made", "key-put"]), "\(places)")
    }

    /// The password by a command, and by the environment.
    @Test func thePasswordFromElsewhere() throws {
        let fleet = try scene().fleet
        let yaml = fleet.folder + "/cistern.yaml"
        let text = try String(contentsOfFile: yaml, encoding: .utf8)
        let script = fleet.folder + "/secret.sh"
        let lines = "#!/bin/sh\necho looking >&2\ncat \"$(dirname \"$0\")/$1\"\n"
        // By a process of its own: a descriptor of this one that a child inherited meanwhile would
        // keep the script "busy".
        try Command("sh", ["-c", "umask 077; printf %s \"$1\" > \"$2\"", "sh", lines, script])
            .run().expect()
        try Command("chmod", ["700", script]).run().expect()
        func configure(_ line: String) throws {
            try write(
                text.replacingOccurrences(of: "password_file: ./store.key", with: line), yaml)
        }
        try configure("password_command: [./secret.sh, store.key]")
        let result = try fleet.cistern("run", "nightly")
        #expect(result.errorText.contains("looking"))
        let info = try JSON(fleet.cistern("store", "info", "--json").output)
        #expect(info["password_file"].string == nil)
        try fleet.cistern("store", "key", "passwd", expecting: 2)
        try configure("password_command: [./secret.sh, nothing-there]")
        #expect(
            try fleet.cistern("snapshots", expecting: 2).errorText.contains("exit code 1"))

        // Nothing is configured: the variable counts, before a file that would be made.
        try configure("mirrors: []")
        try fleet.cistern("snapshots", expecting: 2)
        var command = fleet.command(["snapshots"])
        command.environment["CISTERN_PASSWORD"] = try String(
            contentsOfFile: fleet.passwordFile, encoding: .utf8
        ).trimmingCharacters(in: .newlines)
        try command.run().expect()
        command.environment["CISTERN_PASSWORD"] = "wrong"
        let wrong = try command.run().expect(2)
        #expect(!wrong.errorText.contains("wrong\""), "\(wrong)")
        #expect(!FileManager.default.fileExists(atPath: fleet.state + "/store.key"))
    }
}
