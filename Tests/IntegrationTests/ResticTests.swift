import Foundation
import TestSupport
import Testing

/// Stock restic judges what Cistern wrote, and Cistern reads what restic wrote.
@Suite(.temporaryFolder) struct ResticTests {
    enum Kind: String, CaseIterable, CustomTestStringConvertible {
        case nasty, small, deep, large
        var testDescription: String { rawValue }

        func make(_ corpus: inout Corpus, _ path: String) throws {
            switch self {
            case .nasty: try corpus.nasty(path)
            case .small: try corpus.small(path, count: 5000)
            case .deep: try corpus.deep(path)
            case .large: try corpus.large(path, count: 3, size: 20 << 20)
            }
        }
    }

    /// What restic itself does not keep: sockets, and holes unless it is asked to.
    private var options: TreeComparison.Options {
        var options = TreeComparison.Options()
        options.sockets = false
        options.holes = false
        return options
    }

    @Test(arguments: Kind.allCases) func resticChecksAndRestores(kind: Kind) throws {
        let scene = try Scene(kind.make)
        try scene.fleet.cistern("dehydrate", "data")
        try scene.fleet.judge()
        for restic in Restic.all {
            let target = try folder()("r\(restic.version)")
            try scene.fleet.restic(restic, "restore", "latest", "--target", target)
            let differences = try TreeComparison.differences(
                scene.module, target + "/data", options: options)
            // restic of old cannot keep targets that are no UTF-8, in its own backups neither.
            let expected =
                restic.keepsRawTargets ? [] : differences.filter { $0.contains("link-raw") }
            #expect(differences == expected, "\(restic)")
            removeTree(target)
        }
        #expect(try scene.roundTrip() == [])
    }

