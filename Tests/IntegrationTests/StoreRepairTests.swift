import Foundation
import Platform
import TestSupport
import Testing

/// `store check` and its repair, as people run them, and killed wherever they write.
@Suite(.temporaryFolder, .serialized) struct StoreRepairTests {
    /// A store of two snapshots with damage of each kind that a repair mends: a pack of which some
    /// is still good, a pack that is gone and whose files live, an index file, a pack that a mirror
    /// has.
    private struct Patient {
        let scene: Scene
        let mirror: String

        /// - Parameter losesNewIndex: the index file that is damaged is the one of the second
        ///   snapshot, which lists the other damaged packs.
        init(losesNewIndex: Bool) throws {
            scene = try Scene { corpus, path in
                try corpus.small("\(path)/small", count: 60)
                try corpus.large("\(path)/large", count: 2, size: 9 << 20)
            }
            let fleet = scene.fleet
            mirror = fleet.folder + "/mirror"
            try fleet.cistern("dehydrate", "data")
            let first = fleet.objects("data")
            let firstIndex = fleet.objects("index")
            try Command("cp", ["-a", fleet.store, mirror]).run().expect()
            var corpus = Corpus(seed: 5)
            try corpus.large("\(scene.module)/more", count: 2, size: 17 << 20)
            try fleet.cistern("dehydrate", "data")
            let second = fleet.objects("data").subtracting(first)
            try Command("chmod", ["-R", "u+w", fleet.store]).run().expect()
            func packs(_ names: Set<String>) -> [String] {
                names.map { "\(fleet.store)/data/\($0)" }.sorted {
                    Patient.size($0) > Patient.size($1)
                }
            }
            // In the mirror; then of the second snapshot one in part and one as a whole.
            try Damage.flipByte(packs(first)[0])
            let new = packs(second)
            try Damage.flipByte(new[0])
            try FileManager.default.removeItem(atPath: new[1])
            let newIndex = fleet.objects("index").subtracting(firstIndex)
            let index = try #require((losesNewIndex ? newIndex : firstIndex).first)
            try Damage.truncate("\(fleet.store)/index/\(index)", to: 40)
        }

        private static func size(_ path: String) -> Int {
            (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
        }

        static let repair = [
            "store", "check", "--read-data", "--repair", "--mirror", "mirror",
        ]
    }

    /// Dies once at each durable step of a repair; the next one ends it, and nothing is lost.
    @Test(arguments: [false, true]) func repairDiesEverywhere(losesNewIndex: Bool) throws {
        let patient = try Patient(losesNewIndex: losesNewIndex)
        let start = patient.scene.fleet
        try start.cistern("store", "check", "--read-data", expecting: 3)
        let places = try start.dieEverywhere(
            Patient.repair, in: folder(),
            // How often a check records depends on the time that it takes.
            at: { places in
                places.firstAndLast.filter { !$0.name.hasPrefix("scrub-") || $0.number == 1 }
            }, undisturbed: { try $0.judge() }
        ) { fleet, place in
            let next = try fleet.command(Patient.repair).run()
            #expect(next.status == .exited(0), "\(place): \(next)")
            try fleet.cistern("store", "check", "--read-data")
            guard let restic = Restic.installed else { return }
            try fleet.restic(restic, "check", "--read-data")
            #expect(try fleet.snapshots(restic).count == 2, "\(place)")
        }
        let expected: Set = [
            "repair-object-put", "repair-index-put", "repair-index-removed", "repair-quarantined",
            "repair-removed",
        ]
        #expect(expected.subtracting(places.names) == [])
    }

    /// Damage on a mirror is told to be there, by names alone too.
    @Test func damageOnAMirror() throws {
        let scene = try Scene { corpus, path in try corpus.small(path, count: 3) }
        let fleet = scene.fleet
        try fleet.cistern("dehydrate", "data")
        let mirror = fleet.folder + "/mirror"
        try Command("cp", ["-a", fleet.store, mirror]).run().expect()
        try Command("chmod", ["-R", "u+w", mirror]).run().expect()
        let pack = try #require(fleet.objects("data").sorted().first)
        try Damage.flipByte("\(mirror)/data/\(pack)")
        let arguments = ["store", "check", "--level", "sum", "--mirror", "mirror"]
        let text = try fleet.command(arguments).run().expect(3)
        #expect(text.text.contains("damaged at file:\(mirror)"), "\(text)")
        let lines = try JSON.lines(fleet.command(arguments + ["--json"]).run().expect(3).output)
        let problems = lines.filter { $0["type"].string == "problem" }
        #expect(problems.map { $0["place"].string } == ["file:\(mirror)"], "\(problems)")
    }

