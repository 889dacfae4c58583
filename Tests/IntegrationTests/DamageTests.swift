import Foundation
import TestSupport
import Testing

/// The matrix: each kind of damage to each kind of file, seen with and without reading.
@Suite(
    .temporaryFolder,
    .enabled(if: available("damage (a tmpfs at /dev/shm)", TemporaryFolder.hasMemory)))
struct DamageTests {
    /// Files of one chunk and of many.
    enum Size: Int, CaseIterable {
        case oneChunk = 100_000
        case manyChunks = 9_000_000
    }

    enum Kind: CaseIterable {
        case intact, rotted, truncated, unreadable, packFlipped, packMissing
        case rottedAndFlipped, rottedAndMissing

        /// What a check must say of the file, by metadata alone and with reading.
        func expected(verify: Bool) -> Verdict {
            switch (self, verify) {
            case (.intact, _): Verdict("intact", healthy: true, recoverable: true)
            // Seen by reading alone.
            case (.rotted, false), (.unreadable, false), (.packFlipped, false),
                (.rottedAndFlipped, false):
                Verdict("intact", healthy: true, recoverable: true)
            case (.rotted, true): Verdict("rotted", healthy: false, recoverable: true)
            case (.truncated, _): Verdict("changed", healthy: true, recoverable: true)
            case (.unreadable, true): Verdict("unreadable", healthy: false, recoverable: true)
            case (.packFlipped, true), (.packMissing, _), (.rottedAndMissing, false):
                Verdict("intact", healthy: false, recoverable: true)
            case (.rottedAndFlipped, true), (.rottedAndMissing, true):
                Verdict("rotted", healthy: false, recoverable: false)
            }
        }

        var copies: (good: Int, corrupt: Int) {
            switch self {
            case .packFlipped, .rottedAndFlipped: (0, 1)
            case .packMissing, .rottedAndMissing: (0, 0)
            default: (1, 0)
            }
        }
    }

    /// A module of one file of interest and one that stays well, dehydrated, then damaged.
    private struct Patient {
        let memory: TemporaryFolder
        let fleet: Fleet
        let file: String
        /// The packs that the file of interest was stored in.
        let packs: Set<String>
        let original: [UInt8]
        let kind: Kind
        let unreadable: Unreadable?

        init(_ kind: Kind, _ size: Size) throws {
            self.kind = kind
            memory = try TemporaryFolder(inMemory: "damage")
            let module = memory("data")
            try FileManager.default.createDirectory(
                atPath: module, withIntermediateDirectories: true)
            var corpus = Corpus(seed: 11)
            file = module + "/file"
            original = corpus.noise(size.rawValue)
            try Data(original).write(to: URL(fileURLWithPath: file))
            fleet = try Fleet(in: folder()("fleet"), modules: ["data": module])
            try fleet.cistern("dehydrate", "data")
            packs = fleet.objects("data")
            // The other file is in packs of its own, which no damage touches.
            try Data(corpus.noise(5000)).write(to: URL(fileURLWithPath: module + "/well"))
            Corpus.settle()
            try fleet.cistern("dehydrate", "data")
            unreadable = kind == .unreadable ? try Unreadable(in: folder()) : nil
            try damage()
        }

        private func damage() throws {
            let store = { () throws -> StoreContents.Blob in
                let restic = try #require(Restic.all.first)
                let mine = try StoreContents(fleet, restic).blobs
                    .filter { blob in !blob.isTree && packs.contains { $0.hasSuffix(blob.pack) } }
                    .sorted { $0.offset < $1.offset }
                return try #require(mine.dropFirst(mine.count / 2).first)
            }
            switch kind {
            case .intact, .unreadable: break
            case .rotted: try Damage.rot(file)
            case .truncated: try Damage.truncate(file, to: original.count / 3)
            case .packFlipped: try fleet.damage(store())
            case .packMissing:
                try FileManager.default.removeItem(atPath: fleet.path(ofPack: store().pack))
            case .rottedAndFlipped:
                try fleet.damage(store())
                try Damage.rot(file)
            case .rottedAndMissing:
                try FileManager.default.removeItem(atPath: fleet.path(ofPack: store().pack))
                try Damage.rot(file)
            }
        }

        func check(_ arguments: String...) throws -> Command.Result {
            let command = fleet.command(["check", "data"] + arguments)
            return try (unreadable?.applied(to: command, failing: file) ?? command).run()
        }
    }

