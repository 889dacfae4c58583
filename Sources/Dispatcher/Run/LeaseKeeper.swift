internal import JobTable
internal import Platform

/// Renews a job's lease on a thread of its own while the job runs, and tells it when it has to
/// stop.
final class LeaseKeeper: Sendable {
    private let ended = Monitor(false)
    private let thread: DedicatedThread

    /// Starts renewing; `end` must be called.
    init(
        table: any JobTable, job: Int64, worker: ProcessIdentity, control: JobControl,
        timing: WorkerLoop.Timing
    ) {
        let ended = ended
        thread = DedicatedThread(name: "lease-\(job)") {
            var renewed = monotonicSeconds()
            while true {
                let isOver = ended.wait(seconds: timing.renewal) { $0 ? true : nil }
                if isOver == true { return }
                do throws(Failure) {
                    let status = try table.renew(
                        job, worker: worker, for: timing.lease,
                        progress: control.progress.snapshot)
                    renewed = monotonicSeconds()
                    switch status {
                    case .held: break
                    case .cancelled: control.tell(.runCancelled)
                    case .lost:
                        control.tell(.leaseLost)
                        return
                    }
                } catch {
                    // A table that does not answer is asked again, until the lease may have run
                    // out: from then on another worker may have the job.
                    guard monotonicSeconds() - renewed >= Double(timing.lease) else { continue }
                    control.tell(.leaseLost)
                    return
                }
            }
        }
    }

    /// Stops renewing, and returns when no call is under way.
    func end() {
        ended.with { $0 = true }
        thread.join()
    }
}
