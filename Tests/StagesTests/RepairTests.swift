import ContentStore
import Foundation
import JobTable
import Manifest
import Platform
import Repairer
import Stages
import TestSupport
import Testing

@Suite struct RepairTests {
    // MARK: The plan

    private func unit(
        _ state: CheckResult.State, recoverable: Bool, good: Int, error: Bool = false,
        kind: FileKind = .file
    ) -> Unit {
        var unit = Unit(path: [97], metadata: FileMetadata(kind: kind))
        if error { unit.error = UnitError(call: "read", code: 5) }
        unit.check = CheckResult(
            state: state, healthy: false, recoverable: recoverable, verified: true,
            copiesExpected: 1, copiesGood: good)
        return unit
    }

    static let all = RepairPolicy(restoreRotted: true, restoreRemoved: true, requeueStore: true)
    static let nothing = RepairPolicy(
        restoreRotted: false, restoreRemoved: false, requeueStore: false)

    @Test func theTruthTable() {
        func plan(_ unit: Unit, _ policy: RepairPolicy = RepairTests.all) -> RepairPlan {
            RepairPlan(unit, policy)
        }
        for state in [CheckResult.State.rotted, .unreadable] {
            let good = unit(state, recoverable: true, good: 1, error: true)
            #expect(plan(good) == .restore)
            #expect(plan(good, Self.nothing) == .leave)
            #expect(plan(unit(state, recoverable: false, good: 0, error: true)) == .hopeless)
            #expect(
                plan(unit(state, recoverable: true, good: 1, error: true, kind: .directory))
                    == .leave)
        }
        #expect(plan(unit(.unreadable, recoverable: true, good: 1)) == .leave, "unknown, not bad")
        let removed = unit(.removed, recoverable: true, good: 1)
        #expect(plan(removed) == .restore)
        #expect(plan(removed, RepairPolicy()) == .leave)
        #expect(plan(unit(.removed, recoverable: false, good: 0)) == .leave)
        #expect(plan(unit(.intact, recoverable: true, good: 0)) == .requeue)
        #expect(plan(unit(.intact, recoverable: true, good: 0), Self.nothing) == .leave)
        #expect(plan(unit(.intact, recoverable: true, good: 1)) == .leave)
        #expect(plan(unit(.new, recoverable: true, good: 0)) == .leave)
        #expect(plan(unit(.changed, recoverable: true, good: 0)) == .leave)
        #expect(plan(Unit(path: [97], metadata: FileMetadata(kind: .file))) == .leave)
    }

    // MARK: The limit

    private func damaged(_ count: Int, of total: Int) throws -> Workbench {
        let bench = try Workbench()
        for number in 0..<total {
            try bench.write("f\(100 + number)", noise(600, seed: UInt64(number + 1)))
        }
        try bench.store("first")
        for number in 0..<count {
            let path = bench.module + "/f\(100 + number)"
            let file = try #require(FileHandle(forWritingAtPath: path))
            try file.write(contentsOf: [1, 2, 3])
            try file.close()
        }
        try bench.rebase()
        try bench.manifest("r")
        return bench
    }

    /// A share allows one at least, but for 0 %, which is to repair nothing.
    @Test(
        arguments: [
            (RepairPolicy.Limit.count(5), 1_000, 5), (.count(0), 1_000, 0),
            (.percent(10), 1_000, 100),
            (.percent(10), 3, 1), (.percent(0), 1_000, 0), (.percent(100), 7, 7),
            (.percent(10), 0, 1),
            (.percent(0.1), 100, 1),
        ] as [(RepairPolicy.Limit, UInt64, UInt64)])
    func limits(limit: RepairPolicy.Limit, units: UInt64, allowed: UInt64) {
        #expect(limit.allowed(of: units) == allowed)
    }

    /// 20 units: 19 files and the root.
    @Test(arguments: [
        (RepairPolicy.Limit.count(3), true), (.count(2), false), (.count(0), false),
        (.percent(15), true), (.percent(14), false), (.percent(100), true), (.percent(0), false),
    ])
    func aListWithMoreDamageThanAllowedIsNotBegun(limit: RepairPolicy.Limit, fine: Bool) throws {
        let bench = try damaged(3, of: 19)
        let before = try bench.read("f100")
        let checked = try bench.check("r", verify: true)
        #expect(checked[counter: "check-rotted"] == 3)
        let policy = RepairPolicy(limit: limit)
        if fine {
            let stats = try bench.repair("r", policy, checked: checked)
            #expect(stats[counter: "repair-restored"] == 3)
        } else {
            let failure = #expect(throws: Failure.self) {
                try bench.repair("r", policy, checked: checked)
            }
            #expect(failure?.kind == .unhealthy)
            #expect(try bench.read("f100") == before, "it began")
        }
    }

    @Test func aStreamStopsAtTheLimit() throws {
        let bench = try damaged(8, of: 19)
        bench.batchUnits = 1
        bench.threads = 1
        try bench.check("r", verify: true)
        let failure = #expect(throws: Failure.self) {
            try bench.repair("r", RepairPolicy(limit: .count(5)))
        }
        #expect(failure?.kind == .unhealthy)
        let mended = try (0..<19).filter {
            try bench.read("f\(100 + $0)") == noise(600, seed: UInt64($0 + 1))
        }
        #expect(mended.count == 11 + 5)
    }

    /// What no repair is for does not count: a policy that only reports never looks like a
    /// disaster, nor does one directory that cannot be read.
    @Test func onlyWhatWouldBeDoneCounts() throws {
        let bench = try damaged(8, of: 19)
        let checked = try bench.check("r", verify: true)
        var policy = Self.nothing
        policy.limit = .count(1)
        let stats = try bench.repair("r", policy, checked: checked)
        #expect(stats[counter: "count-unhealthy"] == 8)
        #expect(stats[counter: "repair-attempted"] == 0)
    }

    @Test func anUnreadableDirectoryIsNoDisaster() throws {
        let bench = try Workbench()
        for number in 0..<20 {
            try bench.write("d/f\(number)", noise(600, seed: UInt64(number + 1)))
        }
        try bench.store("first")
        var units = try bench.walk().filter { $0.path.count < 2 }
        units[1].error = UnitError(call: "getdents64", code: 5)
        try bench.manifest("r", units)
        let checked = try bench.check("r", verify: true)
        #expect(checked[counter: "count-unknown"] == 20)
        let policy = RepairPolicy(limit: .count(1))
        let stats = try bench.repair("r", policy, checked: checked)
        #expect(stats[counter: "repair-attempted"] == 0)
        #expect(stats[counter: "count-unhealthy"] == 21)
    }

    // MARK: Removed trees

    /// A tree that is gone comes back whichever of its batches is the first to be worked on.
    @Test(arguments: [false, true])
    func aRemovedTreeComesBackInAnyOrder(backwards: Bool) throws {
        let bench = try Workbench()
        bench.batchUnits = 1
        for name in ["a/b/c/1", "a/b/c/2", "a/b/3", "a/4"] {
            try bench.write(name, Array(name.utf8))
        }
        #expect(chmod(bench.module + "/a/b", 0o710) == 0)
        try bench.store("first")
        let baseline = try #require(try bench.state.baseline())
        removeTree(bench.module + "/a")
        let before = try bench.walk()
        try bench.manifest("r")
        try bench.check("r", verify: false)
        let source = try ListSource(
            state: bench.state,
            keys: ["manifest", "check"].map { ListKey(run: "r", stage: $0) }, firstBatch: 0)
        var units: [Unit] = []
        while let batch = try source.next() { units += try batch.load().units }
        units = units.filter { $0.check?.state == .removed }
        #expect(units.count == 7)
        var batches = units.map {
            UnitBatch(number: 0, firstSeq: 0, units: [$0], after: [], upTo: nil)
        }
        if backwards { batches.reverse() }
        let policy = RepairPolicy(restoreRemoved: true, limit: .count(100))
        let worker = try bench.repairStage(policy).makeWorker()
        for batch in batches {
            let unit = try #require(try worker.process(batch).units.first)
            #expect(
                unit.repair?.successful == true, "\(unit.name): \(String(describing: unit.repair))")
        }
        // The root's own time moved with the removal; all else is as it was stored.
        #expect(before.count == 1)
        try bench.manifest("again")
        try bench.dehydrate("again")
        let stored = try bench.units(baseline.key.run, ["dehydrate"])
        for unit in try bench.units("again", ["dehydrate"]) where unit.path != [] {
            let then = try #require(stored.first { $0.path == unit.path })
            #expect(unit.metadata.mtime == then.metadata.mtime, "\(unit.name)")
            #expect(unit.metadata.permissions == then.metadata.permissions, "\(unit.name)")
        }
    }

    /// What should come back and cannot, stays in the next snapshot.
    @Test func whatCouldNotBeRestoredIsNotForgotten() throws {
        let bench = try Workbench()
        try bench.write("d/file", noise(600, seed: 1))
        try bench.store("first")
        let baseline = try #require(try bench.state.baseline())
        #expect(unlink(bench.module + "/d/file") == 0)
        try bench.manifest("r")
        try bench.check("r", verify: false)
        // The pack breaks between check and repair.
        try bench.flipPack("d/file")
        let policy = RepairPolicy(restoreRemoved: true, limit: .count(100))
        let stats = try bench.repair("r", policy)
        #expect(stats[counter: "repair-failed"] == 1)
        try bench.dehydrate("r", after: ["manifest", "check", "repair"])
        let unit = try #require(try bench.units("r", ["dehydrate"])["d/file"])
        let old = try #require(try bench.units(baseline.key.run, ["dehydrate"])["d/file"])
        #expect(unit.content?.ids == old.content?.ids)
    }
}
