import Foundation
import Platform
import TestSupport
import Testing

/// kill -9 of workers and dispatcher, at every commit point and at random times.
@Suite(.temporaryFolder, .serialized) struct KillTests {
    /// Dies once at each point between two durable steps that an undisturbed run goes through.
    @Test func everyCommitPoint() throws {
        let trial = try Trial(files: 2200)
        #expect(trial.places.count > 20, "\(trial.places)")
        // One place again and again, to find what happens only now and then.
        let again = try environment["CISTERN_CRASH_POINT"].map { wanted in
            let place = try #require(trial.places.first { $0.description == wanted })
            return Array(repeating: place, count: 20)
        }
        for place in again ?? trial.places {
            let once = try folder()("once")
            try? FileManager.default.removeItem(atPath: once)
            try trial.run(
                "\(place)", thorough: place.number == 1,
                prepare: { $0.dying(at: place, once: once) }
            ) { _, _ in }
            // A point that is not reached again would make this test hollow.
            if !FileManager.default.fileExists(atPath: once) {
                notice("crash point \(place) was reached in the undisturbed run only")
            }
        }
    }

    /// The same, with dispatcher and workers dead at once as in a power cut of processes.
    @Test func everyKindOfPointWithAllProcesses() throws {
        let trial = try Trial(files: 1200)
        var names: Set<String> = []
        for place in trial.places where names.insert(place.name).inserted {
            let once = try folder()("once")
            try? FileManager.default.removeItem(atPath: once)
            try trial.run(
                "all at \(place)", prepare: { $0.dying(at: place, once: once) }
            ) { running, _ in
                _ = running.wait { _ in FileManager.default.fileExists(atPath: once) }
                _ = try running.killAll()
            }
        }
    }

    /// A repair that dies again and again with a file half restored leaves one temporary file, not
    /// one for each time, and none in the end.
    @Test func repairsLeaveOneTemporaryFileAtMost() throws {
        let pipeline = Fleet.pipeline(
            "mend", check: "check: {verify: true}",
            repair: "{rotted: restore, removed: restore, store: requeue, max_repairs: 50%}")
        let scene = try Scene(pipelines: ["mend": pipeline]) { try $0.small($1, count: 40) }
        let fleet = scene.fleet
        try fleet.cistern("run", "nightly")
        let lost = try #require(Corpus.files(scene.module).first)
        let path = scene.module + "/" + lost
        let content = try Data(contentsOf: URL(fileURLWithPath: path))
        try FileManager.default.removeItem(atPath: path)
        func temporaries() -> [String] {
            Corpus.files(scene.module).filter { $0.contains(".cistern-") }
        }
        for number in 1...3 {
            let running = try fleet.command(["run", "mend"])
                .dying(at: CrashPlace("repair-before-rename")).start()
            let result = try running.wait()
            try running.waitForDescendants()
            #expect(result.status != .exited(0), "\(result)")
            #expect(temporaries().count == 1, "after \(number) runs: \(temporaries())")
            #expect(!FileManager.default.fileExists(atPath: path))
        }
        try fleet.cistern("run", "mend")
        #expect(temporaries() == [])
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == content)
    }

    /// A hydration that was killed is finished by the next, and leaves no temporary file.
    @Test func hydrateGoesOn() throws {
        let seed = UInt64(setting("CISTERN_SEED", default: Int.random(in: 1...1_000_000)))
        var generator = SeededGenerator(seed: seed)
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        try scene.fleet.cistern("dehydrate", "data")
        let whole = try scene.fleet.cistern("hydrate", "data", "--to", folder()("whole")).wall
        for number in 1...setting("CISTERN_KILLS", default: 3) {
            let target = try folder()("target\(number)")
            let delay = Double.random(in: 0...whole, using: &generator)
            let running = try scene.fleet.command(["hydrate", "data", "--to", target]).start()
            let end = monotonicSeconds() + delay
            _ = running.wait { _ in monotonicSeconds() >= end }
            _ = try running.killAll()
            try scene.fleet.cistern("hydrate", "data", "--to", target)
            let differences = try TreeComparison.differences(scene.module, target)
            #expect(differences == [], "CISTERN_SEED=\(seed), killed after \(delay) s")
            removeTree(target)
        }
    }
}
