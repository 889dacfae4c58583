import Foundation
import TestSupport
import Testing

/// One bad node spoils neither its siblings nor the count.
@Suite(.temporaryFolder) struct WalkTests {
    private static let nobody: UInt32 = 65_534

    /// A command as a user whom permissions hold: root is not held by any.
    private func unprivileged(_ command: Command) throws -> Command {
        guard isRoot else { return command }
        // The program may lie where only root looks.
        let program = try folder()("cistern")
        if !FileManager.default.fileExists(atPath: program) {
            try Command("cp", [Project.cistern, program]).run().expect()
        }
        var command = command
        command.program = program
        return command.asUser(WalkTests.nobody)
    }

    private func give(_ path: String) throws {
        guard isRoot else { return }
        try Command("chown", ["-R", "\(WalkTests.nobody):\(WalkTests.nobody)", path]).run().expect()
    }

    @Test func untraversableFolderIsReportedAndItsSiblingsVisited() throws {
        let scene = try Scene { corpus, path in
            try corpus.small("\(path)/a", count: 50)
            try corpus.small("\(path)/locked", count: 50)
            try corpus.small("\(path)/z", count: 50)
        }
        let locked = scene.module + "/locked"
        try give(folder().path)
        try unprivileged(scene.fleet.command(["run", "nightly"])).run().expect()
        try Command("chmod", ["000", locked]).run().expect()
        defer { _ = try? Command("chmod", ["755", locked]).run() }

        let result = try unprivileged(scene.fleet.command(["manifest", "data"])).run()
        #expect(result.status == .exited(3), "\(result)")
        let stream = try UnitStream(result)
        #expect(stream["locked"]["error"]["errno"].string == "EACCES", "\(stream["locked"])")
        #expect(stream.stats["count-files"].integer == 100)
        #expect(stream["z/000/00/f0000049.dat"] != .null)

        let run = try unprivileged(scene.fleet.command(["run", "nightly"])).run()
        #expect(run.status == .exited(3), "\(run)")
        var check = try UnitStream(
            unprivileged(scene.fleet.command(["check", "data"])).run().expect(3))
        #expect(try Verdict(check["locked"]).state == "unreadable")
        // What lies behind the lock is not taken for removed.
        #expect(!check.units.values.contains { $0["check"]["state"].string == "removed" })

        // Nor does the snapshot of such a day forget it: unlocked again, all of it is there.
        try Command("chmod", ["755", locked]).run().expect()
        try unprivileged(scene.fleet.command(["run", "nightly"])).run().expect()
        check = try UnitStream(unprivileged(scene.fleet.command(["check", "data"])).run().expect())
        #expect(check.stats["count-files"].integer == 150)
        try unprivileged(scene.fleet.command(["hydrate", "data", "--to", folder()("copy")]))
            .run().expect()
        var options = TreeComparison.Options()
        options.owners = false
        #expect(
            try TreeComparison.differences(scene.module, folder()("copy"), options: options) == [])
    }

    @Test(.enabled(if: TemporaryFolder.hasMemory))
    func repairThatFailsForOneFileGoesOnWithTheNext() throws {
        let memory = try TemporaryFolder(inMemory: "repair")
        let module = memory("data")
        var corpus = Corpus()
        for part in ["a", "fixed", "z"] { try corpus.small("\(module)/\(part)", count: 20) }
        let fleet = try Fleet(in: memory("fleet"), modules: ["data": module])
        try give(memory.path)
        try unprivileged(fleet.command(["run", "nightly"])).run().expect()
        let file = "000/00/f0000010.dat"
        for part in ["a", "fixed", "z"] { try Damage.rot("\(module)/\(part)/\(file)", at: 1) }
        // Files cannot be replaced in a folder without the right to write.
        let fixed = "\(module)/fixed/000/00"
        try Command("chmod", ["555", fixed]).run().expect()
        defer { _ = try? Command("chmod", ["755", fixed]).run() }

        let result = try unprivileged(fleet.command(["run", "verify"])).run()
        #expect(result.status == .exited(3), "\(result)")
        let repair = try UnitStream(
            JSON.lines(
                unprivileged(
                    fleet.command(["results", fleet.latestRun("verify"), "data", "repair"])
                ).run().expect().output))
        for part in ["a", "z"] {
            let unit = repair["\(part)/\(file)"]
            #expect(unit["repair"]["successful"].bool == true, "\(unit)")
        }
        let failed = repair["fixed/\(file)"]["repair"]
        #expect(failed["attempted"].bool == true && failed["successful"].bool == false)
        #expect(failed["error"].string?.contains("EACCES") == true, "\(failed)")
        #expect(failed["after"]["healthy"].bool == false)
        withExtendedLifetime(memory) {}
    }

    /// Files that come, go and change under the walk and the reading: the run ends well, and what
    /// is stored of each file is what it was at one time, or marked.
    @Test func moduleThatChangesUnderTheRun() throws {
        let scene = try Scene { try $0.small($1, count: 3000) }
        var churning = Command(
            "sh",
            [
                "-c",
                "while :; do for f in 000/0[0-4]/*; do mv $f $f.x; mv $f.x $f; echo x >>$f; done; done",
            ])
        churning.folder = scene.module
        let churn = try churning.start()
        defer { _ = try? churn.killAll() }
        for _ in 0..<3 {
            let result = try scene.fleet.command(["run", "nightly"]).run()
            #expect(result.status == .exited(0) || result.status == .exited(3), "\(result)")
        }
        _ = try churn.killAll()
        try scene.fleet.judge()
        try scene.fleet.cistern("run", "verify")
        #expect(try scene.roundTrip() == [])
    }

    @Test func excludedFilesAreNotKept() throws {
        let scene = try Scene(exclude: ["*.tmp", "/cache/"]) { corpus, path in
            try corpus.small("\(path)/cache", count: 10)
            try corpus.small("\(path)/keep", count: 10)
            try Data().write(to: URL(fileURLWithPath: path + "/keep/x.tmp"))
        }
        let stream = try UnitStream(scene.fleet.cistern("manifest", "data"))
        #expect(stream.stats["count-files"].integer == 10)
        #expect(!stream.units.keys.contains { $0.hasPrefix("cache") || $0.hasSuffix(".tmp") })
    }
}
