import JobTable
import Platform
import TestSupport
import Testing

/// An implementation of `JobTable` under test: opened anew for each test.
struct TableUnderTest: Sendable, CustomTestStringConvertible {
    var name: String
    var open: @Sendable (TemporaryFolder, any WallClock) throws -> any JobTable

    var testDescription: String { name }

    /// Every implementation has to pass the whole suite.
    static let all = [
        TableUnderTest(name: "SQLite") { folder, clock in
            try SQLiteJobTable(path: folder("jobs.sqlite"), clock: clock)
        }
    ]
}

/// A process of another host, whose life nobody here can know.
func stranger(_ pid: Int32) -> ProcessIdentity {
    ProcessIdentity(host: "elsewhere.example", pid: pid, start: "1-boot")
}

/// A process of this host that has ended.
let deadProcess = ProcessIdentity(host: ProcessIdentity.hostName, pid: 1, start: "0-never")

/// What every job table does, whatever keeps it.
@Suite("Job table conformance")
struct JobTableConformance {
    let folder: TemporaryFolder
    let clock = SetClock()
    let worker = stranger(1)
    let me = ProcessIdentity.current

    init() throws { folder = try TemporaryFolder() }

    private func table(_ kind: TableUnderTest) throws -> any JobTable {
        try kind.open(folder, clock)
    }

    private func begin(
        _ table: any JobTable, _ modules: [String] = ["a", "b", "c"], pipeline: String = "nightly"
    ) throws -> Run {
        clock.advance(1)
        return try table.createRun(
            pipeline: pipeline, definition: "{}",
            jobs: modules.map { NewJob(module: $0, stages: ["manifest", "check"], payload: [7]) },
            owner: me, for: 30)
    }

