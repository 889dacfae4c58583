import Foundation
import TestSupport
import Testing

/// A race that is long, and waits more than it works: in a suite of its own, beside the others.
@Suite(.temporaryFolder) struct PruneRaceTests {
    /// restic's prune begins when a dehydrate has got so far: whoever finds the other's lock gives
    /// way, and every snapshot stays whole.
    @Test func dehydratesBesideResticsPrune() throws {
        let rounds = setting("CISTERN_PRUNE_RACES", default: 200)
        let seed = UInt64(setting("CISTERN_SEED", default: Int.random(in: 1...1_000_000)))
        var generator = SeededGenerator(seed: seed)
        let scene = try Scene { try $0.small($1, count: 150) }
        let fleet = scene.fleet
        try fleet.cistern("dehydrate", "data")
        var corpus = Corpus(seed: seed)
        var outcomes: [String: Int] = [:]
        for round in 0..<rounds {
            let restic = try #require(Restic.all.randomElement(using: &generator))
            _ = try corpus.churn(scene.module)
            try fleet.restic(restic, "forget", "--keep-last", "2", "--group-by", "")
            let log = try folder()("points-\(round)")
            let points = Int(generator.next() % 24)
            let writer = try fleet.command(["dehydrate", "data"]).noting(log).start()
            _ = writer.wait { _ in
                let reached = (try? Data(contentsOf: URL(fileURLWithPath: log))) ?? Data()
                return reached.count { $0 == UInt8(ascii: "\n") } >= points
            }
            let prune = try restic.command(
                ["prune", "--max-unused", "0"], store: fleet.store,
                passwordFile: fleet.passwordFile
            ).run()
            let written = try writer.wait()
            let what = "round \(round) of CISTERN_SEED=\(seed), \(restic), \(points) points"
            if written.status != .exited(0) {
                #expect(written.errorText.contains("is locked"), "\(what): \(written)")
            }
            if prune.status != .exited(0) {
                #expect(prune.errorText.contains("already locked"), "\(what): \(prune)")
            }
            outcomes["\(written.status) \(prune.status)", default: 0] += 1
            let check = try fleet.restic(restic, "check", "--read-data")
            #expect(check.text.contains("no errors were found"), "\(what): \(check)")
        }
        print("dehydrates beside restic's prune, CISTERN_SEED=\(seed): \(outcomes)")
        try fleet.cistern("dehydrate", "data")
        try fleet.judge()
        #expect(try scene.roundTrip() == [])
    }
}
