package import JobTable

/// What a run tells while it goes on; the command line shows it.
package enum RunUpdate: Sendable {
    /// The run was created or resumed, with its jobs as they are.
    case began(RunPlan, jobs: [Job])
    /// Something to tell once: a worker died, a job is tried again.
    case notice(String)
    /// The jobs now; sent about once a second and whenever a worker ends.
    case progress([Job])
    /// A signal asked for a stop; workers finish their batches.
    case stopping
}

/// How a run's dispatching ended.
package struct RunReport: Sendable {
    package var run: Run
    package var jobs: [Job]
    package var ending: DispatchMachine.Ending
    /// The exit code of the dispatcher: 0, 1, 3 or 130.
    package var exitCode: Int
}
