package import Platform

/// What the dispatcher of a run decides: a pure value, events and the time in, actions out.
///
/// It spawns workers while jobs wait, slows down and gives up when workers die without getting
/// anything done, kills workers whose counters stand still, and stops all of them on request.
package struct DispatchMachine: Sendable {
    /// Limits of one run.
    package struct Limits: Sendable, Equatable {
        /// Workers at a time.
        package var workers: Int
        /// Seconds without progress after which a worker is killed.
        package var stallSeconds: Double
        /// Seconds that workers get between SIGTERM and SIGKILL.
        package var graceSeconds = 10.0

        package init(workers: Int, stallSeconds: Double) {
            self.workers = workers
            self.stallSeconds = stallSeconds
        }

        /// How many workers in a row may end without any job getting on.
        ///
        /// A job fails after three dead workers, so that with every worker on a deadly job some
        /// job ends within this many deaths: only workers that cannot work at all reach it.
        package var fruitlessExits: Int { 3 * workers + 3 }
    }

    /// How many jobs are where.
    package struct Counts: Sendable, Equatable {
        /// Jobs that may be leased now.
        package var ready: Int
        /// Jobs that wait for their next try.
        package var waiting: Int
        package var leased: Int
        package var ended: Int

        package init(ready: Int, waiting: Int = 0, leased: Int = 0, ended: Int = 0) {
            self.ready = ready
            self.waiting = waiting
            self.leased = leased
            self.ended = ended
        }
    }

    /// The counters of the job that a worker has leased.
    package struct Progress: Sendable, Equatable {
        package var pid: Int32
        package var job: Int64
        package var attempts: Int
        package var stage: String?
        package var units: Int64
        package var bytes: Int64

        package init(
            pid: Int32, job: Int64, attempts: Int = 1, stage: String? = nil, units: Int64 = 0,
            bytes: Int64 = 0
        ) {
            self.pid = pid
            self.job = job
            self.attempts = attempts
            self.stage = stage
            self.units = units
            self.bytes = bytes
        }
    }

    /// What happened.
    package enum Event: Sendable {
        case spawned(Int32)
        case spawnFailed(String)
        case exited(Int32, ExitStatus)
        case counts(Counts)
        /// The counters of all leased jobs of this dispatcher's workers.
        case progress([Progress])
        case stopRequested(signal: Int32)
        case tick
    }

    /// What is to be done.
    package enum Action: Sendable, Equatable {
        case spawn
        case signal(Int32, Int32)
        /// The worker died: its lease is to be taken back, with this cause.
        case reportDeath(Int32, cause: String)
        case finish(Ending)
    }

    /// How a run's dispatching ends.
    package enum Ending: Sendable, Equatable {
        /// Every job has ended.
        case over
        /// A signal asked for it; the run can be resumed.
        case stopped(signal: Int32)
        /// Workers end without working.
        case workersUnusable(cause: String)
    }

    private struct Worker {
        var progress: Progress?
        var movedAt: Double
        /// Why it was killed, if it was.
        var killedFor: String?
    }

    private enum Phase: Equatable {
        case running
        case stopping(Ending, killAt: Double)
        case finished
    }

    package let limits: Limits
    private var phase = Phase.running
    private var workers: [Int32: Worker] = [:]
    private var counts: Counts?
    private var pendingSpawns = 0
    private var fruitless = 0
    private var spawnNotBefore = 0.0

    /// A machine for a run that has not begun.
    package init(limits: Limits) { self.limits = limits }

    /// The pids of the workers that live.
    package var livePIDs: [Int32] { workers.keys.sorted() }

    /// What to do about `event` at `now`, in seconds of a clock that never jumps.
    package mutating func handle(_ event: Event, now: Double) -> [Action] {
        guard phase != .finished else { return [] }
        var actions: [Action] = []
        switch event {
        case .spawned(let pid):
            pendingSpawns -= 1
            workers[pid] = Worker(progress: nil, movedAt: now, killedFor: nil)
            // A stop that came in between reaches the new worker too.
            if case .stopping = phase { actions.append(.signal(pid, Signal.terminate)) }
        case .spawnFailed(let cause):
            pendingSpawns -= 1
            actions += noteFruitless(cause, now)
        case .exited(let pid, let status):
            actions += exited(pid, status, now)
        case .counts(let new):
            if let old = counts, new.ended > old.ended { fruitless = 0 }
            counts = new
        case .progress(let list):
            actions += noteProgress(list, now)
        case .stopRequested(let signal):
            actions += stop(.stopped(signal: signal), now)
        case .tick:
            break
        }
        return actions + decide(now)
    }

    private mutating func exited(_ pid: Int32, _ status: ExitStatus, _ now: Double) -> [Action] {
        guard let worker = workers.removeValue(forKey: pid) else { return [] }
        guard status != .exited(0) else {
            // It saw nothing left to lease; what is there came back since. A worker that only
            // ever thinks so must not be started for ever.
            return noteFruitless("\(status)", now)
        }
        let cause = worker.killedFor.map { "\($0) (\(status))" } ?? "\(status)"
        return [.reportDeath(pid, cause: cause)] + noteFruitless(cause, now)
    }

    /// Each end in a row doubles the wait before the next spawn: 0.1 s, 0.2 s … 5 s.
    private mutating func noteFruitless(_ cause: String, _ now: Double) -> [Action] {
        guard phase == .running else { return [] }
        fruitless += 1
        spawnNotBefore = now + min(5, 0.05 * Double(1 << min(fruitless, 10)))
        guard fruitless >= limits.fruitlessExits else { return [] }
        return stop(.workersUnusable(cause: cause), now)
    }

    private mutating func noteProgress(_ list: [Progress], _ now: Double) -> [Action] {
        var actions: [Action] = []
        for progress in list {
            guard var worker = workers[progress.pid] else { continue }
            if worker.progress != progress {
                if worker.progress?.job == progress.job { fruitless = 0 }
                worker.progress = progress
                worker.movedAt = now
            } else if worker.killedFor == nil, now - worker.movedAt >= limits.stallSeconds {
                worker.killedFor = "no progress for \(Int(limits.stallSeconds)) s"
                actions.append(.signal(progress.pid, Signal.kill))
            }
            workers[progress.pid] = worker
        }
        // A worker between two jobs is not stuck in the one before.
        let busy = Set(list.map(\.pid))
        for pid in workers.keys where !busy.contains(pid) { workers[pid]?.progress = nil }
        return actions
    }

    private mutating func stop(_ ending: Ending, _ now: Double) -> [Action] {
        guard phase == .running else { return [] }
        phase = .stopping(ending, killAt: now + limits.graceSeconds)
        return livePIDs.map { .signal($0, Signal.terminate) }
    }

    private mutating func decide(_ now: Double) -> [Action] {
        switch phase {
        case .finished: return []
        case .stopping(let ending, let killAt):
            if workers.isEmpty && pendingSpawns == 0 {
                phase = .finished
                return [.finish(ending)]
            }
            guard now >= killAt else { return [] }
            phase = .stopping(ending, killAt: now + limits.graceSeconds)
            return livePIDs.map { pid in
                workers[pid]?.killedFor = "did not stop within \(Int(limits.graceSeconds)) s"
                return .signal(pid, Signal.kill)
            }
        case .running:
            guard let counts else { return [] }
            if counts.ready + counts.waiting + counts.leased == 0 {
                // Idle workers end by themselves; one that does not is stopped like the others.
                phase = .stopping(.over, killAt: now + limits.graceSeconds)
                return decide(now)
            }
            return spawns(counts, now)
        }
    }

    private mutating func spawns(_ counts: Counts, _ now: Double) -> [Action] {
        guard now >= spawnNotBefore else { return [] }
        let live = workers.count + pendingSpawns
        let idle = max(0, live - counts.leased)
        // One worker waits for jobs that wait, so that they begin on time.
        let wanted = max(counts.ready, live == 0 ? min(1, counts.waiting) : 0)
        let missing = min(limits.workers - live, wanted - idle)
        guard missing > 0 else { return [] }
        pendingSpawns += missing
        return Array(repeating: .spawn, count: missing)
    }
}
