import Foundation
import TestSupport
import Testing

/// Keep rules at work on stores.
@Suite(.temporaryFolder) struct PruneTests {
    /// A fleet whose module has `count` snapshots, each of another state, with keep rules.
    private func scene(
        _ count: Int, keep: String, pipelines: [String: String] = [:]
    ) throws -> Scene {
        let scene = try Scene(pipelines: pipelines) { try $0.small($1, count: 30) }
        try append("retention: [{modules: [da*], keep: [\(keep)]}]\n", to: scene.fleet)
        for number in 0..<count { try change(scene, number) }
        return scene
    }

    private func change(_ scene: Scene, _ number: Int) throws {
        try Data("\(number)".utf8).write(to: URL(fileURLWithPath: scene.module + "/changing"))
        try scene.fleet.cistern("dehydrate", "data")
    }

    private func append(_ text: String, to fleet: Fleet) throws {
        let path = fleet.folder + "/cistern.yaml"
        let old = try String(contentsOfFile: path, encoding: .utf8)
        try (old + text).write(toFile: path, atomically: true, encoding: .utf8)
    }

    /// The ids in the store, oldest first.
    private func ids(_ fleet: Fleet) throws -> [String] {
        try JSON(fleet.cistern("snapshots", "--json").output)["snapshots"].array
            .compactMap { $0["id"].string }
    }

    @Test func whatNoRuleKeepsGoes() throws {
        let scene = try scene(5, keep: "{last_n: 2}, {tags: [gold]}")
        let fleet = scene.fleet
        let restic = try #require(Restic.all.first)
        let second = try ids(fleet)[1]
        try fleet.restic(restic, "tag", "--add", "gold", second)
        let before = fleet.objects()

        let plan = try JSON(fleet.cistern("prune", "--dry-run", "--json").output)
        #expect(plan["removed"].integer == 2 && plan["kept"].integer == 3)
        #expect(plan["dry_run"].bool == true)
        let decisions = plan["modules"][0]["snapshots"].array
        #expect(decisions.map { $0["keep"].bool } == [true, true, false, true, false])
        #expect(decisions[3]["reasons"][0].string == "has tags [gold]")
        #expect(decisions[0]["reasons"][0].string == "last snapshot")
        let text = try fleet.cistern("prune", "--dry-run", "data").text
        #expect(text.contains("no rule keeps it") && text.contains("2 snapshots would be removed"))
        #expect(fleet.objects() == before, "a dry run changes nothing")

        #expect(try fleet.cistern("prune").text.contains("2 snapshots removed, 3 kept"))
        #expect(try ids(fleet).count == 3)
        #expect(try fleet.snapshots(restic).count == 3)
        #expect(fleet.objects("data").count == before.filter { $0.hasPrefix("data/") }.count)
        #expect(try fleet.cistern("prune").text.contains("0 snapshots removed, 3 kept"))
        try fleet.judge()
        // The module goes on as if nothing had happened.
        try change(scene, 99)
        try fleet.judge()
        #expect(try scene.roundTrip() == [])
    }

    /// Snapshots that are not Cistern's own of the module are nobody's business here, and modules
    /// that no group has keep everything.
    @Test func othersStay() throws {
        let scene = try scene(3, keep: "{last_n: 1}")
        let fleet = scene.fleet
        let restic = try #require(Restic.all.first)
        try fleet.restic(restic, "backup", scene.module)
        try fleet.restic(restic, "tag", "--remove", "module=data", try ids(fleet)[0])
        try fleet.cistern("prune")
        let left = try fleet.snapshots(restic)
        #expect(left.count == 3)
        #expect(left.contains { $0["paths"][0].string == scene.module })

        let yaml = fleet.folder + "/cistern.yaml"
        let text = try String(contentsOfFile: yaml, encoding: .utf8)
        try text.replacingOccurrences(of: "[da*]", with: "[other]").write(
            toFile: yaml, atomically: true, encoding: .utf8)
        try change(scene, 7)
        #expect(try fleet.cistern("prune").text.contains("no keep rules, nothing removed: data"))
        #expect(try ids(fleet).count == 4)
        try fleet.cistern("prune", "nobody", expecting: 2)
    }

    @Test func aPipelineEndsWithIt() throws {
        let pipeline =
            "name: keep\nmodules: [\"*\"]\nstages: [manifest, check, repair, dehydrate, prune]\n"
        let scene = try scene(3, keep: "{last_n: 2}", pipelines: ["keep": pipeline])
        try scene.fleet.cistern("run", "keep")
        #expect(try ids(scene.fleet).count == 2)
        try scene.fleet.cistern("run", "keep")
        #expect(try ids(scene.fleet).count == 2)
        try scene.fleet.cistern("configcheck")
        try scene.fleet.judge()
    }