    /// What a store cannot be opened without.
    enum Opening: CaseIterable {
        case damagedConfig, missingConfig, missingKey, damagedKey, nothing

        func spoil(_ store: String, _ key: String) throws {
            try Command("chmod", ["-R", "u+w", store]).run().expect()
            let manager = FileManager.default
            switch self {
            case .damagedConfig: try Damage.flipByte(store + "/config")
            case .missingConfig: try manager.removeItem(atPath: store + "/config")
            case .missingKey: try manager.removeItem(atPath: "\(store)/keys/\(key)")
            case .damagedKey: try Damage.truncate("\(store)/keys/\(key)", to: 20)
            case .nothing:
                try Damage.truncate(store + "/config", to: 0)
                try manager.removeItem(atPath: "\(store)/keys/\(key)")
            }
        }
    }

    /// A mirror gives back config and keys; killed in the middle, the next repair ends it.
    @Test(arguments: Opening.allCases) func anOpeningIsMended(opening: Opening) throws {
        let scene = try Scene { try $0.small($1, count: 20) }
        let start = scene.fleet
        try start.mirror(to: ["file:./mirror"])
        try start.cistern("dehydrate", "data")
        try start.cistern("store", "mirror")
        let key = try #require(start.objects("keys").first)
        try opening.spoil(start.store, key)
        // What is damaged may come from the mirror, and nothing is made anew.
        let before = start.objects()
        let writing = try start.command(["dehydrate", "data"]).run()
        if opening == .missingConfig {
            #expect(writing.status != .exited(0), "\(writing)")
            #expect(writing.errorText.contains("store check --repair"), "\(writing)")
            #expect(start.objects() == before)
        }
        func judge(_ fleet: Fleet, _ what: String) throws {
            for name in ["config", "keys/\(key)"] {
                let bytes = FileManager.default.contents(atPath: "\(fleet.store)/\(name)")
                let good = FileManager.default.contents(atPath: "\(fleet.folder)/mirror/\(name)")
                #expect(bytes != nil && bytes == good, "\(what): \(name)")
            }
            try fleet.cistern("dehydrate", "data")
            try fleet.judge()
            #expect(fleet.objects("locks") == [], "\(what)")
        }
        let repair = ["store", "check", "--repair"]
        let places = try start.dieEverywhere(
            repair, in: folder(),
            at: { places in
                places.filter { ["repair-config-removed", "repair-opening-put"].contains($0.name) }
            },
            undisturbed: { try judge($0, "undisturbed") }
        ) { fleet, place in
            try fleet.command(repair).run().expect()
            try judge(fleet, "\(place)")
        }
        #expect(places.names.contains("repair-opening-put"), "\(places)")
    }

    /// A scrub that was killed goes on; a run that has no time says that it is a part run.
    @Test func scrubGoesOn() throws {
        let scene = try Scene { corpus, path in
            try corpus.large("\(path)/large", count: 12, size: 17 << 20)
        }
        let fleet = scene.fleet
        try fleet.cistern("dehydrate", "data")
        func stats(_ arguments: String..., code: Int32 = 0) throws -> JSON {
            let result = try fleet.command(["store", "check", "--json"] + arguments).run()
                .expect(code)
            return try #require(JSON.lines(result.output).last)["stats"]
        }
        try fleet.command(["store", "check", "--level", "sum"])
            .die(at: CrashPlace("scrub-before-record"))
        let none = try stats("--level", "sum", "--max-duration", "0")
        #expect(none["complete"].bool == false)
        #expect(none["places"][0]["read_objects"].integer == 0)
        let all = try stats("--level", "sum", "--max-duration", "1h")
        #expect(all["complete"].bool == true)
        let objects = try #require(all["places"][0]["objects"].integer)
        #expect(objects > 12 && all["places"][0]["read_objects"].integer == objects)
        let again = try stats("--level", "sum", "--max-age", "1d")
        #expect(again["places"][0]["read_objects"].integer == 0)
        let anew = try stats("--level", "sum", "--max-age", "0")
        #expect(anew["places"][0]["read_objects"].integer == objects)
        // Without the password.
        try FileManager.default.removeItem(atPath: fleet.passwordFile)
        _ = try stats("--level", "sum")
    }

