import Foundation
import Platform
import TestSupport
import Testing

/// The program and restic on one store behind restic's REST protocol.
@Suite(.temporaryFolder, .enabled(if: RcloneServer.isThere)) struct RESTTests {
    /// A fleet whose store is on a server.
    private func scene(_ url: String, mirrors: [String] = []) throws -> Scene {
        let scene = try Scene { corpus, path in
            try corpus.small("\(path)/small", count: 300)
            try corpus.large("\(path)/large", count: 1, size: 9 << 20)
        }
        let file = scene.fleet.folder + "/cistern.yaml"
        let text = try String(contentsOfFile: file, encoding: .utf8)
            .replacingOccurrences(of: "url: file:./store", with: "url: \"\(url)\"")
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        if !mirrors.isEmpty { try scene.fleet.mirror(to: mirrors) }
        return scene
    }

    private func restic(
        _ url: String, _ fleet: Fleet, _ arguments: String...
    ) throws -> Command.Result {
        let restic = try #require(Restic.all.first, "restic is not installed")
        return try restic.command(arguments, store: url, passwordFile: fleet.passwordFile)
            .run().expect()
    }

    /// A server that keeps everything: dehydrates, changes, and what both programs read of it.
    @Test(arguments: [[], ["--append-only"]])
    func theWholeProgram(arguments: [String]) throws {
        let server = try RcloneServer(arguments)
        let url = "rest:\(server.url)repo/"
        let scene = try scene(url)
        try scene.fleet.cistern("run", "nightly")
        var corpus = Corpus(seed: 4)
        _ = try corpus.churn(scene.module + "/small")
        try scene.fleet.cistern("run", "nightly")
        try scene.fleet.cistern("store", "check", "--read-data")
        #expect(try scene.roundTrip() == [])
        let check = try restic(url, scene.fleet, "check", "--read-data")
        #expect(check.text.contains("no errors were found"), "\(check)")
        let target = try folder()("restored")
        _ = try restic(url, scene.fleet, "restore", "latest", "--target", target)
        #expect(
            try TreeComparison.differences(
                scene.module, target + "/data", options: .init()) == [])
        let locks = try? FileManager.default.contentsOfDirectory(
            atPath: server.served("repo") + "/locks")
        #expect(locks ?? [] == [])
    }

    /// restic's own repository is read, and written to, through the same server.
    @Test func aRepositoryOfRestic() throws {
        let server = try RcloneServer()
        let url = "rest:\(server.url)repo"
        let scene = try scene(url)
        let password = scene.fleet.passwordFile
        try "a password\n".write(toFile: password, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o600], ofItemAtPath: password)
        _ = try restic(url, scene.fleet, "init")
        _ = try restic(url, scene.fleet, "backup", scene.module)
        try scene.fleet.cistern("store", "check", "--read-data")
        try scene.fleet.cistern("dehydrate", "data")
        let check = try restic(url, scene.fleet, "check", "--read-data")
        #expect(check.text.contains("no errors were found"), "\(check)")
        #expect(try scene.roundTrip() == [])
    }

    /// A mirror on a server, and reading from it once the store is gone.
    @Test func aMirrorOnAServer() throws {
        let server = try RcloneServer(["--user", "ann", "--pass", "se cret"])
        let place = server.url.replacingOccurrences(of: "http://", with: "")
        let scene = try Scene { corpus, path in try corpus.small("\(path)/small", count: 200) }
        try scene.fleet.mirror(to: ["rest:http://ann:se%20cret@\(place)mirror/"])
        try scene.fleet.cistern("dehydrate", "data")
        let mirrored = try scene.fleet.cistern("store", "mirror")
        let shown = try [
            mirrored, scene.fleet.cistern("store", "info"), scene.fleet.cistern("configcheck"),
            scene.fleet.cistern("store", "mirror", "--status", "--json"),
        ]
        for result in shown {
            #expect(!"\(result)".contains("cret"), "\(result)")
        }
        #expect(shown[1].text.contains("rest:\(server.url)mirror/"), "\(shown[1])")
        removeTree(scene.fleet.store)
        let target = try folder()("hydrated")
        let result = try scene.fleet.cistern("hydrate", "data", "--to", target)
        #expect(result.errorText.contains("reading from the mirror"))
        #expect(!result.errorText.contains("cret"))
        #expect(try TreeComparison.differences(scene.module, target) == [])
    }
}
