package import JobTable
package import Platform
internal import Synchronization

/// Does all stages of one job.
///
/// The dispatcher knows stages by this protocol only.
package protocol JobRunner: Sendable {
    /// Runs the stages of `pipeline` that `job` still lacks over `module`.
    ///
    /// Blocks. It calls `control.check()` between batches and lets what that throws pass, after
    /// which the job counts as given back (or as lost); `control.progress` is kept moving, or the
    /// watchdog takes the worker for stuck. A thrown `Failure` fails the job by its class.
    func run(
        job: Job, pipeline: PipelineDefinition, module: ModuleDefinition, control: JobControl
    ) throws -> JobOutcome
}

/// What a running job reports and hears: its counters, and whether it has to stop.
package final class JobControl: Sendable {
    /// Why a job has to stop.
    package enum Stop: Sendable, Equatable {
        /// The process was asked to stop: the job is given back.
        case requested
        /// The lease is another worker's: nothing may be committed any more.
        case leaseLost
        /// The run was cancelled.
        case runCancelled
    }

    package let progress = ProgressCounter()
    private let told = Mutex<Stop?>(nil)
    private let stopRequested: @Sendable () -> Bool

    /// A control that also stops once `stopRequested` says so.
    package init(stopRequested: @escaping @Sendable () -> Bool = { Interruption.requested != nil })
    {
        self.stopRequested = stopRequested
    }

    /// Why the job has to stop, if it has to.
    package var stop: Stop? { told.withLock { $0 } ?? (stopRequested() ? .requested : nil) }

    /// Throws `cancelled` once the job has to stop.
    ///
    /// Called before each commit.
    package func check() throws(Failure) {
        switch stop {
        case nil: return
        case .requested: throw Failure(.cancelled, "the worker was asked to stop")
        case .leaseLost: throw Failure(.cancelled, "the job went to another worker")
        case .runCancelled: throw Failure(.cancelled, "the run was cancelled")
        }
    }

    /// Tells the job to stop; the first reason stays, but a lost lease outdoes the others.
    func tell(_ stop: Stop) {
        told.withLock { if $0 == nil || stop == .leaseLost { $0 = stop } }
    }
}
