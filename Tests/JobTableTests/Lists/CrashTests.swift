import Foundation
import JobTable
import Platform
import TestSupport
import Testing

/// Appends chunks of ten units after the checkpoint until there are `total`, then finishes: what a
/// stage does, and what it does again after it was killed.
func continueList(_ path: String, total: Int, committed: (Int) -> Void = { _ in }) throws {
    let state = try ModuleState(path: path, module: "m")
    let info = try state.openList(testKey, definition: [1])
    let compressor = ZstdCompressor(level: 1)
    for number in info.chunks..<max(total, info.chunks) {
        let chunk = makeChunk(number, from: number * 10, count: 10, padding: 300)
        _ = try state.append(
            testKey, [ModuleState.compress(chunk, compressor)],
            checkpoint: Checkpoint(inputChunks: number + 1, lastPath: chunk.lastKey),
            notes: [NoteChange("last", Array("\(number)".utf8))])
        committed(number + 1)
    }
    if !info.finished {
        _ = try state.append(
            testKey, [], checkpoint: Checkpoint(inputChunks: total), stats: [1],
            baseline: testBaseline)
    }
}

let testBaseline = Baseline(
    key: testKey, snapshot: testDigest, rootTree: testDigest, storeID: "s", storeGeneration: 1,
    time: Timestamp(seconds: 5))
private let testDigest: Digest = {
    guard let digest = Digest(hex: String(repeating: "0f", count: 32)) else { fatalError() }
    return digest
}()

/// Checks that a list has exactly the units of its chunks, and that all else agrees with it.
func expectExact(_ path: String, atLeast: Int, atMost: Int) throws {
    let state = try ModuleState(path: path, module: "m")
    guard let info = try state.list(testKey) else {
        #expect(atLeast == 0)
        return
    }
    #expect(info.chunks >= atLeast && info.chunks <= atMost)
    #expect(info.units == info.chunks * 10)
    #expect(info.checkpoint.inputChunks == info.chunks)
    let note = info.chunks == 0 ? nil : Array("\(info.chunks - 1)".utf8)
    #expect(try state.note("last") == note)
    #expect(try state.baseline() == (info.finished ? testBaseline : nil))
    for number in 0..<info.chunks {
        let expected = makeChunk(number, from: number * 10, count: 10, padding: 300)
        #expect(try state.chunk(testKey, number) == expected)
    }
    #expect(try state.chunk(testKey, info.chunks) == nil)
    try state.close()
}

@Suite("kill -9 at every commit point")
struct CrashTests {
    static let total = 6

