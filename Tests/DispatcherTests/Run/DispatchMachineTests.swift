import Dispatcher
import Platform
import Testing

private typealias Counts = DispatchMachine.Counts
private typealias Progress = DispatchMachine.Progress

/// A machine with a simulated clock and simulated processes: what is spawned lives at once.
private struct Simulation {
    var machine: DispatchMachine
    var now = 0.0
    var nextPID: Int32 = 100
    var actions: [DispatchMachine.Action] = []

    init(workers: Int, stall: Double = 300) {
        machine = DispatchMachine(limits: .init(workers: workers, stallSeconds: stall))
    }

    /// Feeds an event, lets spawns succeed, and returns what else was to be done.
    @discardableResult
    mutating func feed(
        _ event: DispatchMachine.Event, after seconds: Double = 0
    ) -> [DispatchMachine.Action] {
        now += seconds
        let result = machine.handle(event, now: now)
        actions += result
        var rest = result
        while let index = rest.firstIndex(of: .spawn) {
            rest.remove(at: index)
            let more = machine.handle(.spawned(nextPID), now: now)
            nextPID += 1
            actions += more
            rest += more
        }
        return rest
    }

    var live: [Int32] { machine.livePIDs }
    var spawns: Int { actions.filter { $0 == .spawn }.count }
}

@Suite struct DispatchMachineTests {
    @Test(arguments: [(1, 5, 1), (4, 20, 4), (4, 2, 2), (8, 1, 1)])
    func spawnsUpToJobsAndLimit(workers: Int, jobs: Int, expected: Int) {
        var s = Simulation(workers: workers)
        s.feed(.counts(Counts(ready: jobs)))
        #expect(s.live.count == expected)
        s.feed(.counts(Counts(ready: jobs - expected, leased: expected)))
        s.feed(.tick, after: 1)
        #expect(s.live.count == expected)
    }

    @Test func nothingToDo() {
        var s = Simulation(workers: 2)
        #expect(s.feed(.counts(Counts(ready: 0, ended: 3))) == [.finish(.over)])
        #expect(s.feed(.tick).isEmpty)
    }

    @Test func endsWhenAllJobsAndWorkersHaveEnded() {
        var s = Simulation(workers: 2)
        s.feed(.counts(Counts(ready: 2)))
        #expect(s.feed(.counts(Counts(ready: 0, ended: 2)), after: 1).isEmpty)
        #expect(s.feed(.exited(100, .exited(0))).isEmpty)
        #expect(s.feed(.exited(101, .exited(0))) == [.finish(.over)])
    }

    @Test func aWorkerThatDoesNotEndIsKilled() {
        var s = Simulation(workers: 1)
        s.feed(.counts(Counts(ready: 1)))
        s.feed(.counts(Counts(ready: 0, ended: 1)), after: 1)
        #expect(s.feed(.tick, after: 9).isEmpty)
        #expect(s.feed(.tick, after: 1) == [.signal(100, Signal.kill)])
        let end = s.feed(.exited(100, .signalled(Signal.kill)))
        #expect(end.last == .finish(.over))
    }

    @Test func waitingJobsKeepOneWorker() {
        var s = Simulation(workers: 4)
        s.feed(.counts(Counts(ready: 0, waiting: 3)))
        #expect(s.live.count == 1)
        s.feed(.counts(Counts(ready: 3)), after: 5)
        #expect(s.live.count == 3)
    }

    @Test func aDeadWorkerIsReportedAndReplaced() {
        var s = Simulation(workers: 1)
        s.feed(.counts(Counts(ready: 2)))
        let actions = s.feed(.exited(100, .signalled(11)))
        #expect(actions == [.reportDeath(100, cause: "SIGSEGV")])
        #expect(s.live.isEmpty)
        s.feed(.tick, after: 0.2)
        #expect(s.live == [101])
    }

