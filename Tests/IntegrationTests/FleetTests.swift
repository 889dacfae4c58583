import Foundation
import TestSupport
import Testing

/// Runs over many modules.
@Suite(.temporaryFolder, .serialized) struct FleetTests {
    private func modules(_ count: Int) throws -> [String: String] {
        var corpus = Corpus()
        try corpus.modules(folder()("modules"), count: count)
        return try Dictionary(
            uniqueKeysWithValues: FileManager.default.contentsOfDirectory(
                atPath: folder()("modules")
            ).map { ($0, try folder()("modules/\($0)")) })
    }

    /// Twenty modules, four workers, one module that never works: the others are done, it is last.
    @Test func onePermanentFailureStopsNobody() throws {
        var modules = try modules(19)
        // First by name, so that only its failures can put it last.
        modules["a-bad"] = try folder()("a-bad")
        let fleet = try Fleet(in: folder()("fleet"), modules: modules, workers: 4)
        // Its path is not there, which is no mistake of the configuration: disks come and go.
        let result = try fleet.command(["run", "nightly"]).run()
        #expect(result.status == .exited(3), "\(result)")
        let run = try #require(fleet.runs(of: "nightly").first)
        #expect(run["exit_code"].integer == 3)
        let jobs = run["jobs"].array
        #expect(jobs.count == 20)
        let states = Dictionary(grouping: jobs) { $0["state"].string ?? "?" }
        #expect(states["done"]?.count == 19, "\(states.mapValues(\.count))")
        let bad = try #require(jobs.first { $0["module"].string == "a-bad" })
        #expect(bad["state"].string == "failed")
        #expect(bad["error"] != .null, "\(bad)")
        let text = result.text + result.errorText
        #expect(text.contains("a-bad"))
        // Every good module can be filled again.
        let restic = try #require(Restic.all.first)
        #expect(try fleet.snapshots(restic).count == 19)
        try fleet.judge()
        let name = try #require(modules.keys.sorted().last)
        try fleet.cistern("hydrate", name, "--to", folder()("copy"))
        #expect(try TreeComparison.differences(#require(modules[name]), folder()("copy")) == [])
    }

    @Test func secondDispatcherIsRefused() throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        let first = try scene.fleet.command(["run", "nightly"]).start()
        #expect(first.wait { _ in !first.descendants.isEmpty })
        first.signal(SIGSTOP)
        let second = try scene.fleet.command(["run", "nightly"]).run()
        first.signal(SIGCONT)
        #expect(second.status == .exited(4), "\(second)")
        #expect(second.errorText.contains("\(first.pid)"), "it does not say who: \(second)")
        try first.wait().expect()
        // The one that died is no obstacle.
        let third = try scene.fleet.command(["run", "nightly"]).start()
        #expect(third.wait { _ in !third.descendants.isEmpty })
        _ = try third.killAll()
        try scene.fleet.cistern("run", "nightly")
        try scene.fleet.judge()
    }

    @Test func waitAndCancelGiveTheRunsCode() throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        try scene.fleet.cistern("run", "nightly")
        try scene.fleet.cistern("wait", scene.fleet.latestRun("nightly"))
        // Its worker is held until the run is cancelled.
        let gate = try Gate(folder()("gate"))
        let running = try scene.fleet.command(["run", "nightly"]).noting(gate.path).start()
        #expect(running.wait { _ in !running.descendants.isEmpty })
        let id = try scene.fleet.latestRun("nightly")
        let waiting = try scene.fleet.command(["wait", id]).start()
        try scene.fleet.cistern("cancel", id)
        try gate.open()
        #expect(try running.wait().status == .exited(130))
        #expect(try waiting.wait().status == .exited(130))
        try running.waitForDescendants()
        try scene.fleet.cistern("run", "nightly")
    }

    @Test func moduleGlobAndDryRun() throws {
        let fleet = try Fleet(in: folder()("fleet"), modules: modules(4))
        let dry = try fleet.cistern("run", "nightly", "--dry-run", "--module", "m0000[12]")
        #expect(dry.text.contains("m00001") && dry.text.contains("m00002"))
        #expect(!dry.text.contains("m00003"))
        #expect(fleet.objects("snapshots").isEmpty)
        try fleet.cistern("run", "nightly", "--module", "m0000[12]")
        #expect(fleet.objects("snapshots").count == 2)
    }

    /// A module's content that another has already costs no second upload.
    @Test func contentIsSharedBetweenModules() throws {
        var corpus = Corpus()
        try corpus.large(folder()("one"), count: 1, size: 8 << 20)
        try Command("cp", ["-a", folder()("one"), folder()("two")]).run().expect()
        let fleet = try Fleet(
            in: folder()("fleet"),
            modules: ["one": folder()("one"), "two": folder()("two")], workers: 1)
        try fleet.cistern("run", "nightly")
        let contents = try StoreContents(fleet, #require(Restic.all.first))
        #expect(contents.duplicates == 0)
        try fleet.judge()
    }
}
