import ContentStore
import Foundation
import JobTable
import Manifest
import Platform
import Repairer
import Stages
import StoreTestSupport
import Testing

/// Each kind of damage to each kind of file: exactly what a check says of it, and what a repair
/// makes of it.
@Suite struct DamageMatrixTests {
    enum Size: Int, CaseIterable, Sendable {
        case empty = 0
        case oneChunk = 20_000
        case manyChunks = 4_000_000
    }

    enum Kind: CaseIterable, Sendable {
        case intact, rotted, truncated, unreadable, packFlipped, packMissing
        case rottedAndFlipped, rottedAndMissing, unreadableAndMissing

        func verdict(verify: Bool, empty: Bool) -> Verdict {
            switch (self, verify) {
            case (.intact, _): Verdict(.intact, true, true, 1, 0)
            case (.rotted, false): Verdict(.intact, true, true, 1, 0)
            case (.rotted, true): Verdict(.rotted, false, true, 1, 0)
            case (.truncated, _): Verdict(.changed, true, true, nil, 0)
            case (.unreadable, _): Verdict(.unreadable, false, true, 1, 0)
            case (.packFlipped, false): Verdict(.intact, true, true, 1, 0)
            case (.packFlipped, true): Verdict(.intact, false, true, 0, 1)
            case (.packMissing, _): Verdict(.intact, false, true, 0, 0)
            case (.rottedAndFlipped, false): Verdict(.intact, true, true, 1, 0)
            case (.rottedAndFlipped, true): Verdict(.rotted, false, false, 0, 1)
            case (.rottedAndMissing, false): Verdict(.intact, false, true, 0, 0)
            case (.rottedAndMissing, true): Verdict(.rotted, false, false, 0, 0)
            case (.unreadableAndMissing, _): Verdict(.unreadable, false, false, 0, 0)
            }
        }

        /// Whether an empty file can have it: it has no content to lose.
        var concernsEmptyFiles: Bool { self == .intact || self == .unreadable }
    }

    struct Verdict: Equatable {
        var state: CheckResult.State
        var healthy: Bool
        var recoverable: Bool
        var good: Int?
        var corrupt: Int

        init(
            _ state: CheckResult.State, _ healthy: Bool, _ recoverable: Bool, _ good: Int?,
            _ corrupt: Int
        ) {
            self.state = state
            self.healthy = healthy
            self.recoverable = recoverable
            self.good = good
            self.corrupt = corrupt
        }

        /// - Parameter counted: whether copies are counted for this.
        init(_ check: CheckResult, counted: Bool) {
            self.init(
                check.state, check.healthy, check.recoverable, counted ? check.copiesGood : nil,
                check.copiesCorrupt)
        }
    }

    /// A module whose file of interest lies in a pack of its own.
    private func damaged(_ kind: Kind, _ size: Size) throws -> (Workbench, [UInt8], [Unit]) {
        let bench = try Workbench()
        let content = noise(size.rawValue, seed: 7)
        try bench.write("file", content)
        try bench.store("first")
        try bench.write("well", noise(5000, seed: 8))
        try bench.store("second")
        switch kind {
        case .intact, .unreadable, .unreadableAndMissing: break
        case .rotted, .rottedAndFlipped, .rottedAndMissing: try bench.rot("file")
        case .truncated: try bench.write("file", Array(content.prefix(content.count / 3)))
        case .packFlipped, .packMissing: break
        }
        switch kind {
        case .packFlipped, .rottedAndFlipped: try bench.flipPack("file")
        case .packMissing, .rottedAndMissing, .unreadableAndMissing: try bench.losePack("file")
        default: break
        }
        var units = try bench.walk()
        if kind == .unreadable || kind == .unreadableAndMissing {
            let index = try #require(units.firstIndex { $0.name == "file" })
            units[index].error = UnitError(call: "statx", code: 5)
        }
        return (bench, content, units)
    }