    /// Killed at each removal the next one goes on, and only what was to go is gone.
    @Test func killedAtEachStep() throws {
        let start = try scene(4, keep: "{last_n: 1}")
        let last = try #require(try ids(start.fleet).last)
        let all = Set(try ids(start.fleet))
        for number in 1...3 {
            for point in ["snapshot-before-removal", "snapshot-removed"] {
                let fleet = try start.fleet.copy(to: folder()("trial"))
                defer { removeTree(fleet.folder) }
                try fleet.command(["prune"]).die(at: CrashPlace(point, number))
                let left = Set(try ids(fleet))
                #expect(left.contains(last) && left.isSubset(of: all))
                #expect(left.count == 4 - number + (point == "snapshot-removed" ? 0 : 1))
                try fleet.cistern("prune")
                #expect(try ids(fleet) == [last])
                #expect(fleet.objects("locks") == [])
                try fleet.cistern("store", "check")
            }
        }
    }

    /// restic's forget and prune agree on many snapshots of random times.
    @Test(.enabled(if: available("keep rules against restic's", Restic.newer != nil)))
    func resticForgetsTheSame() throws {
        let restic = try #require(Restic.newer)
        let seed = UInt64(setting("CISTERN_SEED", default: Int.random(in: 1...1_000_000)))
        var random = SeededGenerator(seed: seed)
        let scene = try scene(
            1,
            keep: "{last_n: 2}, {hourly: 3}, {daily: 4}, {weekly: 3}, {monthly: 3}, {yearly: 2}, "
                + "{within: 20d}")
        let fleet = scene.fleet
        for _ in 0..<24 {
            let newest = try #require(try ids(fleet).last)
            // Near ones and far ones; none in the future.
            let day = Int.random(in: 0...(Bool.random(using: &random) ? 40 : 900), using: &random)
            let time = Date(timeIntervalSince1970: 1_760_000_000)
                .addingTimeInterval(
                    -Double(day) * 86_400 + Double(Int.random(in: 0..<86_400, using: &random)))
            let formatter = DateFormatter()
            formatter.locale = Locale(identifier: "en_US_POSIX")
            formatter.timeZone = TimeZone(identifier: "UTC")
            formatter.dateFormat = "yyyy-MM-dd HH:mm:ss"
            var rewrite = restic.command(
                ["rewrite", "--new-time", formatter.string(from: time), newest],
                store: fleet.store, passwordFile: fleet.passwordFile)
            rewrite.environment["TZ"] = "UTC"
            try rewrite.run().expect()
        }
        // The one of today would keep company with none.
        try fleet.restic(restic, "forget", try #require(try ids(fleet).last))
        var command = fleet.command(["prune", "--dry-run", "--json", "--trust-clock"])
        command.environment["TZ"] = "UTC"
        let decisions = try JSON(command.run().expect().output)["modules"][0]["snapshots"].array
        let mine = decisions.filter { $0["keep"].bool == true }.compactMap { $0["id"].string }
        var forget = restic.command(
            [
                "forget", "--dry-run", "--json", "--group-by", "", "--keep-last", "2",
                "--keep-hourly", "3", "--keep-daily", "4", "--keep-weekly", "3",
                "--keep-monthly", "3", "--keep-yearly", "2", "--keep-within", "20d",
            ], store: fleet.store, passwordFile: fleet.passwordFile)
        forget.environment["TZ"] = "UTC"
        let text = try forget.run().expect().output
        let kept = try JSON(text)[0]["keep"].array.compactMap { $0["id"].string }
        #expect(decisions.count > 20 && !kept.isEmpty)
        #expect(Set(mine) == Set(kept), "CISTERN_SEED=\(seed)")
    }

    /// With a snapshot from the future nothing goes, and the message says why.
    @Test(.enabled(if: available("a clock that went back", Restic.newer != nil)))
    func aSnapshotFromTheFutureStopsIt() throws {
        let restic = try #require(Restic.newer)
        let scene = try scene(3, keep: "{last_n: 1}")
        let fleet = scene.fleet
        let first = try ids(fleet)[0]
        try fleet.restic(restic, "rewrite", "--new-time", "2099-01-01 00:00:00", first)
        let before = try ids(fleet)
        let result = try fleet.cistern("prune", expecting: 3)
        #expect(result.errorText.contains("in the future"), "\(result)")
        #expect(try ids(fleet) == before)
        try fleet.restic(restic, "forget", try #require(before.last))
        try fleet.cistern("prune")
        #expect(try ids(fleet).count == 1)
    }
}