    @Test func anExitCodeIsADeathToo() {
        var s = Simulation(workers: 1)
        s.feed(.counts(Counts(ready: 2)))
        #expect(
            s.feed(.exited(100, .exited(1))) == [.reportDeath(100, cause: "exit code 1")])
    }

    /// Workers that cannot start must not be started for ever, nor in a tight loop.
    @Test func workersThatOnlyDieEndTheRun() {
        var s = Simulation(workers: 2)
        s.feed(.counts(Counts(ready: 5)))
        var ending: DispatchMachine.Action?
        while ending == nil && s.now < 1_000 {
            for pid in s.live {
                let actions = s.feed(.exited(pid, .exited(2)))
                ending = ending ?? actions.first { if case .finish = $0 { true } else { false } }
            }
            s.feed(.tick, after: 0.05)
        }
        #expect(ending == .finish(.workersUnusable(cause: "exit code 2")))
        #expect(s.spawns <= s.machine.limits.fruitlessExits + 2)
        #expect(s.now > 5)
    }

    @Test func failingToSpawnEndsTheRun() {
        var machine = DispatchMachine(limits: .init(workers: 1, stallSeconds: 300))
        var now = 0.0
        var actions = machine.handle(.counts(Counts(ready: 1)), now: now)
        while now < 1_000, !actions.contains(.finish(.workersUnusable(cause: "EAGAIN"))) {
            for _ in actions.filter({ $0 == .spawn }) {
                actions = machine.handle(.spawnFailed("EAGAIN"), now: now)
            }
            if case .finish = actions.last { break }
            now += 1
            actions = machine.handle(.tick, now: now)
        }
        #expect(actions.last == .finish(.workersUnusable(cause: "EAGAIN")))
    }

    /// A deadly module costs its three workers and no more, whatever the other modules do.
    @Test func jobsThatEndResetTheBound() {
        var s = Simulation(workers: 1)
        var ended = 0
        for _ in 0..<100 {
            s.feed(.counts(Counts(ready: 1000 - ended, ended: ended)), after: 10)
            let pid = s.live.first ?? 0
            let actions = s.feed(.exited(pid, .signalled(11)))
            #expect(!actions.contains { if case .finish = $0 { true } else { false } })
            ended += 1
        }
    }

    @Test func workersThatFindNothingAreReplacedSlowly() {
        var s = Simulation(workers: 1)
        s.feed(.counts(Counts(ready: 1)))
        s.feed(.exited(100, .exited(0)))
        #expect(s.live.isEmpty)
        s.feed(.tick, after: 0.3)
        #expect(s.live == [101])
    }

    @Test(arguments: [Signal.terminate, Signal.interrupt])
    func stopPassesOnAndKillsInTheEnd(signal: Int32) {
        var s = Simulation(workers: 2)
        s.feed(.counts(Counts(ready: 5)))
        let told = s.feed(.stopRequested(signal: signal))
        #expect(told == [.signal(100, Signal.terminate), .signal(101, Signal.terminate)])
        #expect(s.feed(.exited(100, .exited(0)), after: 1).isEmpty)
        #expect(s.feed(.counts(Counts(ready: 5)), after: 1).isEmpty)
        #expect(s.live == [101], "nothing is spawned while stopping")
        #expect(s.feed(.tick, after: 7.9).isEmpty)
        #expect(s.feed(.tick, after: 0.2) == [.signal(101, Signal.kill)])
        let end = s.feed(.exited(101, .signalled(Signal.kill)))
        #expect(end.first == .reportDeath(101, cause: "did not stop within 10 s (SIGKILL)"))
        #expect(end.last == .finish(.stopped(signal: signal)))
    }

    @Test func aStopReachesAWorkerThatIsJustBeingSpawned() {
        var machine = DispatchMachine(limits: .init(workers: 1, stallSeconds: 300))
        #expect(machine.handle(.counts(Counts(ready: 1)), now: 0) == [.spawn])
        #expect(machine.handle(.stopRequested(signal: 15), now: 0).isEmpty)
        #expect(machine.handle(.spawned(7), now: 0) == [.signal(7, Signal.terminate)])
        #expect(
            machine.handle(.exited(7, .exited(0)), now: 1) == [.finish(.stopped(signal: 15))])
    }

    /// A stall after the first byte is a stall.
    ///
    /// zrepl's watchdog compared with a value that it never updated, so that from then on a stalled
    /// transfer always made progress. Here the counters have to move from look to look.
    @Test func aStalledWorkerIsKilledAfterItsFirstByte() {
        var s = Simulation(workers: 1, stall: 60)
        s.feed(.counts(Counts(ready: 1)))
        s.feed(.counts(Counts(ready: 0, leased: 1)))
        var progress = Progress(pid: 100, job: 1, stage: "check")
        s.feed(.progress([progress]), after: 1)
        progress.bytes = 1
        s.feed(.progress([progress]), after: 1)
        var killed: [Double] = []
        for _ in 0..<100 {
            let actions = s.feed(.progress([progress]), after: 1)
            if actions.contains(.signal(100, Signal.kill)) { killed.append(s.now) }
        }
        #expect(killed == [62], "once, a stall timeout after the last movement")
        #expect(
            s.feed(.exited(100, .signalled(Signal.kill)))
                == [.reportDeath(100, cause: "no progress for 60 s (SIGKILL)")])
    }

    @Test func aSlowWorkerIsNeverKilled() {
        var s = Simulation(workers: 1, stall: 60)
        s.feed(.counts(Counts(ready: 1)))
        s.feed(.counts(Counts(ready: 0, leased: 1)))
        for i in 0..<1_000 {
            let slow = Progress(pid: 100, job: 1, stage: "check", bytes: Int64(i / 50))
            #expect(s.feed(.progress([slow]), after: 1).isEmpty)
        }
    }

    @Test func aWorkerBetweenJobsIsNotStalled() {
        var s = Simulation(workers: 1, stall: 60)
        s.feed(.counts(Counts(ready: 1)))
        for job in 0..<10 {
            let progress = Progress(pid: 100, job: Int64(job))
            #expect(s.feed(.progress([progress]), after: 40).isEmpty)
            #expect(s.feed(.progress([]), after: 40).isEmpty)
        }
    }
}
