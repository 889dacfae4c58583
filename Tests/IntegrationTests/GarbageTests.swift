import Foundation
import TestSupport
import Testing

/// `gc` and `obliterate` by the program itself, with restic as the judge and beside it.
@Suite(.temporaryFolder, .serialized) struct GarbageTests {
    private func scene() throws -> Scene {
        let scene = try Scene { corpus, path in
            try corpus.small("\(path)/small", count: 600)
            try corpus.large("\(path)/large", count: 2, size: 6 << 20)
        }
        try scene.fleet.cistern("dehydrate", "data")
        removeTree(scene.module + "/large")
        var corpus = Corpus(seed: 5)
        _ = try corpus.churn(scene.module + "/small")
        try scene.fleet.cistern("dehydrate", "data")
        return scene
    }

    /// Forgets the oldest snapshot, as restic does.
    private func forgetOldest(_ fleet: Fleet) throws {
        let restic = try #require(Restic.all.first, "restic is not installed")
        try fleet.restic(restic, "forget", "--keep-last", "1", "--group-by", "")
    }

    /// Marks what is garbage; somebody who holds a lock meanwhile keeps it from being removed.
    private func mark(_ fleet: Fleet) throws {
        let packs = fleet.objects("data")
        let path = try folder()("gate")
        defer { try? FileManager.default.removeItem(atPath: path) }
        let gate = try Gate(path)
        let holder = try fleet.command(["store", "check", "--read-data"]).noting(path).start()
        try #require(holder.wait { _ in !fleet.objects("locks").isEmpty })
        let report = try JSON(
            fleet.cistern("gc", "--grace", "0", "--max-unused", "0", "--json").output)
        let waiting = report["waiting"].array.compactMap { $0["packs"].integer }.reduce(0, +)
        #expect(waiting > 0 && report["deleted"]["packs"].integer == 0, "\(report)")
        try gate.open()
        try holder.wait().expect()
        #expect(fleet.objects("data").isSuperset(of: packs))
    }

    @Test func resticFindsNoFault() throws {
        let scene = try scene()
        try forgetOldest(scene.fleet)
        let before = try JSON(
            scene.fleet.cistern("gc", "--dry-run", "--grace", "0", "--json").output)
        #expect(before["unused"]["packs"].integer ?? 0 > 0)
        // restic sees a whole store without the marked packs.
        try mark(scene.fleet)
        for judge in Restic.all {
            let check = try scene.fleet.restic(judge, "check", "--read-data")
            #expect(check.text.contains("no errors were found"), "\(judge): \(check)")
        }
        try scene.fleet.cistern("gc", "--grace", "0", "--max-unused", "0")
        try scene.fleet.judge()
        #expect(try scene.roundTrip() == [])
        let again = try scene.fleet.cistern("gc", "--grace", "0", "--json")
        let after = try JSON(again.output)
        #expect(after["blobs"].integer == after["blobs_in_use"].integer)
        #expect(scene.fleet.objects("locks") == [])
    }

    /// Nightly runs that find little to store leave few packs in the long run.
    @Test func smallPacksAreMerged() throws {
        let scene = try Scene { corpus, path in try corpus.small("\(path)/small", count: 20) }
        for i in 1...17 {
            try Data("\(i)".utf8).write(to: URL(fileURLWithPath: scene.module + "/changing"))
            try scene.fleet.cistern("dehydrate", "data")
        }
        #expect(scene.fleet.objects("data").count >= 32)
        let kept = try scene.fleet.cistern("gc", "--grace", "0", "--merge-below", "0", "--json")
        #expect(try JSON(kept.output)["repacked"]["packs"].integer == 0)
        try scene.fleet.cistern("gc", "--grace", "0")
        #expect(scene.fleet.objects("data").count == 2)
        try scene.fleet.judge()
        #expect(try scene.roundTrip() == [])
    }

    /// restic's prune removes marked packs at once, unless a snapshot needs them: then it refuses.
    @Test func resticPrunesWhatIsMarked() throws {
        for restic in Restic.all {
            let scene = try scene()
            defer { removeTree(scene.fleet.folder) }
            try forgetOldest(scene.fleet)
            try mark(scene.fleet)
            let marked = scene.fleet.objects("data")
            try scene.fleet.restic(restic, "prune")
            #expect(scene.fleet.objects("data").isStrictSubset(of: marked), "\(restic)")
            try scene.fleet.judge()
            try scene.fleet.cistern("gc", "--grace", "0")
            try scene.fleet.cistern("dehydrate", "data")
            try scene.fleet.judge()
        }
    }

