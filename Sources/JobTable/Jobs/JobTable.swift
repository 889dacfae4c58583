package import Platform

/// The central table of runs, jobs and leases, shared by dispatchers, workers and readers of many
/// processes (and, with PostgreSQL, of many hosts).
///
/// Calls block: they belong on threads of their own, not on the cooperative pool. Every change is
/// one transaction. The conformance suite in the tests says what each implementation must do.
package protocol JobTable: Sendable {
    /// Puts a new run with its jobs into the table; with `owner` it is claimed in the same
    /// transaction.
    ///
    /// Throws `locked` while the pipeline has an unfinished run: that one is resumed or cancelled
    /// first, so two dispatchers can never start the same pipeline at once.
    func createRun(
        pipeline: String, definition: String, jobs: [NewJob], owner: ProcessIdentity?,
        for seconds: Int
    ) throws(Failure) -> Run

    /// The run of `pipeline` that has not ended, if there is one.
    func unfinishedRun(pipeline: String) throws(Failure) -> Run?

    /// Makes `owner` the only dispatcher of `run` for `seconds`; called again, it renews the claim.
    ///
    /// Throws `locked` while another live process holds it (on this host: its process lives; on
    /// another one: its time has not passed), `usage` for a run that has ended or does not exist.
    func claimRun(_ run: String, owner: ProcessIdentity, for seconds: Int) throws(Failure) -> Run

    /// Gives the claim up, so that another dispatcher can resume the run at once.
    func releaseRun(_ run: String, owner: ProcessIdentity) throws(Failure)

    /// Ends `run` as `done` or `failed` with the exit code that `wait` returns.
    ///
    /// A cancelled run stays cancelled. Throws `locked` when `owner` does not hold the run, `bug`
    /// while jobs of it are queued or leased.
    func finishRun(
        _ run: String, owner: ProcessIdentity, state: RunState, exitCode: Int
    ) throws(Failure) -> Run

    /// Cancels `run`: queued jobs end at once, leased ones at their worker's next renewal. A run
    /// that has ended stays as it is.
    func cancelRun(_ run: String) throws(Failure) -> Run

    /// The run of that id; nil when there is none.
    func run(_ id: String) throws(Failure) -> Run?

    /// The newest runs first, at most `limit`.
    func runs(limit: Int) throws(Failure) -> [Run]

    /// All jobs of a run, in the order in which they were created.
    func jobs(run: String) throws(Failure) -> [Job]

    /// How many jobs of a run are in which state, and when the next one may be leased.
    func outlook(run: String) throws(Failure) -> RunOutlook

    /// Leases the next job that is ready, of `run` or of any run; nil when none is ready now.
    ///
    /// The order is: fewest errors, then oldest run, then position. A module has at most one leased
    /// job at a time over all runs. Expired leases and leases of dead processes of this host are
    /// taken back first.
    func lease(run: String?, worker: ProcessIdentity, for seconds: Int) throws(Failure) -> Job?

    /// Extends the lease and notes progress; says whether the job is still the worker's.
    func renew(
        _ job: Int64, worker: ProcessIdentity, for seconds: Int, progress: JobProgress
    ) throws(Failure) -> LeaseStatus

    /// Ends the lease with what came of it, and returns the job as it is now; a failure may put it
    /// back into the queue, as `retry` says.
    ///
    /// Throws `locked` when the lease is not the worker's any more; nothing is changed then.
    func complete(
        _ job: Int64, worker: ProcessIdentity, progress: JobProgress, outcome: JobOutcome,
        retry: RetryPolicy
    ) throws(Failure) -> Job

    /// Takes back every lease of a worker that has died, with `cause` (its signal) for the reader;
    /// returns the jobs as they are now. A job whose worker died too often fails as `bug`.
    func workerDied(_ worker: ProcessIdentity, cause: String) throws(Failure) -> [Job]

    /// Adds a line to the log of events.
    func record(_ kind: String, run: String?, job: Int64?, text: String) throws(Failure)

    /// Events with an id above `after`, oldest first, at most `limit`.
    func events(after: Int64, limit: Int) throws(Failure) -> [JobTableEvent]
}
