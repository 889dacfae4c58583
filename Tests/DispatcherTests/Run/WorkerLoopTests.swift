import Dispatcher
import Foundation
import JobTable
import Platform
import Synchronization
import TestSupport
import Testing

/// Runs jobs by a function of the module's name, and remembers their order.
private final class FakeRunner: JobRunner {
    let order = Mutex<[String]>([])
    let body: @Sendable (String, JobControl) throws -> JobOutcome

    init(_ body: @escaping @Sendable (String, JobControl) throws -> JobOutcome) {
        self.body = body
    }

    func run(
        job: Job, pipeline: PipelineDefinition, module: ModuleDefinition, control: JobControl
    ) throws -> JobOutcome {
        order.withLock { $0.append(module.name) }
        #expect(job.module == module.name)
        #expect(pipeline.name == "p")
        return try body(module.name, control)
    }
}

@Suite(.temporaryFolder) struct WorkerLoopTests {
    private func makeTable() throws -> SQLiteJobTable {
        let folder = try #require(TemporaryFolder.current)
        return try SQLiteJobTable(path: folder("jobs.sqlite"))
    }

    private func makeRequest(
        _ modules: [String], fresh: Bool = false, retry: RetryPolicy = RetryPolicy()
    ) throws -> RunRequest {
        let pipeline = PipelineDefinition(
            name: "p", modules: [try #require(Glob("*"))],
            stages: [.manifest(ManifestOptions()), .check(CheckOptions())], retry: retry)
        let configuration = Configuration(
            file: "/x/cistern.yaml", state: "/x/state",
            store: StoreSettings(url: "file:/x/store", passwordFile: nil, mirrors: []),
            modules: modules.map { ModuleDefinition(name: $0, path: "/x/\($0)") }, workers: 2,
            keepRuns: 3, warnings: [])
        return try RunRequest(pipeline: pipeline, configuration: configuration, fresh: fresh)
    }

    private func makeRun(_ table: SQLiteJobTable, _ modules: [String]) throws -> String {
        try RunPlan.make(makeRequest(modules), table: table, owner: .current, claimSeconds: 60)
            .run.id
    }

    private func states(_ table: SQLiteJobTable, _ run: String) throws -> [String: JobState] {
        Dictionary(
            uniqueKeysWithValues: try table.jobs(run: run).map { ($0.module, $0.state) })
    }

    @Test func doesAllJobs() throws {
        let table = try makeTable()
        let run = try makeRun(table, ["a", "b", "c"])
        let result = try JobResult(units: 7, bytes: 8, newBytes: 9).encoded()
        let runner = FakeRunner { _, control in
            control.progress.begin(stage: "check", unitsTotal: 7)
            control.progress.add(units: 7, bytes: 8)
            return .done(result: result)
        }
        try WorkerLoop(table: table, run: run, runner: runner).work()
        let jobs = try table.jobs(run: run)
        #expect(jobs.allSatisfy { $0.state == .done && $0.progress.units == 7 })
        #expect(jobs.first?.result.flatMap { JobResult(encoded: $0) }?.newBytes == 9)
        #expect(RunDispatcher.exitCode(jobs) == 0)
    }

    /// One module out of twenty always fails: the others are done, and it is tried last.
    @Test func aFailingJobIsLast() throws {
        let table = try makeTable()
        let names = (0..<20).map { "m\($0)" }
        let run = try makeRun(table, names)
        let runner = FakeRunner { name, _ in
            if name == "m3" { throw Failure(.module, "it is broken") }
            return .done(result: nil)
        }
        try WorkerLoop(table: table, run: run, runner: runner).work()
        let found = try states(table, run)
        #expect(found.filter { $0.value == .done }.count == 19)
        #expect(found["m3"] == .failed)
        #expect(runner.order.withLock(\.last) == "m3")
        #expect(RunDispatcher.exitCode(try table.jobs(run: run)) == 3)
    }

    /// How often a job is tried is the pipeline's to say.
    @Test(arguments: 1...3)
    func triesAsOftenAsThePipelineSays(attempts: Int) throws {
        let table = try makeTable()
        var retry = RetryPolicy()
        retry.maximumAttempts = attempts
        retry.baseDelay = 0
        let request = try makeRequest(["a"], retry: retry)
        let plan = try RunPlan.make(request, table: table, owner: .current, claimSeconds: 60)
        let runner = FakeRunner { _, _ in throw Failure(.temporary, "not now") }
        try WorkerLoop(table: table, run: plan.run.id, runner: runner).work()
        #expect(runner.order.withLock(\.count) == attempts)
        #expect(try states(table, plan.run.id) == ["a": .failed])
    }

    @Test func otherErrorsFailTheJobWithTheirCause() throws {
        let table = try makeTable()
        let run = try makeRun(table, ["a"])
        let runner = FakeRunner { _, _ in throw SystemError(Errno.inputOutput, "read", "x") }
        try WorkerLoop(table: table, run: run, runner: runner).work()
        let job = try #require(try table.jobs(run: run).first)
        #expect(job.state == .failed)
        #expect(job.status.error?.text.contains("EIO") == true)
    }

    @Test func aStopGivesTheJobBack() throws {
        let table = try makeTable()
        let run = try makeRun(table, ["a", "b"])
        let stop = Atomic(false)
        let runner = FakeRunner { _, control in
            stop.store(true, ordering: .relaxed)
            try control.check()
            Issue.record("the stop went unheard")
            return .done(result: nil)
        }
        let loop = WorkerLoop(
            table: table, run: run, runner: runner,
            stopRequested: { stop.load(ordering: .relaxed) })
        #expect(try loop.work() == 1)
        let jobs = try table.jobs(run: run)
        #expect(jobs.allSatisfy { $0.state == .queued && $0.status.attempts == 0 })
    }

    @Test func aCancelledRunStopsItsJob() throws {
        let table = try makeTable()
        let run = try makeRun(table, ["a", "b"])
        let heard = Monitor(())
        let runner = FakeRunner { _, control in
            _ = try table.cancelRun(run)
            // The keeper's next renewal tells; the bound only ends a test that fails.
            for _ in 0..<1_000 where control.stop == nil {
                _ = heard.wait(seconds: 0.01) { _ in Bool?.none }
            }
            try control.check()
            return .done(result: nil)
        }
        var timing = WorkerLoop.Timing()
        timing.renewal = 0.01
        try WorkerLoop(table: table, run: run, runner: runner, timing: timing).work()
        #expect(try states(table, run) == ["a": .cancelled, "b": .cancelled])
    }

    /// Another worker took the job over: what this one still does must not count.
    @Test func aLostLeaseIsNotCompleted() throws {
        let table = try makeTable()
        let run = try makeRun(table, ["a"])
        let identity = ProcessIdentity(host: "elsewhere", pid: 1, start: "1")
        let other = ProcessIdentity.current
        let heard = Monitor(())
        let runner = FakeRunner { _, control in
            _ = try table.workerDied(identity, cause: "test")
            #expect(try table.lease(run: run, worker: other, for: 60) != nil)
            for _ in 0..<1_000 where control.stop == nil {
                _ = heard.wait(seconds: 0.01) { _ in Bool?.none }
            }
            #expect(control.stop == .leaseLost)
            return .done(result: "{\"from\":\"the loser\"}")
        }
        var timing = WorkerLoop.Timing()
        timing.renewal = 0.01
        try WorkerLoop(
            table: table, run: run, runner: runner, identity: identity, timing: timing
        ).work()
        let job = try #require(try table.jobs(run: run).first)
        #expect(job.state == .leased)
        #expect(job.status.lease?.worker == other)
        #expect(job.result == nil)
    }

    @Test func unknownRun() throws {
        let table = try makeTable()
        let runner = FakeRunner { _, _ in .done(result: nil) }
        let failure = #expect(throws: Failure.self) {
            try WorkerLoop(table: table, run: "x", runner: runner).work()
        }
        #expect(failure?.kind == .usage)
    }

    @Test func anUnfinishedRunIsResumedAndFreshCancelsIt() throws {
        let table = try makeTable()
        let first = try makeRun(table, ["a"])
        let again = try RunPlan.make(
            makeRequest(["a", "new"]), table: table, owner: .current, claimSeconds: 60)
        #expect(again.isResumed)
        #expect(again.run.id == first)
        #expect(again.notices.contains { $0.contains("new") })
        let fresh = try RunPlan.make(
            makeRequest(["a"], fresh: true), table: table, owner: .current, claimSeconds: 60)
        #expect(!fresh.isResumed)
        #expect(fresh.run.id != first)
        #expect(try table.run(first)?.state == .cancelled)
    }

    @Test(arguments: [false, true])
    func aSecondDispatcherIsRefused(fresh: Bool) throws {
        let table = try makeTable()
        let run = try makeRun(table, ["a"])
        let other = ProcessIdentity(host: "elsewhere", pid: 1, start: "1")
        let request = try makeRequest(["a"], fresh: fresh)
        let failure = #expect(throws: Failure.self) {
            try RunPlan.make(request, table: table, owner: other, claimSeconds: 60)
        }
        #expect(failure?.kind == .locked)
        #expect(try table.run(run)?.state == .running)
    }
}