    /// A snapshot that came back needs what is marked: restic's prune says what it does not find and
    /// touches nothing, and the next collection lists it again.
    @Test(arguments: Restic.all) func resticDoesNotPruneWhatIsNeeded(restic: Restic) throws {
        let scene = try scene()
        let fleet = scene.fleet
        let snapshots = try folder()("snapshots")
        try Command("cp", ["-a", fleet.store + "/snapshots", snapshots]).run().expect()
        try forgetOldest(fleet)
        try mark(fleet)
        let packs = fleet.objects("data")
        try Command("cp", ["-a", snapshots + "/.", fleet.store + "/snapshots"]).run().expect()
        let prune = restic.command(
            ["prune", "--max-unused", "0"], store: fleet.store, passwordFile: fleet.passwordFile)
        let refused = try prune.run()
        #expect(refused.status != .exited(0), "\(refused)")
        // Which words it has for that depends on whether trees are among it.
        let said = refused.text + refused.errorText
        #expect(said.contains("not found in repository") || said.contains("missing"), "\(said)")
        #expect(fleet.objects("data") == packs)
        let listed = try JSON(fleet.cistern("gc", "--grace", "0", "--json").output)
        #expect(listed["recovered"]["packs"].integer ?? 0 > 0, "\(listed)")
        #expect(listed["lost_blobs"].integer == 0)
        #expect(try fleet.snapshots(restic).count == 2)
        try fleet.judge()
        try prune.run().expect()
        try fleet.judge()
        #expect(try scene.roundTrip() == [])
    }

    /// Dies at each point between two durable steps; the next run goes on and nothing is lost.
    @Test func everyCommitPoint() throws {
        let scene = try scene()
        try forgetOldest(scene.fleet)
        let gc = ["gc", "--grace", "0", "--max-unused", "0"]
        let places = try scene.fleet.dieEverywhere(gc, in: folder()) { fleet, place in
            try fleet.cistern("dehydrate", "data")
            try fleet.command(gc).run().expect()
            let check = try fleet.restic(#require(Restic.all.last), "check", "--read-data")
            #expect(
                check.text.contains("no errors were found")
                    && !check.text.contains("not referenced"), "\(place): \(check)")
            #expect(fleet.objects("locks") == [], "\(place)")
        }
        #expect(places.count > 10, "\(places)")
    }

    @Test func obliterateEndsWithAReceipt() throws {
        let scene = try scene()
        let fleet = scene.fleet
        #expect(try fleet.cistern("obliterate", "data", expecting: 2).errorText.contains("--yes"))
        try fleet.cistern("obliterate", "nothing", "--yes")
        let result = try JSON(fleet.cistern("obliterate", "data", "--yes", "--json").output)
        #expect(result["proven"].bool == true)
        #expect(fleet.objects("snapshots") == [])
        #expect(fleet.objects("data") == [])
        let receipts = try FileManager.default.contentsOfDirectory(
            atPath: fleet.folder + "/state/obliterated")
        #expect(receipts.count == 1)
        #expect(
            !FileManager.default.fileExists(atPath: fleet.folder + "/state/modules/data.sqlite"))
        // Again: nothing to do.
        try fleet.cistern("obliterate", "data", "--yes")
        // The module can be stored anew.
        try fleet.cistern("dehydrate", "data")
        try fleet.judge()
    }

    /// A machine that has nothing but the configuration and the password asks the store.
    @Test func obliterateFromAnotherMachine() throws {
        let scene = try scene()
        let fleet = try scene.fleet.copy(to: folder()("other"))
        removeTree(fleet.folder + "/state")
        let result = try JSON(fleet.cistern("obliterate", "data", "--yes", "--json").output)
        #expect(result["proven"].bool == true)
        #expect(result["deleted"]["snapshots"].array.count == 2)
        #expect(fleet.objects("snapshots") == [])
        #expect(fleet.objects("data") == [])
    }

    /// What killed writers left half written, state files that were put aside, and what the
    /// quarantine still holds.
    @Test func obliterateFindsWhatLiesAbout() throws {
        let scene = try scene()
        let fleet = scene.fleet
        let pack = try #require(fleet.objects("data").first)
        let half = "\(fleet.store)/data/\(pack)-tmp-1234567890abcdef"
        let aside = "\(fleet.folder)/state/modules/data.sqlite.damaged-1700000000"
        let other = "\(fleet.folder)/state/modules/data2.sqlite.damaged-1700000000"
        let kept = "\(fleet.folder)/state/quarantine/.store/1700000000-pack-0123"
        try FileManager.default.createDirectory(
            atPath: (kept as NSString).deletingLastPathComponent,
            withIntermediateDirectories: true)
        for path in [half, aside, other, kept] {
            try Data("sealed".utf8).write(to: URL(fileURLWithPath: path))
        }
        let result = try JSON(fleet.cistern("obliterate", "data", "--yes", "--json").output)
        #expect(result["proven"].bool == true)
        #expect(result["quarantined"].array.compactMap(\.string) == [kept])
        let left = [half, aside, other, kept].filter(FileManager.default.fileExists(atPath:))
        #expect(left == [other, kept])
    }
}
