import Foundation
import TestSupport
import Testing

/// Work that was interrupted, and that something else came before when it goes on.
@Suite(.temporaryFolder) struct OvertakenTests {
    private func add(_ scene: Scene, _ name: String) throws {
        try Data(name.utf8).write(to: URL(fileURLWithPath: "\(scene.module)/\(name)"))
    }

    /// A command that dies at `place`.
    private func die(_ scene: Scene, at place: CrashPlace, _ arguments: String...) throws {
        try scene.fleet.command(arguments).die(at: place)
    }

    /// What an interrupted run has listed is older than the snapshot that was made meanwhile.
    @Test(
        arguments: [CrashPlace("batch-committed", 4), CrashPlace("stage-batches-done", 4)],
        [false, true])
    func aRunDoesNotGoBackBehindALaterSnapshot(place: CrashPlace, hasSnapshot: Bool) throws {
        let scene = try Scene { try $0.small($1, count: 300) }
        let fleet = scene.fleet
        if hasSnapshot {
            try fleet.cistern("run", "nightly")
            try add(scene, "second")
        }
        let once = try folder()("once")
        let running = try fleet.command(["run", "nightly"]).dying(at: place, once: once).start()
        try #require(running.wait { _ in FileManager.default.fileExists(atPath: once) })
        let result = try running.killAll()
        try #require(result.status == .killed(signal: 9), "\(result)")
        let snapshots = fleet.objects("snapshots").count
        #expect(snapshots == (hasSnapshot ? 1 : 0), "it died too late")
        let interrupted = try fleet.latestRun("nightly")
        // Before and behind all that is there.
        try add(scene, "!added")
        try add(scene, "~added")
        try fleet.cistern("dehydrate", "data")
        try fleet.cistern("run", "nightly")
        #expect(try fleet.latestRun("nightly") == interrupted, "the run was not gone on with")
        #expect(fleet.objects("snapshots").count == snapshots + 2)
        #expect(try scene.roundTrip() == [])
    }

    /// A dehydrate of a list says nothing about the module as it is: one by a walk begins anew.
    @Test(arguments: [CrashPlace("batch-committed"), CrashPlace("stage-batches-done")])
    func aWalkDoesNotGoOnFromAList(place: CrashPlace) throws {
        let scene = try Scene { try $0.small($1, count: 300) }
        try scene.fleet.cistern("store", "init")
        let list = try folder()("list")
        var command = scene.fleet.command(["manifest", "data"])
        command.output = list
        try command.run().expect()
        try die(scene, at: place, "dehydrate", "data", "--list", list)
        try add(scene, "!added")
        try add(scene, "~added")
        try scene.fleet.cistern("dehydrate", "data")
        #expect(try scene.roundTrip() == [])
    }

    /// The same the other way round: a run has made a snapshot since the dehydrate was interrupted.
    @Test func aDehydrateByHandDoesNotGoBackBehindARun() throws {
        let scene = try Scene { try $0.small($1, count: 300) }
        let fleet = scene.fleet
        try fleet.cistern("store", "init")
        try die(scene, at: CrashPlace("batch-committed"), "dehydrate", "data")
        try add(scene, "!added")
        try add(scene, "~added")
        try fleet.cistern("run", "nightly")
        let again = try fleet.cistern("dehydrate", "data")
        #expect(!again.errorText.contains("going on"), "\(again)")
        #expect(fleet.objects("snapshots").count == 2)
        #expect(try scene.roundTrip() == [])
    }

    /// With nothing in between it goes on, and says so.
    @Test func aDehydrateByHandGoesOn() throws {
        let scene = try Scene { try $0.small($1, count: 300) }
        let fleet = scene.fleet
        try fleet.cistern("store", "init")
        try die(scene, at: CrashPlace("batch-committed"), "dehydrate", "data")
        let again = try fleet.cistern("dehydrate", "data")
        #expect(again.errorText.contains("going on"), "\(again)")
        #expect(try scene.roundTrip() == [])
    }
}