    @Test(arguments: Kind.allCases, Size.allCases)
    func checkTellsExactly(kind: Kind, size: Size) throws {
        if size == .empty && !kind.concernsEmptyFiles { return }
        let (bench, _, units) = try damaged(kind, size)
        // Twice, because a check that reads leaves notes on bad copies behind.
        for (number, verify) in [false, true, true].enumerated() {
            let run = "check-\(number)"
            try bench.manifest(run, units)
            let stats = try bench.check(run, verify: verify)
            let checked = try bench.units(run, ["manifest", "check"])
            #expect(checked.map(\.path) == units.map(\.path))
            let check = try #require(checked["file"]?.check)
            var expected = kind.verdict(verify: verify, empty: size == .empty)
            let counted = expected.good != nil && size != .empty
            if !counted { expected.good = nil }
            #expect(Verdict(check, counted: counted) == expected, "verify \(verify): \(check)")
            #expect(check.healthy || !check.problems.isEmpty, "it does not say why")
            #expect(
                check.verified == (verify && check.state != .changed && check.state != .unreadable))
            #expect(try #require(checked["well"]?.check).healthy)
            #expect(stats[counter: "count-unhealthy"] == (expected.healthy ? 0 : 1))
            #expect(stats[counter: "count-unrecoverable"] == (expected.recoverable ? 0 : 1))
        }
    }

    @Test(arguments: Kind.allCases, Size.allCases)
    func repairMendsWhatHasAGoodSide(kind: Kind, size: Size) throws {
        if size == .empty && !kind.concernsEmptyFiles { return }
        let (bench, content, units) = try damaged(kind, size)
        let before = try bench.memory.objects
        let file = try bench.read("file")
        try bench.manifest("r", units)
        let checked = try bench.check("r", verify: true)
        let stats = try bench.repair("r", RepairPolicy(limit: .count(5)), checked: checked)
        let unit = try #require(try bench.units("r", ["manifest", "check", "repair"])["file"])
        let verdict = kind.verdict(verify: true, empty: size == .empty)
        if verdict.healthy {
            #expect(unit.repair == nil)
            #expect(stats[counter: "count-unhealthy"] == 0)
            #expect(try bench.read("file") == file)
        } else if verdict.recoverable {
            let repair = try #require(unit.repair)
            #expect(repair.attempted && repair.successful, "\(repair)")
            #expect(repair.after.healthy && repair.after.verified && repair.after.recoverable)
            #expect(stats[counter: "count-unhealthy"] == 0)
            #expect(try bench.read("file") == content)
            let isStore = kind == .packFlipped || kind == .packMissing
            #expect(repair.action == (isStore ? .requeued : .restored))
        } else {
            let repair = try #require(unit.repair)
            #expect(!repair.attempted && !repair.successful && repair.action == .none)
            #expect(repair.after == repair.before)
            #expect(repair.error != nil)
            #expect(stats[counter: "count-unhealthy"] == 1)
            #expect(try bench.read("file") == file, "the last that is left of it")
            #expect(try bench.memory.objects == before)
        }
        guard verdict.recoverable && kind != .truncated else { return }
        // A second look, with nothing of this process's knowledge of the store.
        try bench.rebase()
        try bench.reopen(forgettingIndex: true)
        try bench.manifest("again")
        let again = try bench.check("again", verify: true)
        #expect(again[counter: "count-unhealthy"] == 0)
        #expect(try bench.units("again", ["manifest", "check"])["file"]?.check?.state == .intact)
        #expect(again[counter: "count-unrecoverable"] == 0)
    }

    @Test(arguments: [true, false])
    func aRemovedFileComesBackOnlyWhenAsked(restore: Bool) throws {
        let bench = try Workbench()
        let content = noise(3000, seed: 1)
        try bench.write("folder/file", content)
        try bench.write("well", content)
        try bench.store("first")
        try #require(unlinkFile(bench.module + "/folder/file"))
        try bench.manifest("r")
        let checked = try bench.check("r", verify: true)
        #expect(checked[counter: "check-removed"] == 1)
        #expect(checked[counter: "count-unhealthy"] == 0, "removing is a user's right")
        let policy = RepairPolicy(restoreRemoved: restore, limit: .count(1))
        try bench.repair("r", policy, checked: checked)
        let unit = try #require(
            try bench.units("r", ["manifest", "check", "repair"])["folder/file"])
        #expect(unit.repair?.successful == (restore ? true : nil))
        if restore { #expect(try bench.read("folder/file") == content) }
        let stats = try bench.dehydrate("r", after: ["manifest", "check", "repair"])
        #expect((try bench.units("r", ["dehydrate"])["folder/file"] != nil) == restore)
        #expect(stats[counter: "units-removed"] == (restore ? 0 : 1))
    }
}

func unlinkFile(_ path: String) -> Bool { unlink(path) == 0 }