    @Test(arguments: Kind.allCases, Size.allCases)
    func checkTellsExactly(kind: Kind, size: Size) throws {
        let patient = try Patient(kind, size)
        if kind == .unreadable && patient.unreadable == nil { return }
        for verify in [false, true] {
            let result = try verify ? patient.check("--verify") : patient.check()
            let stream = try UnitStream(result)
            let expected = kind.expected(verify: verify)
            #expect(try Verdict(stream["file"]) == expected, "verify \(verify): \(stream["file"])")
            #expect(
                try Verdict(stream["well"]) == Verdict("intact", healthy: true, recoverable: true))
            #expect(result.status == .exited(expected.healthy ? 0 : 3), "\(result)")
            #expect(stream.stats["count-unhealthy"].integer ?? 0 == (expected.healthy ? 0 : 1))
            #expect(
                stream.stats["count-unrecoverable"].integer ?? 0 == (expected.recoverable ? 0 : 1))
            if verify && kind != .truncated {
                let check = stream["file"]["check"]
                #expect(check["copies_expected"].integer == 1)
                #expect(check["copies_good"].integer == kind.copies.good)
                #expect(check["copies_corrupt"].integer == kind.copies.corrupt)
            }
        }
        withExtendedLifetime(patient) {}
    }

    @Test(arguments: Kind.allCases, Size.allCases)
    func repairMendsWhatCanBeMended(kind: Kind, size: Size) throws {
        let patient = try Patient(kind, size)
        if kind == .unreadable && patient.unreadable == nil { return }
        let before = patient.fleet.objects("data")
        let expected = kind.expected(verify: true)
        let result = try patient.check("--verify", "--repair")
        let unit = try UnitStream(result)["file"]
        let bytes = try Data(contentsOf: URL(fileURLWithPath: patient.file))
        if expected.healthy {
            #expect(result.status == .exited(0), "\(result)")
            #expect(unit["repair"]["attempted"].bool != true)
        } else if expected.recoverable {
            #expect(result.status == .exited(0), "\(result)")
            #expect(unit["repair"]["successful"].bool == true, "\(unit)")
            #expect(try Verdict(unit["repair"], "before") == expected)
            let after = try Verdict(unit["repair"], "after")
            #expect(after.healthy && after.recoverable, "\(unit)")
            #expect(unit["repair"]["after"]["verified"].bool == true, "the after is no new check")
            #expect([UInt8](bytes) == patient.original)
            let again = try patient.check("--verify")
            #expect(again.status == .exited(0), "\(again)")
        } else {
            // Both sides are damaged: named, nothing deleted, exit 3.
            #expect(result.status == .exited(3), "\(result)")
            #expect(unit["repair"]["successful"].bool == false, "\(unit)")
            #expect(bytes.count == patient.original.count)
            #expect(patient.fleet.objects("data").isSuperset(of: before))
            let run = try patient.fleet.command(["run", "verify"]).run()
            #expect(run.status == .exited(3), "\(run)")
            let results = try UnitStream(patient.fleet.results("data", "repair", of: "verify"))
            #expect(try Verdict(results["file"]).healthy == false)
            #expect(bytes == (try Data(contentsOf: URL(fileURLWithPath: patient.file))))
            #expect(patient.fleet.objects("data").isSuperset(of: before))
        }
        if kind == .rotted || kind == .unreadable {
            // The damaged file is kept for a look.
            let kept = Corpus.files(patient.fleet.state + "/quarantine")
            #expect(!kept.isEmpty)
        }
        withExtendedLifetime(patient) {}
    }

    /// A file rots, one bad file of many: a run over the pipeline finds and mends it.
    @Test func pipelineMendsRot() throws {
        let memory = try TemporaryFolder(inMemory: "pipeline")
        var corpus = Corpus()
        try corpus.small(memory("data"), count: 300)
        let fleet = try Fleet(in: folder()("fleet"), modules: ["data": memory("data")])
        try fleet.cistern("run", "nightly")
        let file = memory("data/000/01/f0000123.dat")
        let good = try Data(contentsOf: URL(fileURLWithPath: file))
        try Damage.rot(file)
        try fleet.cistern("run", "nightly")
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)) != good)
        try fleet.cistern("run", "verify")
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)) == good)
        let repair = try UnitStream(fleet.results("data", "repair", of: "verify"))
        let touched = repair.units.filter { $0.value["repair"] != .null }
        #expect(touched.keys.sorted() == ["000/01/f0000123.dat"])
        withExtendedLifetime(memory) {}
    }

    /// Damage beyond the limit is a disaster, which repair does not make worse.
    @Test func repairStopsAtALimit() throws {
        let memory = try TemporaryFolder(inMemory: "disaster")
        var corpus = Corpus()
        try corpus.small(memory("data"), count: 100)
        let pipeline = Fleet.pipeline(
            "strict", check: "check: {verify: true}",
            repair: "{rotted: restore, removed: ignore, store: requeue, max_repairs: 10%}")
        let fleet = try Fleet(
            in: folder()("fleet"), modules: ["data": memory("data")],
            pipelines: ["strict": pipeline])
        try fleet.cistern("run", "strict")
        let files = Corpus.files(memory("data"))
        for file in files.prefix(60) { try Damage.rot(memory("data/\(file)"), at: 0) }
        let damaged = try files.map {
            try Data(contentsOf: URL(fileURLWithPath: memory("data/\($0)")))
        }
        let result = try fleet.command(["run", "strict"]).run()
        #expect(result.status == .exited(3), "\(result)")
        #expect((result.text + result.errorText).contains("max_repairs"), "\(result)")
        let after = try files.map {
            try Data(contentsOf: URL(fileURLWithPath: memory("data/\($0)")))
        }
        #expect(after == damaged)
        withExtendedLifetime(memory) {}
    }
}
