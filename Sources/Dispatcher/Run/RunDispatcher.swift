package import JobTable
package import Platform

/// Dispatches one run: does what `DispatchMachine` decides with real processes and the job table.
///
/// Belongs on the main thread of its process: workers are told when the thread that started them
/// dies.
package struct RunDispatcher {
    /// How to start a worker for a run.
    package struct WorkerCommand: Sendable {
        package var program: String
        package var arguments: @Sendable (_ run: String) -> [String]

        package init(program: String, arguments: @escaping @Sendable (_ run: String) -> [String]) {
            self.program = program
            self.arguments = arguments
        }
    }

    /// How often things are looked at, in seconds.
    package struct Timing: Sendable {
        /// The claim on the run, which counts for dispatchers of other hosts.
        package var claim = 60
        /// The longest wait for the end of a worker.
        package var poll = 0.2
        /// Between two readings of all jobs.
        package var progress = 1.0

        package init() {}
    }

    private let table: any JobTable
    private let command: WorkerCommand
    private let owner: ProcessIdentity
    private let timing: Timing
    private let stopRequested: () -> Int32?
    private let observe: (RunUpdate) -> Void

    /// A dispatcher; `observe` is called on the thread of `run`.
    package init(
        table: any JobTable, command: WorkerCommand, owner: ProcessIdentity = .current,
        timing: Timing = Timing(),
        stopRequested: @escaping () -> Int32? = { Interruption.requested },
        observe: @escaping (RunUpdate) -> Void
    ) {
        self.table = table
        self.command = command
        self.owner = owner
        self.timing = timing
        self.stopRequested = stopRequested
        self.observe = observe
    }

    /// Creates or resumes the run and works until it has ended or was stopped.
    ///
    /// - Parameter workers: how many; nil: as the pipeline says, else `fallbackWorkers`.
    package func run(
        _ request: RunRequest, workers: Int?, fallbackWorkers: Int
    ) throws(Failure) -> RunReport {
        let plan = try RunPlan.make(
            request, table: table, owner: owner, claimSeconds: timing.claim)
        observe(.began(plan, jobs: try table.jobs(run: plan.run.id)))
        for notice in plan.notices { observe(.notice(notice)) }
        let limits = DispatchMachine.Limits(
            workers: workers ?? plan.pipeline.workers ?? fallbackWorkers,
            stallSeconds: Double(plan.pipeline.stallTimeout))
        var loop = DispatchLoop(
            table: table, run: plan.run.id, command: command, owner: owner, timing: timing,
            machine: DispatchMachine(limits: limits), observe: observe)
        do throws(Failure) {
            let ending = try loop.work(stopRequested: stopRequested)
            return try close(plan.run.id, ending)
        } catch {
            // No worker is left to a dispatcher that cannot go on; each gives its job back.
            loop.abandon()
            throw error
        }
    }

    private func close(
        _ id: String, _ ending: DispatchMachine.Ending
    ) throws(Failure) -> RunReport {
        let jobs = try table.jobs(run: id)
        observe(.progress(jobs))
        switch ending {
        case .stopped(let signal):
            try table.releaseRun(id, owner: owner)
            let code = signal == Signal.interrupt ? 130 : 0
            return try report(id, jobs, ending, code)
        case .workersUnusable:
            try table.releaseRun(id, owner: owner)
            return try report(id, jobs, ending, 1)
        case .over:
            let current = try report(id, jobs, ending, 130)
            // Cancelled meanwhile: it has ended already, with its own code.
            guard current.run.state == .running else {
                return RunReport(
                    run: current.run, jobs: jobs, ending: ending,
                    exitCode: current.run.exitCode ?? 130)
            }
            let code = RunDispatcher.exitCode(jobs)
            let failed = jobs.contains { $0.state == .failed }
            let run = try table.finishRun(
                id, owner: owner, state: failed ? .failed : .done, exitCode: code)
            return RunReport(
                run: run, jobs: jobs, ending: ending, exitCode: run.exitCode ?? code)
        }
    }

    private func report(
        _ id: String, _ jobs: [Job], _ ending: DispatchMachine.Ending, _ code: Int
    ) throws(Failure) -> RunReport {
        guard let run = try table.run(id) else {
            throw Failure(.bug, "run \(id) has vanished from the job table")
        }
        return RunReport(run: run, jobs: jobs, ending: ending, exitCode: code)
    }

    /// The exit code that the ends of all jobs add up to: 0 when all are well, else 3.
    package static func exitCode(_ jobs: [Job]) -> Int {
        jobs.allSatisfy { $0.state == .done } ? 0 : 3
    }
}