    @Test(
        arguments: ["state-file-filled:1", "state-file-named:1"]
            + (1...7).flatMap { ["list-append-written:\($0)", "list-appended:\($0)"] })
    func leavesAnExactList(_ point: String) async throws {
        let folder = try TemporaryFolder()
        let path = folder("m.sqlite")
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, point = point as String] in
            setenv("CISTERN_CRASH_AT", point, 1)
            try continueList(path, total: CrashTests.total)
        }
        let count = try #require(Int(point.split(separator: ":")[1]))
        let durable = point.hasPrefix("list-appended") ? min(count, Self.total) : count - 1
        let isCreating = point.hasPrefix("state")
        try expectExact(path, atLeast: isCreating ? 0 : durable, atMost: isCreating ? 0 : durable)
        try continueList(path, total: Self.total)
        try expectExact(path, atLeast: Self.total, atMost: Self.total)
        let state = try ModuleState(path: path, module: "m")
        #expect(try state.list(testKey)?.finished == true)
    }

    /// The moment is counted, not timed: a thread waits for some commits, which it reads from a
    /// pipe, goes on for some steps while the next one is being made, and kills the process.
    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func leavesAnExactListWhenKilledAtARandomTime(_ seed: UInt64) async throws {
        let folder = try TemporaryFolder()
        let path = folder("m.sqlite")
        let log = folder("committed")
        var generator = SeededGenerator(seed: seed &* 7919)
        let commits = Int.random(in: 0...30, using: &generator)
        let steps = Int.random(in: 0...3000, using: &generator)
        await #expect(processExitsWith: .signal(SIGKILL), "seed \(seed)") {
            [
                path = path as String, log = log as String, commits = commits as Int,
                steps = steps as Int
            ] in
            try Data().write(to: URL(fileURLWithPath: log))
            let file = try #require(FileHandle(forWritingAtPath: log))
            let pipe = Pipe()
            let killer = DedicatedThread(name: "killer") {
                for _ in 0..<commits {
                    _ = try? pipe.fileHandleForReading.read(upToCount: 1)
                }
                for _ in 0..<steps { sched_yield() }
                kill(getpid(), SIGKILL)
            }
            try continueList(path, total: 100_000) { _ in
                file.write(Data([1]))
                pipe.fileHandleForWriting.write(Data([1]))
            }
            killer.join()
        }
        let committed = try? FileManager.default.attributesOfItem(atPath: log)[.size] as? Int
        let atLeast = committed ?? 0
        #expect(atLeast >= commits, "seed \(seed)")
        try expectExact(path, atLeast: atLeast, atMost: atLeast + 1)
        try continueList(path, total: atLeast + 5)
        try expectExact(path, atLeast: atLeast + 5, atMost: atLeast + 5)
    }

    @Test(arguments: 1...4)
    func finishesARemovalThatWasInterrupted(_ count: Int) async throws {
        let folder = try TemporaryFolder()
        let path = folder("m.sqlite")
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, count = count as Int] in
            setenv("CISTERN_CRASH_AT", "list-removal-written:\(count)", 1)
            let state = try ModuleState(path: path, module: "m")
            for run in ["1", "2"] {
                let list = ListKey(run: run, stage: "manifest")
                _ = try state.openList(list, definition: [])
                let chunks = (0..<600).map {
                    ModuleState.compress(
                        makeChunk($0, from: $0, count: 1), ZstdCompressor(level: 1))
                }
                _ = try state.append(list, chunks, checkpoint: Checkpoint(), stats: [1])
            }
            _ = try state.keepRuns(1)
            // Three batches of one list: the fourth time is never reached.
            kill(getpid(), SIGKILL)
        }
        let state = try ModuleState(path: path, module: "m")
        #expect(try state.lists().map(\.key.run) == ["2"])
        #expect(try state.keepRuns(1) == [])
        #expect(try state.lists().map(\.key.run) == ["2"])
        let list = ListKey(run: "2", stage: "manifest")
        #expect(try state.chunk(list, 599) == makeChunk(599, from: 599, count: 1))
    }

    @Test(arguments: ["job-ending:1", "job-ending:2"])
    func givesAKilledWorkersJobToAnother(_ point: String) async throws {
        let folder = try TemporaryFolder()
        let path = folder("jobs.sqlite")
        let table = try SQLiteJobTable(path: path)
        let run = try table.createRun(
            pipeline: "p", definition: "{}",
            jobs: ["a", "b"].map { NewJob(module: $0, stages: ["manifest"]) }, owner: nil, for: 0)
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, point = point as String] in
            setenv("CISTERN_CRASH_AT", point, 1)
            let table = try SQLiteJobTable(path: path)
            let me = ProcessIdentity.current
            while let job = try table.lease(run: nil, worker: me, for: 600) {
                _ = try table.complete(
                    job.id, worker: me, progress: JobProgress(), outcome: .done(result: nil))
            }
        }
        let done = point == "job-ending:1" ? 0 : 1
        #expect(try table.jobs(run: run.id).filter { $0.state == .done }.count == done)
        // The lease of the dead process is free at once, ten minutes before its time.
        let job = try #require(
            try table.lease(run: run.id, worker: ProcessIdentity.current, for: 60))
        #expect(job.module == (done == 0 ? "a" : "b"))
        #expect(job.status.deaths == 1)
    }

    @Test func leasesEachJobToOneOfEightProcesses() async throws {
        let folder = try TemporaryFolder()
        let path = folder("jobs.sqlite")
        let table = try SQLiteJobTable(path: path)
        let run = try table.createRun(
            pipeline: "p", definition: "{}",
            jobs: (0..<500).map { NewJob(module: "m\($0)", stages: ["manifest"]) }, owner: nil,
            for: 0)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    await #expect(processExitsWith: .success) { [path = path as String] in
                        let table = try SQLiteJobTable(path: path)
                        let me = ProcessIdentity.current
                        while let job = try table.lease(run: nil, worker: me, for: 600) {
                            // A job that was leased twice could not be completed twice.
                            _ = try table.complete(
                                job.id, worker: me, progress: JobProgress(),
                                outcome: .done(result: "\(me)"))
                        }
                    }
                }
            }
        }
        let jobs = try table.jobs(run: run.id)
        #expect(jobs.allSatisfy { $0.state == .done && $0.status.attempts == 1 })
        #expect(jobs.allSatisfy { $0.status.deaths == 0 })
        let leases = try table.events(after: 0, limit: 10_000).filter { $0.kind == "leased" }
        #expect(leases.count == 500)
        #expect(Set(leases.compactMap(\.job)).count == 500)
    }
}