    /// The oracle of byte-exact trees: restic reads each tree, writes it again and compares ids.
    @Test(
        .enabled(if: available("byte-exact trees (a newer restic)", Restic.newer != nil)),
        arguments: [Kind.nasty, .small, .deep])
    func rewritingChangesNothing(kind: Kind) throws {
        let restic = try #require(Restic.newer)
        let scene = try Scene(kind.make)
        try scene.fleet.cistern("dehydrate", "data")
        let before = scene.fleet.objects()
        for arguments in [
            ["repair", "snapshots", "--dry-run"], ["rewrite", "--exclude", "/no such name/*"],
        ] {
            let result = try restic.command(
                arguments, store: scene.fleet.store, passwordFile: scene.fleet.passwordFile
            ).run().expect()
            #expect(
                result.text.contains("no snapshots were modified")
                    || result.text.contains("no snapshots would be modified"), "\(result)")
        }
        #expect(scene.fleet.objects() == before)
    }

    @Test(arguments: Restic.all) func resticsBackupsHydrateAndCheck(restic: Restic) throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        try scene.fleet.cistern("store", "init")
        var backup = restic.command(
            ["backup", "data"], store: scene.fleet.store, passwordFile: scene.fleet.passwordFile)
        backup.folder = try folder().path
        try backup.run().expect()
        try scene.fleet.judge()
        let id = try #require(scene.fleet.snapshots(restic).last?["id"].string)
        let target = try folder()("copy")
        try scene.fleet.cistern("hydrate", "--snapshot", id, "--to", target)
        var options = TreeComparison.Options()
        options.sockets = false
        let differences = try TreeComparison.differences(scene.module, target, options: options)
        // What old restic did not write into its backup nobody can read out of it.
        let expected = restic.keepsRawTargets ? [] : differences.filter { $0.contains("link-raw") }
        #expect(differences == expected)
    }

    /// What restic stored as `/data` is not module `data`'s: never its newest, never removed.
    @Test func resticsBackupOfTheModulesName() throws {
        let restic = try #require(Restic.all.first)
        let scene = try Scene { try $0.small($1, count: 20) }
        let fleet = scene.fleet
        try fleet.cistern("dehydrate", "data")
        var backup = restic.command(
            ["backup", "--stdin", "--stdin-filename", "/data"], store: fleet.store,
            passwordFile: fleet.passwordFile)
        let content = Array("restic's own".utf8)
        backup.input = try folder()("input")
        try Data(content).write(to: URL(fileURLWithPath: backup.input))
        try backup.run().expect()
        let mine = try fleet.snapshots(restic).filter { $0["tags"].array.isEmpty }
        try #require(mine.count == 1 && mine[0]["paths"][0].string == "/data", "\(mine)")
        let id = try #require(mine[0]["id"].string)
        #expect(try scene.roundTrip() == [])
        let listed = try JSON(fleet.cistern("snapshots", "--json").output)["snapshots"].array
        #expect(listed.map { $0["module"].string } == ["data", nil])
        try fleet.cistern("obliterate", "data", "--yes")
        #expect(try fleet.snapshots(restic).map { $0["id"].string } == [id])
        try fleet.judge()
        // Named by its id it is restored, also for a module.
        for (arguments, name) in [([], "any"), (["data"], "module")] {
            let target = try folder()(name)
            try fleet.command(
                ["hydrate"] + arguments + ["--snapshot", id, "--to", target]
            ).run().expect()
            let files = Corpus.files(target)
            try #require(files.count == 1, "\(files)")
            let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(target)/\(files[0])"))
            #expect(Array(bytes) == content)
        }
    }

    /// Backups, pruning and dehydrating in turn on one store.
    @Test(arguments: Restic.all) func bothWriteToOneStore(restic: Restic) throws {
        let scene = try Scene { try $0.small($1, count: 3000) }
        let fleet = scene.fleet
        try fleet.cistern("run", "nightly")
        try fleet.restic(restic, "backup", scene.module)
        var corpus = Corpus(seed: 2)
        for _ in 0..<2 {
            _ = try corpus.churn(scene.module)
            try fleet.restic(restic, "backup", scene.module)
            try fleet.cistern("run", "nightly")
        }
        try fleet.judge()
        // restic's own snapshots go, with all that only they use; packs are written anew.
        let mine = try fleet.snapshots(restic).filter { $0["paths"][0].string == scene.module }
        #expect(mine.count == 3)
        for snapshot in mine {
            try fleet.restic(restic, "forget", try #require(snapshot["id"].string))
        }
        try fleet.restic(restic, "prune", "--max-unused", "0")
        try fleet.judge()
        _ = try corpus.churn(scene.module)
        try fleet.cistern("run", "verify")
        try fleet.judge()
        #expect(try scene.roundTrip() == [])
    }

    /// A lock of restic's `prune` keeps Cistern out, and the message says whose it is.
    @Test func exclusiveLockOfResticIsRespected() throws {
        let restic = try #require(Restic.all.first)
        let scene = try Scene { try $0.small($1, count: 100) }
        try scene.fleet.cistern("dehydrate", "data")
        // A prune that waits for its password prompt holds no lock yet, but one that is stopped in
        // its work does.
        let prune = try restic.command(
            ["prune", "--max-unused", "0"], store: scene.fleet.store,
            passwordFile: scene.fleet.passwordFile
        ).start()
        // A name of 64 digits: while it is written the lock has another.
        func isLocked() -> Bool { scene.fleet.objects("locks").contains { $0.count == 64 } }
        let locked = prune.wait(seconds: 30) { _ in isLocked() }
        prune.signal(SIGSTOP)
        defer { prune.signal(SIGKILL) }
        guard locked, isLocked(), !prune.isOver else {
            return notice("restic pruned too fast to be stopped: its lock is not checked")
        }
        try Data("new".utf8).write(to: URL(fileURLWithPath: scene.module + "/new"))
        let result = try scene.fleet.command(["dehydrate", "data"]).run().expect(4)
        #expect(result.errorText.contains("\(prune.pid)"), "\(result)")
    }
}
