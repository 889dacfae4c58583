import Foundation
import TestSupport
import Testing

/// Damaged state is said loudly and never taken for an empty one.
@Suite(.temporaryFolder) struct StateTests {
    enum Harm: CaseIterable { case empty, garbage, half, foreign, headerFlipped }

    private func harm(_ path: String, _ harm: Harm) throws {
        for suffix in ["-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: path + suffix)
        }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let url = URL(fileURLWithPath: path)
        switch harm {
        case .empty: try Data().write(to: url)
        case .garbage: try Data(repeating: 0x5A, count: bytes.count).write(to: url)
        case .half: try bytes.prefix(bytes.count / 2 + 17).write(to: url)
        case .foreign: try Data("SQLite format 3\0 but not ours".utf8).write(to: url)
        case .headerFlipped: try Damage.flipByte(path, at: 3)
        }
    }

    @Test(arguments: ["modules/data.sqlite", "jobs.sqlite"], Harm.allCases)
    func damageIsAnErrorThatNamesTheFile(file: String, kind: Harm) throws {
        let scene = try Scene { try $0.small($1, count: 500) }
        let fleet = scene.fleet
        try fleet.cistern("run", "nightly")
        let objects = fleet.objects()
        let path = "\(fleet.state)/\(file)"
        try harm(path, kind)
        let result = try fleet.command(["run", "nightly"]).run()
        let said = result.text + result.errorText
        #expect(result.status != .exited(0), "\(file) \(kind): \(result)")
        #expect(said.contains(file.split(separator: "/").last ?? ""), "\(file) \(kind): \(result)")
        #expect(fleet.objects() == objects, "\(file) \(kind): the store was written to")
        guard file != "jobs.sqlite" else { return }
        #expect(said.contains("state rebuild"), "no way out is named: \(result)")
        // The way out leads out, and what is in the store already is not written again.
        try fleet.cistern("state", "rebuild", "data")
        try fleet.cistern("run", "nightly", "--fresh")
        #expect(fleet.objects("data") == objects.filter { $0.hasPrefix("data/") }.stripped)
        #expect(try scene.roundTrip() == [])
        try fleet.judge()
    }

    /// Runs SQL on a database of the state and gives what it selects.
    private func sql(_ path: String, _ statements: String) throws -> String {
        let script = """
            import sqlite3, sys
            db = sqlite3.connect(sys.argv[1])
            for statement in sys.argv[2].split(";"):
                for row in db.execute(statement):
                    print(*row)
            db.commit()
            """
        return try Command("python3", ["-c", script, path, statements]).run().expect().text
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// An index from before marks is taken over as it is; one of a later Cistern is refused.
    @Test func indexesOfOtherVersions() throws {
        let scene = try Scene { corpus, path in
            try corpus.small("\(path)/small", count: 30)
            try corpus.small("\(path)/going", count: 30)
        }
        let fleet = scene.fleet
        try fleet.cistern("dehydrate", "data")
        removeTree(scene.module + "/going")
        try fleet.cistern("dehydrate", "data")
        let packs = fleet.objects("data")
        let file = try #require(
            Corpus.files(fleet.state + "/stores").first { $0.hasSuffix(".sqlite") })
        let path = "\(fleet.state)/stores/\(file)"
        let generation = "SELECT value FROM meta WHERE key = 'generation'"
        let before = try sql(
            path,
            """
            ALTER TABLE pack DROP COLUMN seen; DROP TABLE marked_in; DROP TABLE observed;
            DROP TABLE removed; PRAGMA user_version = 1; \(generation)
            """)
        try fleet.cistern("dehydrate", "data")
        #expect(fleet.objects("data") == packs)
        #expect(try sql(path, generation) == before)
        #expect(try sql(path, "PRAGMA user_version") == "2")
        try forgetOldest(fleet)
        try fleet.cistern("gc", "--grace", "0", "--max-unused", "0")
        try fleet.cistern("gc", "--grace", "0", "--max-unused", "0")
        #expect(fleet.objects("data") != packs)
        try fleet.judge()
        #expect(try scene.roundTrip() == [])

        _ = try sql(path, "PRAGMA user_version = 3")
        let refused = try fleet.command(["dehydrate", "data"]).run()
        #expect(refused.status != .exited(0), "\(refused)")
        #expect(refused.errorText.contains(file), "\(refused)")
        #expect(refused.errorText.contains("move the file away"), "\(refused)")
        try FileManager.default.removeItem(atPath: path)
        try fleet.cistern("dehydrate", "data")
        try fleet.judge()
    }

    private func forgetOldest(_ fleet: Fleet) throws {
        let restic = try #require(Restic.all.first)
        try fleet.restic(restic, "forget", "--keep-last", "1", "--group-by", "")
    }

    /// The index in the state is a cache of the store's: never trusted over it.
    @Test(arguments: Harm.allCases) func damagedIndexIsNotTrusted(kind: Harm) throws {
        let scene = try Scene { try $0.small($1, count: 500) }
        let fleet = scene.fleet
        try fleet.cistern("run", "nightly")
        let packs = fleet.objects("data")
        for file in Corpus.files(fleet.state + "/stores") where file.hasSuffix(".sqlite") {
            try harm("\(fleet.state)/stores/\(file)", kind)
        }
        let result = try fleet.command(["run", "nightly"]).run()
        if result.status == .exited(0) {
            #expect(fleet.objects("data") == packs)
        } else {
            #expect((result.text + result.errorText).contains("sqlite"), "\(kind): \(result)")
            // The way out that the message names: it is only a copy.
            for file in Corpus.files(fleet.state + "/stores") {
                try FileManager.default.removeItem(atPath: "\(fleet.state)/stores/\(file)")
            }
            try fleet.cistern("run", "nightly", "--fresh")
            #expect(fleet.objects("data") == packs)
        }
        try fleet.judge()
    }

    /// State that knows a snapshot of a store that is gone does not call the module safe.
    @Test func emptiedStoreIsNotHealthy() throws {
        let scene = try Scene { try $0.small($1, count: 200) }
        let fleet = scene.fleet
        try fleet.cistern("run", "nightly")
        for pack in fleet.objects("data") {
            try FileManager.default.removeItem(atPath: "\(fleet.store)/data/\(pack)")
        }
        let check = try fleet.command(["check", "data"]).run()
        #expect(check.status == .exited(3), "\(check)")
        let store = try fleet.command(["store", "check"]).run()
        #expect(store.status == .exited(3), "\(store)")
    }
}

extension Set<String> {
    /// The names without their first folder.
    fileprivate var stripped: Set<String> {
        Set(map { String($0.drop { $0 != "/" }.dropFirst()) })
    }
}