    @Test(arguments: TableUnderTest.all)
    func keepsRunsAndJobs(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table)
        #expect(run.id.wholeMatch(of: /\d{8}-\d{6}-[0-9a-f]{4}/) != nil)
        #expect(run.id.hasPrefix("20231114-221321-"))
        #expect(run.state == .running)
        #expect(run.owner == me)
        #expect(try table.run(run.id) == run)
        #expect(try table.unfinishedRun(pipeline: "nightly") == run)
        #expect(try table.unfinishedRun(pipeline: "weekly") == nil)
        #expect(try table.run("nothing") == nil)
        let jobs = try table.jobs(run: run.id)
        #expect(jobs.map(\.module) == ["a", "b", "c"])
        #expect(jobs.map(\.position) == [0, 1, 2])
        #expect(jobs.allSatisfy { $0.stages == ["manifest", "check"] && $0.payload == [7] })
        #expect(jobs.allSatisfy { $0.status == JobStatus(notBefore: clock.now()) })
        let second = try begin(table, [], pipeline: "weekly")
        #expect(try table.runs(limit: 10).map(\.id) == [second.id, run.id])
        #expect(try table.runs(limit: 1).map(\.id) == [second.id])
    }

    @Test(arguments: TableUnderTest.all)
    func letsOneDispatcherHoldAPipeline(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table)
        let created = #expect(throws: Failure.self) { try begin(table) }
        #expect(created?.kind == .locked)
        // This process lives, so its claim holds however old it is.
        clock.advance(1000)
        let claimed = #expect(throws: Failure.self) {
            try table.claimRun(run.id, owner: worker, for: 30)
        }
        #expect(claimed?.kind == .locked)
        try table.releaseRun(run.id, owner: worker)
        #expect(try table.run(run.id)?.owner == me)
        try table.releaseRun(run.id, owner: me)
        #expect(try table.claimRun(run.id, owner: stranger(5), for: 30).owner == stranger(5))
        // A process of another host holds its claim until its time has passed.
        clock.advance(29)
        #expect(throws: Failure.self) { try table.claimRun(run.id, owner: me, for: 30) }
        #expect(try table.claimRun(run.id, owner: stranger(5), for: 30).owner == stranger(5))
        clock.advance(30)
        #expect(try table.claimRun(run.id, owner: deadProcess, for: 3000).owner == deadProcess)
        // The claim of a dead process of this host is void at once.
        #expect(try table.claimRun(run.id, owner: me, for: 30).owner == me)
        let unknown = #expect(throws: Failure.self) {
            try table.claimRun("nothing", owner: me, for: 30)
        }
        #expect(unknown?.kind == .usage)
    }

    @Test(arguments: TableUnderTest.all)
    func leasesEachJobOnceAndEndsIt(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table)
        var leased: [Job] = []
        while let job = try table.lease(run: run.id, worker: worker, for: 60) {
            leased.append(job)
        }
        #expect(leased.map(\.module) == ["a", "b", "c"])
        #expect(leased.allSatisfy { $0.status.lease?.worker == worker && $0.status.attempts == 1 })
        let early = #expect(throws: Failure.self) {
            try table.finishRun(run.id, owner: me, state: .done, exitCode: 0)
        }
        #expect(early?.kind == .bug)

        let progress = JobProgress(stage: "check", units: 5, bytes: 6, unitsTotal: 10)
        #expect(
            try table.renew(leased[0].id, worker: worker, for: 60, progress: progress) == .held)
        #expect(try table.jobs(run: run.id)[0].progress == progress)
        let done = try table.complete(
            leased[0].id, worker: worker, progress: progress, outcome: .done(result: "{}"))
        #expect(done.state == .done)
        #expect(done.result == "{}")
        #expect(done.status.finished == clock.now())
        let partly = try table.complete(
            leased[1].id, worker: worker, progress: progress, outcome: .partly(result: nil))
        #expect(partly.state == .partly)
        let failed = try table.complete(
            leased[2].id, worker: worker, progress: progress,
            outcome: .failed(Failure(.bug, "no", cause: "way")))
        #expect(failed.state == .failed)
        #expect(failed.status.error == JobError(kind: .bug, text: "no: way"))

        let outlook = try table.outlook(run: run.id)
        #expect(outlook.isOver)
        #expect(outlook.counts == [.done: 1, .partly: 1, .failed: 1])
        let other = #expect(throws: Failure.self) {
            try table.finishRun(run.id, owner: worker, state: .done, exitCode: 0)
        }
        #expect(other?.kind == .locked)
        let finished = try table.finishRun(run.id, owner: me, state: .failed, exitCode: 3)
        #expect(finished.exitCode == 3)
        #expect(finished.state == .failed)
        #expect(try table.unfinishedRun(pipeline: "nightly") == nil)
        #expect(throws: Failure.self) { try table.claimRun(run.id, owner: me, for: 1) }
        _ = try begin(table)
    }

    @Test(arguments: TableUnderTest.all)
    func triesAFailingModuleLast(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table)
        var order: [String] = []
        while let job = try table.lease(run: run.id, worker: worker, for: 60) {
            order.append(job.module)
            let bad = job.module == "a"
            _ = try table.complete(
                job.id, worker: worker, progress: JobProgress(),
                outcome: bad ? .failed(Failure(.module, "out")) : .done(result: nil))
        }
        #expect(order == ["a", "b", "c", "a"])
        #expect(try table.jobs(run: run.id).map(\.state) == [.failed, .done, .done])
        #expect(try table.outlook(run: run.id).isOver)
    }

    @Test(arguments: TableUnderTest.all)
    func waitsBeforeATemporaryFailureIsTriedAgain(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table, ["a"])
        for attempt in 1...5 {
            let job = try #require(try table.lease(run: run.id, worker: worker, for: 60))
            #expect(job.status.attempts == attempt)
            let again = try table.complete(
                job.id, worker: worker, progress: JobProgress(),
                outcome: .failed(Failure(.temporary, "later")))
            #expect(again.state == .queued)
            #expect(try table.lease(run: run.id, worker: worker, for: 60) == nil)
            #expect(try table.outlook(run: run.id).nextReady == again.status.notBefore)
            clock.advance(again.status.notBefore.seconds - clock.now().seconds + 1)
        }
        // The last try is a real one.
        let job = try #require(try table.lease(run: run.id, worker: worker, for: 60))
        let end = try table.complete(
            job.id, worker: worker, progress: JobProgress(), outcome: .done(result: nil))
        #expect(end.state == .done)
        #expect(end.status.error == nil)
    }

    @Test(arguments: TableUnderTest.all)
    func givesTheLeasesOfTheLostToOthers(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table, ["a"])
        // Dead on this host: free at once.
        let first = try #require(try table.lease(run: run.id, worker: deadProcess, for: 600))
        let second = try #require(try table.lease(run: run.id, worker: stranger(2), for: 60))
        #expect(second.id == first.id)
        #expect(second.status.deaths == 1)
        // Of another host: only when the time has passed.
        clock.advance(59)
        #expect(try table.lease(run: run.id, worker: me, for: 60) == nil)
        #expect(
            try table.renew(first.id, worker: stranger(2), for: 60, progress: JobProgress())
                == .held)
        clock.advance(59)
        #expect(try table.lease(run: run.id, worker: me, for: 60) == nil)
        clock.advance(1)
        let third = try #require(try table.lease(run: run.id, worker: me, for: 60))
        #expect(third.id == first.id)
        #expect(
            try table.renew(first.id, worker: stranger(2), for: 60, progress: JobProgress())
                == .lost)
        let late = #expect(throws: Failure.self) {
            try table.complete(
                first.id, worker: stranger(2), progress: JobProgress(), outcome: .done(result: nil))
        }
        #expect(late?.kind == .locked)
        // A live process that does not renew is as lost as a dead one.
        clock.advance(60)
        #expect(try table.lease(run: run.id, worker: stranger(3), for: 60) == nil)
        let job = try table.jobs(run: run.id)[0]
        #expect(job.state == .failed)
        #expect(job.status.error?.kind == .bug)
    }

    @Test(arguments: TableUnderTest.all)
    func takesBackTheJobsOfADeadWorker(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table, ["a"])
        for death in 1...3 {
            let job = try #require(try table.lease(run: run.id, worker: worker, for: 60))
            #expect(try table.workerDied(stranger(9), cause: "signal 9") == [])
            let after = try table.workerDied(worker, cause: "signal 11")
            #expect(after.map(\.id) == [job.id])
            #expect(after[0].state == (death < 3 ? .queued : .failed))
            #expect(after[0].status.deaths == death)
        }
        let error = try #require(try table.jobs(run: run.id)[0].status.error)
        #expect(error.kind == .bug)
        #expect(error.text.contains("signal 11"))
    }

    @Test(arguments: TableUnderTest.all)
    func countsNoTryForAReleasedJob(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table, ["a"])
        for _ in 0..<20 {
            let job = try #require(try table.lease(run: run.id, worker: worker, for: 60))
            let after = try table.complete(
                job.id, worker: worker, progress: JobProgress(), outcome: .released)
            #expect(after.status.attempts == 0)
            #expect(after.state == .queued)
        }
    }

    @Test(arguments: TableUnderTest.all)
    func takesAStopForNoFailure(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table, ["a"])
        for _ in 0..<20 {
            let job = try #require(try table.lease(run: run.id, worker: worker, for: 60))
            let after = try table.complete(
                job.id, worker: worker, progress: JobProgress(),
                outcome: .failed(Failure(.cancelled, "stopped by SIGTERM")))
            #expect(after.state == .queued)
            #expect(after.status.errorCount == 0)
            #expect(after.status.attempts == 0)
        }
    }

    @Test(arguments: TableUnderTest.all)
    func leasesFromTheOldestRunUnlessItsJobsFailed(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        _ = try begin(table, ["a", "b"])
        _ = try begin(table, ["c", "d"], pipeline: "weekly")
        var order: [String] = []
        while let job = try table.lease(run: nil, worker: worker, for: 60) {
            order.append(job.module)
            let bad = job.module == "a"
            _ = try table.complete(
                job.id, worker: worker, progress: JobProgress(),
                outcome: bad ? .failed(Failure(.module, "out")) : .done(result: nil))
        }
        #expect(order == ["a", "b", "c", "d", "a"])
    }

    @Test(arguments: TableUnderTest.all)
    func cancelsQueuedJobsAtOnceAndLeasedOnesAtTheirRenewal(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table)
        let job = try #require(try table.lease(run: run.id, worker: worker, for: 60))
        let cancelled = try table.cancelRun(run.id)
        #expect(cancelled.state == .cancelled)
        #expect(cancelled.exitCode == 130)
        #expect(try table.cancelRun(run.id) == cancelled)
        #expect(try table.jobs(run: run.id).map(\.state) == [.leased, .cancelled, .cancelled])
        #expect(try table.lease(run: run.id, worker: stranger(2), for: 60) == nil)
        #expect(
            try table.renew(job.id, worker: worker, for: 60, progress: JobProgress()) == .cancelled)
        // A new run may begin, but the module is still in the old worker's hands.
        let next = try begin(table, ["a", "b"])
        #expect(try table.lease(run: next.id, worker: stranger(2), for: 60)?.module == "b")
        #expect(try table.lease(run: next.id, worker: stranger(2), for: 60) == nil)
        let end = try table.complete(
            job.id, worker: worker, progress: JobProgress(), outcome: .released)
        #expect(end.state == .cancelled)
        #expect(try table.lease(run: nil, worker: stranger(2), for: 60)?.module == "a")
        #expect(throws: Failure.self) { try table.cancelRun("nothing") }
    }

    @Test(arguments: TableUnderTest.all)
    func tellsWhenTheCountersLastMoved(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table, ["a"])
        let job = try #require(try table.lease(run: run.id, worker: worker, for: 600))
        #expect(job.progressed == clock.now())
        clock.advance(10)
        let progress = JobProgress(stage: "check", units: 1)
        _ = try table.renew(job.id, worker: worker, for: 600, progress: progress)
        let moved = clock.now()
        clock.advance(10)
        _ = try table.renew(job.id, worker: worker, for: 600, progress: progress)
        #expect(try table.jobs(run: run.id)[0].progressed == moved)
    }

    @Test(arguments: TableUnderTest.all)
    func logsEventsInOrder(_ kind: TableUnderTest) throws {
        let table = try table(kind)
        let run = try begin(table, ["a"])
        try table.record("note", run: run.id, job: nil, text: "hello")
        let job = try #require(try table.lease(run: run.id, worker: worker, for: 60))
        let events = try table.events(after: 0, limit: 100)
        #expect(events.map(\.kind) == ["run created", "note", "leased"])
        #expect(events.map(\.job) == [nil, nil, job.id])
        #expect(events.allSatisfy { $0.run == run.id && $0.time == clock.now() })
        #expect(try table.events(after: events[1].id, limit: 100) == [events[2]])
        #expect(try table.events(after: 0, limit: 1) == [events[0]])
    }

    @Test(arguments: TableUnderTest.all)
    func leasesFiveHundredJobsToEightThreadsExactlyOnce(_ kind: TableUnderTest) throws {
        let jobs = 500
        let run = try begin(try table(kind), (0..<jobs).map { "m\($0)" })
        let seen = Monitor<[[Int64]]>([])
        let errors = Monitor<[String]>([])
        let (folder, clock) = (folder, clock)
        // Each thread has a connection of its own, as processes have.
        let threads = (0..<8).map { index in
            DedicatedThread(name: "lease-\(index)") {
                do {
                    let table = try kind.open(folder, clock)
                    var mine: [Int64] = []
                    while let job = try table.lease(
                        run: run.id, worker: stranger(Int32(index)), for: 60)
                    {
                        mine.append(job.id)
                        if mine.count % 10 == 0 {
                            _ = try table.complete(
                                job.id, worker: stranger(Int32(index)), progress: JobProgress(),
                                outcome: .done(result: nil))
                        }
                    }
                    seen.with { $0.append(mine) }
                } catch {
                    errors.with { $0.append("\(error)") }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(errors.with { $0 } == [])
        let all = seen.with { $0 }.flatMap { $0 }
        #expect(all.count == jobs)
        #expect(Set(all).count == jobs)
    }
}
