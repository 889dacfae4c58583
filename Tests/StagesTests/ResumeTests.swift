import ContentStore
import Dehydrator
import Foundation
import JobTable
import Manifest
import Platform
import Repairer
import Stages
import StoreTestSupport
import TestSupport
import Testing

/// A dehydrate that dies and goes on: the same lists, the same tree, one snapshot.
@Suite struct DehydrateResumeTests {
    private func fill(_ bench: Workbench) throws {
        bench.batchUnits = 1
        for number in 0..<150 {
            try bench.write(
                "d\(number / 20)/f\(number)", noise(100 + number, seed: UInt64(number % 140)))
        }
        bench.settle()
    }

    private func chunks(_ bench: Workbench) throws -> [ListChunk] {
        let key = ListKey(run: "r", stage: "dehydrate")
        let count = try #require(try bench.state.list(key)).chunks
        return try (0..<count).map { try #require(try bench.state.chunk(key, $0)) }
    }

    private func snapshots(_ bench: Workbench) throws -> [StoredSnapshot] {
        try bench.store.snapshots(of: "m")
    }

    @Test(arguments: 0...8)
    func goesOnWhereverItDied(stopAt: Int) throws {
        let bench = try Workbench()
        try fill(bench)
        try bench.manifest("r")
        let stats: Stats
        do {
            // How many commits there are depends on the uploads.
            stats = try bench.dehydrate("r", stopAt: stopAt)
            #expect(stopAt > 2)
        } catch is DyingSink.Death {
            let list = try #require(try bench.state.list(ListKey(run: "r", stage: "dehydrate")))
            #expect(!list.finished)
            try bench.reopen()
            stats = try bench.dehydrate("r")
        }
        let resumed = try chunks(bench)
        let tree = try #require(try bench.state.baseline()).rootTree
        #expect(try snapshots(bench).map(\.snapshot.tree) == [tree])
        // The same module, undisturbed, into the same store with another state.
        let state = try ModuleState(path: bench.folder("other.sqlite"), module: "m")
        let other = try Workbench(bench, state: state)
        try other.manifest("r")
        let undisturbed = try other.dehydrate("r")
        #expect(try chunks(other).map(\.lastKey) == resumed.map(\.lastKey))
        func contents(_ bench: Workbench) throws -> [[Digest]?] {
            try bench.units("r", ["dehydrate"]).map { $0.content?.ids }
        }
        #expect(try contents(other) == contents(bench))
        #expect(try other.state.baseline()?.rootTree == tree)
        #expect(undisturbed.countFiles == stats.countFiles)
        #expect(undisturbed.sizeFiles == stats.sizeFiles)
        #expect(undisturbed[counter: "files-new"] == stats[counter: "files-new"])
    }

    /// Dies between the snapshot and the end of its list: the same snapshot again, not a second.
    @Test func oneRunMakesOneSnapshot() throws {
        let bench = try Workbench()
        try fill(bench)
        try bench.manifest("r")
        var commits = 0
        while true {
            do {
                try bench.dehydrate("r", stopAt: commits)
                break
            } catch is DyingSink.Death {
                commits = 1
                try bench.reopen()
                #expect(try snapshots(bench).count <= 1)
            }
        }
        #expect(try snapshots(bench).count == 1)
        #expect(try snapshots(bench).first?.id == bench.state.baseline()?.snapshot)
        #expect(try bench.state.note("pending-snapshot") == nil)
    }

    /// A pack of an interrupted run is lost before the run goes on: what was committed relies on
    /// it, and nothing may call that healthy.
    @Test(arguments: [false, true])
    func contentLostBetweenTwoHalvesIsNoticed(forgetIndex: Bool) throws {
        let bench = try Workbench()
        try fill(bench)
        try half(bench)
        for key in try bench.memory.objects.keys where key.kind == .pack {
            try bench.memory.damage(key, nil)
        }
        if forgetIndex {
            for key in try bench.memory.objects.keys where key.kind == .index {
                try bench.memory.damage(key, nil)
            }
        }
        try bench.reopen(forgettingIndex: forgetIndex)
        let stats = try bench.dehydrate("r")
        let contents = Set(
            try bench.units("r", ["dehydrate"]).compactMap { $0.content?.ids }.joined())
        let lost = try contents.filter { try !bench.store.index.contains($0, .data) }.count
        // Either nothing is missing, or it is said.
        #expect(lost == 0 || stats[counter: "files-lost"] > 0, "\(lost) blobs are missing")
        try bench.manifest("c")
        let checked = try bench.check("c", verify: false)
        #expect((checked[counter: "copies-missing"] > 0) == (lost > 0), "a check says all is well")
        // The next run puts them back.
        try bench.manifest("n")
        try bench.dehydrate("n")
        try bench.manifest("d")
        #expect(try bench.check("d", verify: true)[counter: "count-unhealthy"] == 0)
    }

    /// Dehydrates `r` until it dies with some units committed that rely on content.
    private func half(_ bench: Workbench) throws {
        try bench.manifest("r")
        var stopAt = 1
        var done = 0
        while done < 20 {
            #expect(throws: DyingSink.Death.self) { try bench.dehydrate("r", stopAt: stopAt) }
            done = try bench.state.list(ListKey(run: "r", stage: "dehydrate"))?.chunks ?? 0
            stopAt += 1
            try bench.reopen()
        }
    }

    /// Another run came between the two halves of a list: which generation the first half relies
    /// on is not known any more.
    ///
    /// What has gone since is stored again from the files, and counted where a file is not what it
    /// was.
    @Test(arguments: [true, false])
    func contentLostAfterAnotherRunCameBetweenIsNoticed(areFilesTheSame: Bool) throws {
        let bench = try Workbench()
        try fill(bench)
        try half(bench)
        try bench.manifest("other")
        try bench.dehydrate("other")
        let generation = try bench.store.index.generation()
        #expect(try bench.state.baseline()?.storeGeneration == generation)
        for key in try bench.memory.objects.keys where key.kind == .pack {
            try bench.memory.damage(key, nil)
        }
        try bench.reopen()
        #expect(try bench.store.index.generation() > generation)
        if !areFilesTheSame {
            for number in 0..<150 {
                try bench.write(
                    "d\(number / 20)/f\(number)", noise(200 + number, seed: UInt64(900 + number)))
            }
            bench.settle()
        }
        let stats = try bench.dehydrate("r")
        #expect((stats[counter: "files-lost"] > 0) == !areFilesTheSame)
        let baseline = try #require(try bench.state.baseline())
        #expect(baseline.key.run == "r")
        #expect(baseline.storeGeneration == -1)
        // Then the next run looks everything up, and reads what is not there.
        try bench.manifest("n")
        #expect(try (bench.dehydrate("n")[counter: "read-bytes"] > 0) == !areFilesTheSame)
        try bench.manifest("d")
        #expect(try bench.check("d", verify: true)[counter: "count-unhealthy"] == 0)
    }

    /// The module is as it was when the list was begun, not when it was gone on with.
    @Test func aSnapshotHasTheTimeOfTheBeginning() throws {
        let bench = try Workbench()
        try fill(bench)
        let before = SystemClock().now()
        try half(bench)
        let between = SystemClock().now()
        try bench.dehydrate("r")
        let time = try #require(try bench.state.baseline()).time
        #expect(before <= time && time < between)
        #expect(try snapshots(bench).map(\.snapshot.time) == [time])
    }

    @Test func exactlyWhatTheStoreLostIsReadAgain() throws {
        let bench = try Workbench()
        let lost = noise(3000, seed: 1)
        try bench.write("lost", lost)
        try bench.store("first")
        for number in 0..<20 { try bench.write("f\(number)", noise(500, seed: UInt64(number + 9))) }
        try bench.store("second")
        try bench.manifest("same")
        let same = try bench.dehydrate("same")
        #expect(same[counter: "read-bytes"] == 0)
        #expect(same[counter: "new-packs"] == 0)
        try bench.losePack("lost")
        try bench.manifest("third")
        let third = try bench.dehydrate("third")
        #expect(third[counter: "read-bytes"] == 3000)
        #expect(third[counter: "files-unchanged"] == 20)
        // An index file is gone and its packs are there: nobody finds them without it.
        for key in try bench.memory.objects.keys where key.kind == .index {
            try bench.memory.damage(key, nil)
        }
        try bench.refresh()
        try bench.manifest("fourth")
        let fourth = try bench.dehydrate("fourth")
        #expect(fourth[counter: "read-bytes"] == 3000 + 20 * 500)
        let reader = BlobReader(store: try bench.stranger())
        for id in try bench.units("fourth", ["dehydrate"]).compactMap({ $0.content?.ids }).joined()
        {
            #expect(try reader.verify(id, .data) == .good)
        }
    }

    /// The local index was thrown away and an index file is gone: nobody remembers the blobs.
    @Test func aLossThatOnlyTheOldIndexKnewIsNoticed() throws {
        let bench = try Workbench()
        try bench.write("file", noise(3000, seed: 1))
        try bench.store("first")
        for key in try bench.memory.objects.keys where key.kind == .index {
            try bench.memory.damage(key, nil)
        }
        try bench.reopen(forgettingIndex: true)
        try bench.manifest("c")
        #expect(try bench.check("c", verify: false)[counter: "copies-missing"] == 1)
        try bench.manifest("v")
        let checked = try bench.check("v", verify: true)
        #expect(checked[counter: "copies-missing"] == 1)
        let policy = RepairPolicy(limit: .count(1))
        let repaired = try bench.repair("v", policy, checked: checked)
        #expect(repaired[counter: "repair-requeued"] == 1)
        #expect(repaired[counter: "count-unhealthy"] == 0)
    }

    @Test func anUnchangedModuleAddsNothing() throws {
        let bench = try Workbench()
        try bench.write("a/b", noise(3000, seed: 1))
        try bench.store("first")
        let first = try #require(try bench.state.baseline())
        try bench.manifest("skip")
        let options = DehydrateOptions(skipUnchanged: true)
        let stats = try bench.dehydrate("skip", after: ["manifest"], options)
        #expect(stats[counter: "new-snapshots"] == 0)
        #expect(try bench.state.baseline()?.snapshot == first.snapshot)
        #expect(try snapshots(bench).count == 1)
        // The snapshot itself is gone: then it is made again.
        try bench.memory.damage(ObjectKey(.snapshot, first.snapshot), nil)
        try bench.manifest("again")
        try bench.dehydrate("again", after: ["manifest"], options)
        #expect(try snapshots(bench).count == 1)
    }

    @Test func anotherStoreGetsEverything() throws {
        let bench = try Workbench()
        let content = noise(3000, seed: 1)
        try bench.write("a/b", content)
        try bench.store("first")
        let second = try Workbench(bench, backend: MemoryBackend())
        try second.manifest("second")
        try second.dehydrate("second")
        let baseline = try #require(try second.state.baseline())
        #expect(baseline.storeID == second.store.id.description)
        let stranger = try second.stranger()
        let snapshot = try #require(try stranger.snapshots(of: "m").first)
        let root = try SnapshotRoot.find(
            snapshot.snapshot, store: stranger, reader: BlobReader(store: stranger))
        #expect(try names(root.subtree, stranger) == ["a"])
        // And the way back: nothing is uploaded that the first store has.
        let third = try Workbench(bench, backend: bench.backend, state: "third")
        try third.manifest("third")
        #expect(try third.dehydrate("third")[counter: "new-bytes"] == 0)
    }

    private func names(_ tree: Digest, _ store: Store) throws -> [String] {
        let cursor = try TreeCursor(tree, reader: BlobReader(store: store), store: store)
        var names: [String] = []
        while let node = try cursor.next() {
            names.append(String(decoding: node.name, as: UTF8.self))
        }
        return names
    }
}
