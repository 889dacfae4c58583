import Dispatcher
import Foundation
import JobTable
import Platform
import TestSupport
import Testing

private let head = "name: p\nmodules: ['*']\n"

@Suite(.temporaryFolder) struct PipelineTests {
    private func write(_ text: String, to name: String = "p.yaml") throws -> String {
        let folder = try #require(TemporaryFolder.current)
        let path = folder(name)
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test func everythingIsRead() throws {
        let path = try write(
            """
            name: p
            modules: ["web*", mail]
            workers: 3
            keep_runs: 5
            stall_timeout: 2m
            retry: {attempts: 1, delay: 1m, max_delay: 2h, max_time: 3d}
            stages:
              - manifest: {one_file_system: true}
              - check: {verify: true}
              - repair: {rotted: report, removed: restore, store: report, max_repairs: 25}
              - dehydrate: {compression: 7, skip_unchanged: true}
            """)
        let pipeline = try PipelineDefinition.load(path)
        var retry = RetryPolicy()
        retry.maximumAttempts = 1
        retry.maximumModuleAttempts = 1
        retry.baseDelay = 60
        retry.maximumDelay = 7200
        retry.maximumTime = 3 * 86400
        #expect(
            pipeline
                == PipelineDefinition(
                    name: "p",
                    modules: [try #require(Glob("web*")), try #require(Glob("mail"))],
                    stages: [
                        .manifest(ManifestOptions(oneFileSystem: true)),
                        .check(CheckOptions(verify: true)),
                        .repair(
                            RepairOptions(
                                rotted: .report, removed: .restore, store: .report,
                                maxRepairs: .count(25))),
                        .dehydrate(
                            DehydrateOptions(compression: .level(7), skipUnchanged: true)),
                    ],
                    workers: 3, keepRuns: 5, stallTimeout: 120, retry: retry))
        // A run keeps it as text and goes on by it.
        #expect(try PipelineDefinition(encoded: pipeline.encoded()) == pipeline)
    }

    @Test func defaults() throws {
        let path = try write(head + "stages: [manifest, check, repair, dehydrate]\n")
        let pipeline = try PipelineDefinition.load(path)
        #expect(
            pipeline.stages == [
                .manifest(ManifestOptions()), .check(CheckOptions(verify: false)),
                .repair(
                    RepairOptions(
                        rotted: .restore, removed: .ignore, store: .requeue,
                        maxRepairs: .percent(10))),
                .dehydrate(DehydrateOptions(compression: .auto, skipUnchanged: false)),
            ])
        #expect(pipeline.stallTimeout == 300)
        #expect(pipeline.retry == RetryPolicy())
    }

    @Test(arguments: pipelineMistakes)
    func mistakes(_ mistake: Mistake) throws {
        let modules = [ModuleDefinition(name: "web", path: "/srv/web")]
        let (pipeline, problems) = try PipelineDefinition.check(
            write(mistake.yaml), modules: modules)
        #expect(mistake.isAmong(problems), "\(problems)")
        #expect((pipeline == nil) == (mistake.severity == .error))
    }

