import Foundation
import TestSupport
import Testing

/// The stage tools by hand, one NDJSON stream into the next.
@Suite(.temporaryFolder) struct StreamTests {
    private func lists() throws -> (scene: Scene, file: (String) throws -> String) {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        try scene.fleet.cistern("store", "init")
        let base = try folder()
        return (scene, { name in base(name + ".ndjson") })
    }

    private func tool(
        _ scene: Scene, _ arguments: [String], into file: String
    ) throws -> Command.Result {
        var command = scene.fleet.command(arguments)
        command.output = file
        return try command.run()
    }

    @Test func theChainOfToolsMakesTheSnapshotOfARun() throws {
        let (scene, file) = try lists()
        try tool(scene, ["manifest", "data"], into: file("m")).expect()
        try tool(scene, ["check", "data", "--list", file("m")], into: file("c")).expect()
        try tool(scene, ["repair", "data", "--list", file("c")], into: file("r")).expect()
        try tool(scene, ["dehydrate", "data", "--list", file("r")], into: file("d")).expect()
        let restic = try #require(Restic.all.first)
        let tree = try scene.fleet.rootTree(restic, "data")
        try scene.fleet.cistern("run", "nightly")
        #expect(try scene.fleet.rootTree(restic, "data") == tree)
        let byHand = try UnitStream(
            JSON.lines([UInt8](Data(contentsOf: URL(fileURLWithPath: file("m"))))))
        let inRun = try UnitStream(scene.fleet.results("data", "manifest"))
        #expect(byHand.comparable == inRun.comparable)
        try scene.fleet.judge()
    }

    @Test(arguments: ["check", "repair", "dehydrate"], ["no stats", "half a line", "empty"])
    func truncatedInputEndsWithFive(stage: String, damage: String) throws {
        let (scene, file) = try lists()
        try scene.fleet.cistern("dehydrate", "data")
        let before = scene.fleet.objects("snapshots")
        try tool(scene, ["manifest", "data"], into: file("m")).expect()
        if stage == "repair" {
            try tool(scene, ["check", "data", "--list", file("m")], into: file("m2")).expect()
            try FileManager.default.removeItem(atPath: file("m"))
            try FileManager.default.moveItem(atPath: file("m2"), toPath: file("m"))
        }
        let whole = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file("m"))))
        let lastLine = try #require(whole.dropLast().lastIndex(of: 0x0A))
        let cut =
            switch damage {
            case "no stats": Array(whole[...lastLine])
            case "half a line": Array(whole[..<(whole.count / 2)])
            default: [UInt8]()
            }
        try Data(cut).write(to: URL(fileURLWithPath: file("cut")))
        let result = try tool(scene, [stage, "data", "--list", file("cut")], into: file("out"))
        #expect(result.status == .exited(5), "\(result)")
        #expect(result.errorText.contains("cistern:"))
        // By standard input just the same.
        var piped = scene.fleet.command([stage, "data", "--list", "-"])
        piped.input = try file("cut")
        #expect(try piped.run().status == .exited(5))
        // What came before the cut was worked on, and is not taken for whole by the next either.
        let output = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file("out"))))
        #expect(throws: TestError.self) { try UnitStream(JSON.lines(output)) }
        #expect(scene.fleet.objects("snapshots") == before)
    }

    /// Errors of the walk itself give another exit code than 0, whatever was printed before.
    @Test(arguments: [["manifest", "--path", "/no/such/folder"], ["check", "nosuchmodule"]])
    func failuresShowInTheExitCode(arguments: [String]) throws {
        let scene = try Scene { try $0.small($1, count: 10) }
        let result = try scene.fleet.command(arguments).run()
        #expect(result.status != .exited(0), "\(result)")
        #expect(result.errorText.hasPrefix("cistern: "), "\(result)")
    }

    /// With a checkpoint a stage that was killed goes on where it was.
    @Test(arguments: ["manifest", "check"]) func checkpointsResume(stage: String) throws {
        let (scene, file) = try lists()
        try tool(scene, ["manifest", "data"], into: file("m")).expect()
        let base =
            stage == "manifest"
            ? ["manifest", "data"] : ["check", "data", "--list", try file("m")]
        try tool(scene, base, into: file("whole")).expect()
        let checkpoint = try folder()("checkpoint")
        var command = scene.fleet.command(base + ["--checkpoint", checkpoint])
        command.output = try file("resumed")
        command.appends = true
        try command.die(at: CrashPlace("batch-committed", 2))
        let before = try Data(contentsOf: URL(fileURLWithPath: file("resumed")))
        try command.run().expect()
        // What was there stays, and what is added makes the same stream as one in one go.
        let resumed = try Data(contentsOf: URL(fileURLWithPath: file("resumed")))
        let whole = try Data(contentsOf: URL(fileURLWithPath: file("whole")))
        #expect(resumed == whole, "\(resumed.count) bytes against \(whole.count)")
        #expect(before.count < whole.count && whole.starts(with: before.prefix(1000)))
    }
}
