package import Platform

/// The part of a job that its state machine decides about.
package struct JobStatus: Sendable, Equatable {
    package var state: JobState = .queued
    /// How often the job was leased, without leases that were given back on request.
    package var attempts = 0
    /// How many of its workers died or lost their lease.
    package var deaths = 0
    /// Failures so far; moves the job behind those with fewer.
    package var errorCount = 0
    /// A queued job is not leased before this time.
    package var notBefore: Timestamp
    package var lease: Lease?
    /// Whether the worker is to be told to stop.
    package var cancelRequested = false
    package var error: JobError?
    /// The first lease since a worker last gave the job back or was lost: time in which nobody
    /// tried is not time of trying.
    package var started: Timestamp?
    package var finished: Timestamp?

    package init(notBefore: Timestamp) { self.notBefore = notBefore }
}

/// What can happen to a job.
package enum JobEvent: Sendable, Equatable {
    case leased(Lease)
    case renewed(until: Timestamp)
    case succeeded
    case endedPartly
    case failed(Failure)
    case released
    /// The worker died, or its lease ran out; the text says which.
    case workerLost(cause: String)
    case cancelRequested

    /// The event's name in the picture of `docs/formats/job-table.md`.
    package var name: String {
        switch self {
        case .leased: "lease"
        case .renewed: "renew"
        case .succeeded: "succeed"
        case .endedPartly: "end partly"
        case .failed: "fail"
        case .released: "release"
        case .workerLost: "lose worker"
        case .cancelRequested: "cancel"
        }
    }
}

/// What the table does besides storing the new status.
package enum JobAction: Sendable, Equatable {
    /// Write a line into the event log.
    case log(kind: String, text: String)
}

/// The life of a job as a pure value: status and event in, status and actions out.
package struct JobStateMachine: Sendable {
    package var policy: RetryPolicy

    package init(policy: RetryPolicy = RetryPolicy()) { self.policy = policy }

    /// What `event` makes of `status` at `now`; nil where the event is not possible in that state.
    ///
    /// `random`, from 0 to below 1, is the jitter of a retry.
    package func after(
        _ event: JobEvent, _ status: JobStatus, now: Timestamp, random: Double
    ) -> (status: JobStatus, actions: [JobAction])? {
        switch status.state {
        case .queued: afterQueued(event, status, now: now)
        case .leased: afterLeased(event, status, now: now, random: random)
        case .done, .partly, .failed, .cancelled: nil
        }
    }

    private func afterQueued(
        _ event: JobEvent, _ status: JobStatus, now: Timestamp
    ) -> (JobStatus, [JobAction])? {
        var next = status
        switch event {
        case .leased(let lease):
            next.state = .leased
            next.lease = lease
            next.attempts += 1
            next.started = status.started ?? now
            return (next, [.log(kind: "leased", text: "\(lease.worker)")])
        case .cancelRequested:
            end(&next, .cancelled, now)
            return (next, [.log(kind: "cancelled", text: "before it began")])
        case .renewed, .succeeded, .endedPartly, .failed, .released, .workerLost:
            return nil
        }
    }

    private func afterLeased(
        _ event: JobEvent, _ status: JobStatus, now: Timestamp, random: Double
    ) -> (JobStatus, [JobAction])? {
        var next = status
        switch event {
        case .renewed(let until):
            next.lease?.until = until
            return (next, [])
        case .succeeded:
            end(&next, .done, now)
            next.error = nil
            return (next, [.log(kind: "done", text: "")])
        case .endedPartly:
            end(&next, .partly, now)
            return (next, [.log(kind: "partly", text: "")])
        case .failed(let failure):
            return failed(next, failure, now: now, random: random)
        case .released:
            return released(next, now)
        case .workerLost(let cause):
            return workerLost(next, cause, now: now)
        case .cancelRequested:
            next.cancelRequested = true
            return (next, [.log(kind: "cancelling", text: "")])
        case .leased:
            return nil
        }
    }

    private func failed(
        _ status: JobStatus, _ failure: Failure, now: Timestamp, random: Double
    ) -> (JobStatus, [JobAction]) {
        var next = status
        let elapsed = status.started.map { seconds(from: $0, to: now) } ?? 0
        let decision = policy.decide(
            failure.kind, attempts: max(1, status.attempts - status.deaths), elapsed: elapsed,
            random: random)
        let action: JobAction
        switch decision {
        case .giveBack:
            return released(next, now)
        case .retry(let seconds):
            let cancelled = giveBack(&next, now, at: later(now, by: seconds))
            action = cancelled ?? .log(kind: "retry", text: failure.description)
        case .fail:
            end(&next, .failed, now)
            action = .log(kind: "failed", text: failure.description)
        }
        next.errorCount += 1
        next.error = JobError(kind: failure.kind, text: failure.description)
        return (next, [action])
    }

    private func released(
        _ status: JobStatus, _ now: Timestamp
    ) -> (JobStatus, [JobAction]) {
        var next = status
        next.attempts -= 1
        let action = giveBack(&next, now, at: now)
        if action == nil { next.started = nil }
        return (next, [action ?? .log(kind: "released", text: "")])
    }

    private func workerLost(
        _ status: JobStatus, _ cause: String, now: Timestamp
    ) -> (JobStatus, [JobAction]) {
        var next = status
        next.deaths += 1
        guard next.deaths >= policy.maximumDeaths else {
            let action = giveBack(&next, now, at: now)
            if action == nil { next.started = nil }
            return (next, [action ?? .log(kind: "worker lost", text: cause)])
        }
        if next.cancelRequested {
            end(&next, .cancelled, now)
            return (next, [.log(kind: "cancelled", text: cause)])
        }
        next.errorCount += 1
        let failure = Failure(
            .bug, "\(next.deaths) workers were lost on this module", cause: cause,
            hint: "Its data may crash the worker; look at the log of the last one")
        next.error = JobError(kind: failure.kind, text: failure.description)
        end(&next, .failed, now)
        return (next, [.log(kind: "failed", text: failure.description)])
    }

    /// Back into the queue, or to the end if the run was cancelled meanwhile.
    private func giveBack(_ status: inout JobStatus, _ now: Timestamp, at: Timestamp) -> JobAction?
    {
        if status.cancelRequested {
            end(&status, .cancelled, now)
            return .log(kind: "cancelled", text: "")
        }
        status.state = .queued
        status.lease = nil
        status.notBefore = at
        return nil
    }

    private func end(_ status: inout JobStatus, _ state: JobState, _ now: Timestamp) {
        status.state = state
        status.lease = nil
        status.finished = now
    }
}

/// `time` plus some seconds.
func later(_ time: Timestamp, by seconds: Double) -> Timestamp {
    Timestamp(nanosecondsSinceEpoch: time.nanosecondsSinceEpoch + Int128(seconds * 1e9))
}

/// Seconds between two times.
func seconds(from a: Timestamp, to b: Timestamp) -> Double {
    Double(b.nanosecondsSinceEpoch - a.nanosecondsSinceEpoch) / 1e9
}