    /// Two that rewrite index files would take from each other what they rely on: the second one
    /// says who is there, and nothing happens.
    @Test(arguments: [false, true]) func oneAtATimeWithGarbage(garbageFirst: Bool) throws {
        let scene = try Scene { try $0.small($1, count: 20) }
        let fleet = scene.fleet
        try fleet.cistern("dehydrate", "data")
        let gc = ["gc", "--grace", "0"]
        let repair = ["store", "check", "--read-data", "--repair"]
        let (first, second) = garbageFirst ? (gc, repair) : (repair, gc)
        let before = fleet.objects()
        let gate = try Gate(folder()("gate"))
        let holder = try fleet.command(first).noting(gate.path).start()
        try #require(holder.wait { _ in !fleet.objects("locks").isEmpty })
        let refused = try fleet.command(second).run().expect(4)
        #expect(refused.errorText.contains("is locked"), "\(refused)")
        // The same twice, too; and the others are not held up.
        try fleet.command(first).run().expect(4)
        try fleet.cistern("snapshots")
        #expect(!holder.isOver)
        try gate.open()
        try holder.wait().expect()
        #expect(fleet.objects() == before)
        try fleet.command(second).run().expect()
        #expect(fleet.objects() == before)
    }

    /// Beside a writer a scrub finds nothing wrong, and the writer is not held up.
    @Test func besideAWriter() throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        let fleet = scene.fleet
        try fleet.cistern("dehydrate", "data")
        for round in 0..<5 {
            var corpus = Corpus(seed: UInt64(round))
            try corpus.large("\(scene.module)/round\(round)", count: 2, size: 9 << 20)
            let writer = try fleet.command(["dehydrate", "data"]).start()
            for arguments in [["--read-data"], ["--level", "sum"], []] {
                try fleet.command(["store", "check"] + arguments).run().expect()
            }
            try writer.wait().expect()
        }
        try fleet.judge()
    }

    /// What was lost is named with the snapshot and the module, and nothing is removed.
    @Test func whatNobodyHasIsNamed() throws {
        let scene = try Scene { corpus, path in try corpus.small("\(path)/small", count: 30) }
        let fleet = scene.fleet
        try fleet.cistern("dehydrate", "data")
        let packs = fleet.objects("data")
        for pack in packs {
            try Command("chmod", ["u+w", "\(fleet.store)/data/\(pack)"]).run().expect()
        }
        removeTree(scene.module)
        try FileManager.default.createDirectory(
            atPath: scene.module, withIntermediateDirectories: true)
        let largest = try #require(
            packs.max {
                (FileManager.default.contents(atPath: "\(fleet.store)/data/\($0)")?.count ?? 0)
                    < (FileManager.default.contents(atPath: "\(fleet.store)/data/\($1)")?.count ?? 0)
            })
        try Damage.truncate("\(fleet.store)/data/\(largest)", to: 10)
        let result = try fleet.command(
            ["store", "check", "--read-data", "--repair", "--json"]
        ).run().expect(3)
        let hits = try JSON.lines(result.output).filter { $0["type"].string == "hit" }
        #expect(Set(hits.compactMap { $0["path"].string }).count == 30)
        #expect(hits.allSatisfy { $0["module"].string == "data" })
        #expect(fleet.objects("data").isSuperset(of: packs))
        // Exit 3 as long as it is not mended, whatever is looked at.
        try fleet.cistern("store", "check", "--level", "sum", expecting: 3)
        try fleet.cistern("store", "check", "--level", "present", expecting: 3)
    }

    /// What restic forgets is not undone by a nightly repair from a mirror; only when asked.
    @Test func whatAnotherForgot() throws {
        guard let restic = Restic.installed else { return }
        let scene = try Scene { corpus, path in try corpus.small("\(path)/small", count: 30) }
        let fleet = scene.fleet
        let mirror = try folder()("mirror")
        try fleet.mirror(to: ["file:\(mirror)"])
        try fleet.cistern("dehydrate", "data")
        var corpus = Corpus(seed: 5)
        _ = try corpus.churn(scene.module + "/small")
        try fleet.cistern("dehydrate", "data")
        try fleet.cistern("store", "mirror")
        try fleet.cistern("store", "check", "--read-data")
        try fleet.restic(restic, "forget", "--keep-last", "1", "--prune")
        for arguments in [[], ["--repair"]] {
            let result = try fleet.command(["store", "check", "--read-data"] + arguments).run()
                .expect()
            #expect(result.text.contains("--restore-removed"), "\(result)")
            #expect(try fleet.snapshots(restic).count == 1)
        }
        let wrong = try fleet.command(["store", "check", "--restore-removed"]).run()
        #expect(wrong.status == .exited(2), "\(wrong)")
        try fleet.cistern("store", "check", "--read-data", "--repair", "--restore-removed")
        #expect(try fleet.snapshots(restic).count == 2)
        try fleet.restic(restic, "check", "--read-data")
    }
}
