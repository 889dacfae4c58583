import Dispatcher
import JobTable
import Platform
import TestSupport
import Testing

/// The shell around the machine, with real processes that are no workers.
@Suite(.temporaryFolder) struct RunDispatcherTests {
    private func dispatch(
        _ script: String, stop: @escaping () -> Int32? = { nil }
    ) throws -> (RunReport, [String]) {
        let folder = try #require(TemporaryFolder.current)
        let table = try SQLiteJobTable(path: folder("jobs.sqlite"))
        let pipeline = PipelineDefinition(
            name: "p", modules: [try #require(Glob("*"))], stages: [.manifest(ManifestOptions())])
        let configuration = Configuration(
            file: "/x/cistern.yaml", state: "/x/state",
            store: StoreSettings(url: "file:/x/store", passwordFile: nil, mirrors: []),
            modules: [ModuleDefinition(name: "a", path: "/x/a")], workers: 1, keepRuns: 3,
            warnings: [])
        var notices: [String] = []
        let dispatcher = RunDispatcher(
            table: table,
            command: .init(program: "/bin/sh") { _ in ["-c", script] },
            stopRequested: stop,
            observe: { if case .notice(let text) = $0 { notices.append(text) } })
        let request = try RunRequest(pipeline: pipeline, configuration: configuration)
        let report = try dispatcher.run(request, workers: 1, fallbackWorkers: 1)
        return (report, notices)
    }

    @Test(arguments: [
        ("exit 0", "exit code 0"), ("exit 7", "exit code 7"), ("kill -SEGV $$", "SIGSEGV"),
    ])
    func workersThatDoNothing(script: String, cause: String) throws {
        let (report, _) = try dispatch(script)
        #expect(report.ending == .workersUnusable(cause: cause))
        #expect(report.exitCode == 1)
        // It is given back for another try, not ended.
        #expect(report.run.state == .running)
        #expect(report.run.owner == nil)
    }

    @Test(arguments: [(Signal.terminate, 0), (Signal.interrupt, 130)])
    func stopsItsWorkers(signal: Int32, code: Int) throws {
        let start = monotonicSeconds()
        let (report, _) = try dispatch("sleep 100") {
            monotonicSeconds() - start > 0.3 ? signal : nil
        }
        #expect(report.ending == .stopped(signal: signal))
        #expect(report.exitCode == code)
        #expect(report.run.state == .running)
        #expect(report.jobs.map(\.state) == [.queued])
    }

    @Test func aMissingProgram() throws {
        let failure = #expect(throws: SystemError.self) { _ = try ChildProcess("/nothing", []) }
        #expect(failure?.code == Errno.noEntry)
    }

    /// The whole process group goes: a grandchild that keeps running would hold its files.
    @Test func signalsReachGrandchildren() throws {
        let folder = try #require(TemporaryFolder.current)
        let file = folder("pid")
        let child = try ChildProcess("/bin/sh", ["-c", "sleep 100 & echo $! > \(file); wait"])
        var grandchild: Int32?
        let deadline = monotonicSeconds() + 20
        while grandchild == nil && monotonicSeconds() < deadline {
            ChildProcess.wait(any: [child.handle], milliseconds: 10)
            let bytes = (try? AtomicFile.read(file)) ?? []
            grandchild = Int32(String(decoding: bytes, as: UTF8.self).dropLast())
        }
        let identity = ProcessIdentity(pid: try #require(grandchild))
        #expect(identity.isAlive == true)
        child.signal(Signal.kill)
        ChildProcess.wait(any: [child.handle], milliseconds: 20_000)
        #expect(try child.poll() == .signalled(Signal.kill))
        while identity.isAlive == true && monotonicSeconds() < deadline {
            ChildProcess.wait(any: [], milliseconds: 10)
        }
        #expect(identity.isAlive == false)
    }
}
