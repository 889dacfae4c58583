import Foundation
import TestSupport
import Testing

/// The documented surface: codes, messages, help.
@Suite(.temporaryFolder) struct CommandLineTests {
    private func cistern(_ arguments: String...) throws -> Command.Result {
        var command = Command(Project.cistern, arguments)
        command.folder = try folder().path
        command.environment["CISTERN_CONFIG"] = .some(nil)
        return try command.run()
    }

    @Test func initWritesWhatConfigcheckTakes() throws {
        try cistern("init").expect()
        for file in ["cistern.yaml", "pipelines/nightly.yaml", "pipelines/verify.yaml"] {
            #expect(try FileManager.default.fileExists(atPath: folder()(file)), "\(file)")
        }
        try cistern("configcheck").expect()
        // Never written over.
        let mine = "state: ./mine\n"
        try mine.write(toFile: folder()("cistern.yaml"), atomically: true, encoding: .utf8)
        _ = try cistern("init")
        #expect(try String(contentsOfFile: folder()("cistern.yaml"), encoding: .utf8) == mine)
    }

    @Test func mistakesInTheConfigurationAreUsageErrors() throws {
        let yaml = "state: ./state\nstoer:\n  url: file:./store\nmodules: []\n"
        try yaml.write(toFile: folder()("cistern.yaml"), atomically: true, encoding: .utf8)
        for arguments in [["configcheck"], ["run", "nightly"], ["check", "data"]] {
            var command = Command(Project.cistern, arguments)
            command.folder = try folder().path
            let result = try command.run()
            #expect(result.status == .exited(2), "\(result)")
            let said = result.text + result.errorText
            #expect(said.contains("cistern.yaml:2") && said.contains("stoer"), "\(result)")
        }
    }

    @Test(arguments: [["--no-such-option"], ["no-such-command"], ["run"], ["hydrate"]])
    func wrongUsageIsTwo(arguments: [String]) throws {
        var command = Command(Project.cistern, arguments)
        command.folder = try folder().path
        #expect(try command.run().status == .exited(2))
    }

    /// What has no list is refused by its name, before anything is looked for.
    @Test(arguments: ["prune", "mirror", "nothing"]) func stagesWithoutLists(stage: String) throws {
        let result = try cistern("results", "last", "data", stage)
        #expect(result.status == .exited(2), "\(result)")
        #expect(
            result.errorText.contains("no list of stage `\(stage)`")
                && result.errorText.contains("manifest, check, repair, dehydrate")
                && !result.errorText.contains("dehydrate, prune"), "\(result)")
    }

    /// Amounts mean the same for every command; what is none is named with its option.
    @Test(
        arguments: [
            (["gc", "--grace"], "1.5h", true), (["gc", "--max-duration"], "90", true),
            (["gc", "--max-unused"], "0.05", true), (["gc", "--max-unused"], "5%", true),
            (["gc", "--max-repack"], "1.5G", true),
            (["store", "check", "--max-age"], "1.5h", true),
            (["store", "check", "--max-duration"], "90", true),
            (["store", "check", "--sample"], "0.05", true),
            (["store", "check", "--sample"], "5%", true),
            (["wait", "x", "--timeout"], "1.5h", true),
            (["wait", "x", "--timeout"], "90", true),
            (["obliterate", "m", "--lock-wait"], "1.5h", true),
            (["gc", "--grace"], "soon", false), (["gc", "--max-unused"], "5", false),
            (["gc", "--max-repack"], "much", false), (["store", "check", "--sample"], "5", false),
            (["store", "check", "--sample"], "0", false),
            (["store", "check", "--sample"], "150%", false),
            (["store", "check", "--max-age"], "-1", false),
            (["wait", "x", "--timeout"], "1e3", false),
        ] as [([String], String, Bool)])
    func amounts(arguments: [String], value: String, isGood: Bool) throws {
        var command = Command(Project.cistern, arguments + [value])
        command.folder = try folder().path
        command.environment["CISTERN_CONFIG"] = .some(nil)
        let result = try command.run()
        #expect(result.status == .exited(2), "\(result)")
        // Then the configuration is missed, which is read later.
        #expect(result.errorText.contains("cistern init") == isGood, "\(result)")
        if !isGood, let option = arguments.last {
            #expect(result.errorText.contains(option), "\(result)")
        }
    }

    @Test func noConfigurationSaysWhereItWasLookedFor() throws {
        let result = try cistern("run", "nightly")
        #expect(result.status == .exited(2), "\(result)")
        #expect(result.errorText.contains("cistern init"), "\(result)")
    }

    @Test func everyCommandHasHelp() throws {
        let top = try cistern("--help").expect().text
        for name in [
            "init", "configcheck", "manifest", "check", "repair", "dehydrate", "hydrate", "run",
            "status", "runs", "results", "wait", "cancel", "snapshots", "store",
        ] {
            #expect(top.contains("  \(name)"), "\(name) is not in --help")
            #expect(try cistern(name, "--help").expect().text.contains("USAGE"))
        }
    }

    /// The store's key never shows, however a command fails.
    @Test func secretsStayOutOfOutput() throws {
        let scene = try Scene { try $0.small($1, count: 50) }
        try scene.fleet.cistern("run", "nightly")
        let key = try String(contentsOfFile: scene.fleet.passwordFile, encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(key.count >= 16)
        let mode = try FileManager.default.attributesOfItem(atPath: scene.fleet.passwordFile)
        #expect(mode[.posixPermissions] as? Int == 0o600)
        for arguments in [
            ["status", "--json"], ["runs", "--json"], ["snapshots", "--json"], ["configcheck"],
            ["store", "info"], ["run", "nightly", "--dry-run"],
        ] {
            let result = try scene.fleet.command(arguments).run()
            #expect(!(result.text + result.errorText).contains(key), "\(arguments)")
        }
        // A password that is not the store's is said to be that, and not shown.
        try "another-password-entirely\n".write(
            toFile: scene.fleet.passwordFile, atomically: false, encoding: .utf8)
        let result = try scene.fleet.command(["store", "check"]).run()
        #expect(result.status == .exited(1) || result.status == .exited(2), "\(result)")
        #expect(!(result.text + result.errorText).contains("another-password"), "\(result)")
        #expect(result.errorText.contains("password"), "\(result)")
    }
}
