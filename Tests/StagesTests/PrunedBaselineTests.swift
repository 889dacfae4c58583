import ContentStore
import Dehydrator
import Foundation
import JobTable
import Platform
import Stages
import StoreTestSupport
import TestSupport
import Testing

/// Snapshots that go while the state of a module still builds on them.
@Suite struct PrunedBaselineTests {
    private func bench() throws -> Workbench {
        let bench = try Workbench()
        bench.batchUnits = 2
        for number in 0..<8 {
            try bench.write("d/f\(number)", noise(2000, seed: UInt64(number)))
        }
        try bench.store("first")
        return bench
    }

    private func dropBaseline(_ bench: Workbench) throws -> Digest {
        let id = try #require(try bench.state.baseline()).snapshot
        try bench.store.removeSnapshot(id)
        return id
    }

    /// A store that knows nothing but the backend fills a folder with just what is in the module.
    private func expectWhole(_ bench: Workbench) throws {
        let stranger = try bench.stranger()
        let last = try #require(try stranger.snapshots(of: "m").last)
        let target = bench.folder("copy-\(UInt64.random(in: .min ... .max))")
        let root = try SnapshotRoot.find(
            last.snapshot, store: stranger, reader: BlobReader(store: stranger))
        _ = try Hydrator(store: stranger, target: target)
            .hydrate(tree: root.subtree, node: root.node)
        #expect(try TreeComparison.differences(bench.module, target) == [])
    }

    @Test func aSnapshotThatIsGoneIsNoLongerListed() throws {
        let bench = try bench()
        #expect(try bench.store.snapshots().count == 1)
        let id = try dropBaseline(bench)
        #expect(try bench.store.snapshots().isEmpty)
        // Again is no error: somebody else may have been faster.
        try bench.store.removeSnapshot(id)
    }

    /// The next dehydrate builds on the list of the one that is gone, and is whole without it.
    @Test(arguments: [true, false]) func theNextSnapshotIsWhole(_ changed: Bool) throws {
        let bench = try bench()
        _ = try dropBaseline(bench)
        if changed { try bench.write("d/f3", noise(3000, seed: 99)) }
        try bench.store("second")
        let snapshots = try bench.store.snapshots(of: "m")
        #expect(snapshots.count == 1)
        try expectWhole(bench)
    }

    /// With `skip_unchanged`, too: a snapshot that is gone is none that could be relied on.
    @Test func nothingChangedAndNoSnapshotMakesOne() throws {
        let bench = try bench()
        _ = try dropBaseline(bench)
        bench.settle()
        try bench.manifest("second")
        try bench.dehydrate("second", DehydrateOptions(skipUnchanged: true))
        #expect(try bench.store.snapshots(of: "m").count == 1)
        try expectWhole(bench)
    }

    /// The baseline goes while a dehydrate that began with it is at work.
    @Test(arguments: [0, 2, 4]) func itGoesInTheMiddle(_ stopAt: Int) throws {
        let bench = try bench()
        try bench.write("d/f7", noise(3000, seed: 98))
        bench.settle()
        try bench.manifest("second")
        let stage = try bench.dehydrateStage("second")
        if stopAt > 0 {
            #expect(throws: (any Error).self) { try bench.dehydrate("second", stopAt: stopAt) }
        }
        _ = try dropBaseline(bench)
        if stopAt == 0 {
            try bench.perform(stage, "second", after: ["manifest"], onlyFull: true)
        } else {
            try bench.dehydrate("second")
        }
        try expectWhole(bench)
    }

    /// Its content goes as well, as when space was collected: it is stored again.
    @Test func itsContentGoesToo() throws {
        let bench = try bench()
        _ = try dropBaseline(bench)
        for (key, _) in try bench.memory.objects where key.kind == .pack || key.kind == .index {
            try bench.memory.remove(key)
        }
        try bench.refresh()
        try bench.store("second")
        try expectWhole(bench)
    }
}
