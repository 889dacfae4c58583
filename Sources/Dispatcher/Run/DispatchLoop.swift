internal import JobTable
internal import Platform

/// The shell around `DispatchMachine`: child processes, the job table and the clock.
struct DispatchLoop {
    private let table: any JobTable
    private let run: String
    private let command: RunDispatcher.WorkerCommand
    private let owner: ProcessIdentity
    private let timing: RunDispatcher.Timing
    private let observe: (RunUpdate) -> Void
    private var machine: DispatchMachine
    private var workers: [Int32: Worker] = [:]
    /// Workers that were collected and whose deaths are being dealt with.
    private var dead: [Int32: ProcessIdentity] = [:]
    private var lastCounts: DispatchMachine.Counts?
    private var looked = -Double.infinity
    private var lookCost = 0.0
    private var ending: DispatchMachine.Ending?
    private var stopping = false

    private final class Worker {
        let process: ChildProcess
        let identity: ProcessIdentity

        init(_ process: consuming ChildProcess, _ identity: ProcessIdentity) {
            self.process = process
            self.identity = identity
        }
    }

    init(
        table: any JobTable, run: String, command: RunDispatcher.WorkerCommand,
        owner: ProcessIdentity, timing: RunDispatcher.Timing, machine: DispatchMachine,
        observe: @escaping (RunUpdate) -> Void
    ) {
        self.table = table
        self.run = run
        self.command = command
        self.owner = owner
        self.timing = timing
        self.machine = machine
        self.observe = observe
    }

    /// Works until the machine says how it ends.
    mutating func work(stopRequested: () -> Int32?) throws(Failure) -> DispatchMachine.Ending {
        var claimed = monotonicSeconds()
        while true {
            if let signal = stopRequested(), !stopping {
                stopping = true
                observe(.stopping)
                try feed(.stopRequested(signal: signal))
            }
            let someEnded = try reap()
            if monotonicSeconds() - claimed > Double(timing.claim) / 4 {
                claimed = monotonicSeconds()
                try renewClaim()
            }
            let counts = try counts()
            try feed(.counts(counts))
            if isTimeToLook(changed: someEnded || counts != lastCounts) {
                try readJobs()
                lastCounts = counts
            }
            try feed(.tick)
            if let ending { return ending }
            ChildProcess.wait(
                any: workers.values.map { $0.process.handle },
                milliseconds: Int32(timing.poll * 1000))
        }
    }

    /// Whether all jobs are to be read again: at once after a change, else once a while, but with
    /// many thousand jobs never so often that it takes more than a tenth of the time.
    private func isTimeToLook(changed: Bool) -> Bool {
        let since = monotonicSeconds() - looked
        return since >= max(changed ? 0 : timing.progress, 10 * lookCost)
    }

    /// Asks all workers to stop, without waiting: they end after their batch.
    func abandon() {
        for worker in workers.values { worker.process.signal(Signal.terminate) }
    }

    private mutating func feed(_ event: DispatchMachine.Event) throws(Failure) {
        for action in machine.handle(event, now: monotonicSeconds()) {
            switch action {
            case .spawn: try spawn()
            case .signal(let pid, let signal): workers[pid]?.process.signal(signal)
            case .reportDeath(let pid, let cause): try report(pid, cause)
            case .finish(let ending): self.ending = ending
            }
        }
    }

    private mutating func spawn() throws(Failure) {
        let process: ChildProcess
        do {
            process = try ChildProcess(command.program, command.arguments(run))
        } catch {
            observe(.notice("cannot start a worker: \(error)"))
            try feed(.spawnFailed(error.description))
            return
        }
        let pid = process.pid
        let identity = ProcessIdentity(pid: pid)
        workers[pid] = Worker(process, identity)
        try feed(.spawned(pid))
    }

    /// Collects the workers that have ended; whether there were some.
    private mutating func reap() throws(Failure) -> Bool {
        var ended: [(Worker, ExitStatus)] = []
        for worker in workers.values {
            do {
                if let status = try worker.process.poll() { ended.append((worker, status)) }
            } catch {
                throw Failure(
                    .bug, "cannot wait for worker \(worker.process.pid)", cause: "\(error)")
            }
        }
        for (worker, status) in ended {
            let pid = worker.process.pid
            workers[pid] = nil
            dead[pid] = worker.identity
            try feed(.exited(pid, status))
            dead[pid] = nil
        }
        return !ended.isEmpty
    }

    private func report(_ pid: Int32, _ cause: String) throws(Failure) {
        guard let identity = dead[pid] else { return }
        let jobs = try table.workerDied(identity, cause: "worker ended by \(cause)")
        let names = jobs.map { $0.state.isEnd ? "\($0.module) (\($0.state))" : $0.module }
        observe(
            .notice(
                "worker \(pid) ended by \(cause)"
                    + (names.isEmpty ? "" : " on \(names.joined(separator: ", "))")))
    }

    private func renewClaim() throws(Failure) {
        do throws(Failure) {
            _ = try table.claimRun(run, owner: owner, for: timing.claim)
        } catch {
            // A run that was cancelled has ended: its workers stop by themselves.
            guard error.kind == .usage else { throw error }
        }
    }

    private func counts() throws(Failure) -> DispatchMachine.Counts {
        let outlook = try table.outlook(run: run)
        let queued = outlook.count(.queued)
        // One time is known for all queued jobs: the earliest. If that has come, workers find out.
        let isReady = outlook.nextReady.map { $0 <= SystemClock().now() } ?? false
        let ended = JobState.allCases.filter(\.isEnd).reduce(0) { $0 + outlook.count($1) }
        return DispatchMachine.Counts(
            ready: isReady ? queued : 0, waiting: isReady ? 0 : queued,
            leased: outlook.count(.leased), ended: ended)
    }

    private mutating func readJobs() throws(Failure) {
        let start = monotonicSeconds()
        let jobs = try table.jobs(run: run)
        observe(.progress(jobs))
        looked = monotonicSeconds()
        lookCost = looked - start
        var list: [DispatchMachine.Progress] = []
        for job in jobs where job.state == .leased {
            guard let holder = job.status.lease?.worker else { continue }
            guard let worker = workers[holder.pid], worker.identity == holder else {
                // A worker of a dispatcher that died with it: nobody else reports it, and while
                // its job counts as leased no worker is started that would take it back.
                if holder.isAlive == false {
                    _ = try table.workerDied(holder, cause: "process \(holder.pid) is gone")
                }
                continue
            }
            list.append(
                DispatchMachine.Progress(
                    pid: holder.pid, job: job.id, attempts: job.status.attempts,
                    stage: job.progress.stage, units: job.progress.units,
                    bytes: job.progress.bytes))
        }
        try feed(.progress(list))
    }
}