    /// The pipelines of the repository are those that `cistern init` writes.
    @Test func examplesAreTheStarters() throws {
        let root = URL(filePath: #filePath).pathComponents.dropLast(4).joined(separator: "/")
        for file in Starter.files where file.path.hasPrefix("pipelines/") {
            let text = try String(contentsOfFile: "\(root)/\(file.path)", encoding: .utf8)
            #expect(text == file.text, "\(file.path)")
        }
    }
}

private let pipelineMistakes: [Mistake] = [
    Mistake("modules: ['*']\nstages: [manifest]\n", 1, 1, "`name` is missing"),
    Mistake("name: p\nstages: [manifest]\n", 1, 1, "`modules` is missing"),
    Mistake(head, 1, 1, "`stages` is missing"),
    Mistake("name: a b\nmodules: ['*']\nstages: [manifest]\n", 1, 7, "cannot name a pipeline"),
    Mistake("name: p\nmodules: []\nstages: [manifest]\n", 2, 10, "`modules` is empty"),
    Mistake("name: p\nmodules: ['[']\nstages: [manifest]\n", 2, 11, "not a pattern"),
    Mistake(head + "stages: []\n", 3, 9, "must be a list of stages"),
    Mistake(head + "stages: [manifst]\n", 3, 10, "unknown stage", "did you mean `manifest`?"),
    Mistake(head + "stages: [manifest, scrub]\n", 3, 20, "not supported in pipelines"),
    Mistake(head + "stages: [manifest, prune]\n", 3, 20, "`prune` needs `dehydrate` before it"),
    Mistake(
        head + "stages: [manifest, dehydrate, prune: {all: 1}]\n", 3, 39, "unknown key `all`"),
    Mistake(head + "stages: [check]\n", 3, 10, "the first stage must be manifest"),
    Mistake(head + "stages: [manifest, repair]\n", 3, 20, "needs `check`"),
    Mistake(head + "stages: [manifest, dehydrate, check]\n", 3, 31, "comes too late"),
    Mistake(head + "stages: [manifest, check, check]\n", 3, 27, "comes twice"),
    Mistake(head + "stages: [manifest, mirror, check]\n", 3, 20, "`mirror` comes last"),
    Mistake(head + "stages: [manifest, mirror, mirror]\n", 3, 20, "`mirror` comes last"),
    Mistake(head + "stages: [mirror]\n", 3, 9, "`mirror` is the only stage"),
    Mistake(head + "stages: [{manifest: {}, check: {}}]\n", 3, 10, "a stage has one name"),
    Mistake(head + "stages: [[manifest]]\n", 3, 10, "a stage cannot be a list"),
    Mistake(
        head + "stages: [manifest, {check: {verfy: true}}]\n", 3, 29, "unknown key `verfy`",
        "did you mean `verify`?"),
    Mistake(head + "stages: [manifest, {check: {verify: yes}}]\n", 3, 37, "true or false"),
    Mistake(
        head + "stages: [manifest, check, {repair: {rotted: restor}}]\n", 3, 45,
        "`rotted` cannot be `restor`", "did you mean `restore`? allowed: restore, report"),
    Mistake(
        head + "stages: [manifest, check, {repair: {removed: delete}}]\n", 3, 46,
        "`removed` cannot be", "allowed: ignore, restore"),
    Mistake(
        head + "stages: [manifest, check, {repair: {store: x}}]\n", 3, 44, "`store` cannot be",
        "allowed: requeue, report"),
    Mistake(
        head + "stages: [manifest, check, {repair: {max_repairs: 101%}}]\n", 3, 50,
        "`max_repairs` cannot be", "10%"),
    Mistake(
        head + "stages: [manifest, check, {repair: {max_repairs: -1}}]\n", 3, 50,
        "`max_repairs` cannot be"),
    Mistake(
        head + "stages: [manifest, {dehydrate: {compression: 20}}]\n", 3, 46,
        "`compression` cannot be", "1 to 19"),
    Mistake(head + "stages: [manifest]\nworkers: 0\n", 4, 10, "`workers` must be"),
    Mistake(head + "stages: [manifest]\nkeep_runs: x\n", 4, 12, "`keep_runs` must be"),
    Mistake(head + "stages: [manifest]\nretry: 3\n", 4, 8, "`retry` must be a mapping"),
    Mistake(head + "stages: [manifest]\nretry: {attempts: 0}\n", 4, 19, "whole number", "1 to 100"),
    Mistake(head + "stages: [manifest]\nretry: {delays: 1s}\n", 4, 9, "unknown key", "`delay`"),
    Mistake(head + "stages: [manifest]\nstall_timeout: 1\n", 4, 16, "must be a time"),
    Mistake(head + "stages: [manifest]\nstall_timeout: 1s\n", 4, 16, "must be a time", "5s"),
    Mistake(
        head + "stages: [manifest]\nstall_timeout: 99999999999999999d\n", 4, 16,
        "must be a time"),
    Mistake(
        head + "stages: [manifest]\nschedule: 'cron: 1 2 * * *'\n", 4, 1,
        "unknown key `schedule` in the pipeline", "allowed keys: name, modules, stages"),
    Mistake(
        head + "stages: [manifest]\nretention: []\n", 4, 1, "unknown key `retention`",
        "in cistern.yaml; allowed keys: name,"),
    Mistake(head + "stages: [manifest]\nworker: 1\n", 4, 1, "unknown key", "`workers`?"),
    Mistake(
        "name: q\nmodules: ['*']\nstages: [manifest]\n", 1, 7, "called `q` in a file",
        severity: .warning),
    Mistake(
        "name: p\nmodules: [z*]\nstages: [manifest]\n", 2, 10, "no module matches `z*`",
        severity: .warning),
]
