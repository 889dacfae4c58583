package import Platform

/// Where a job is; `done`, `partly`, `failed` and `cancelled` are ends.
package enum JobState: String, Sendable, CaseIterable {
    case queued, leased, done, partly, failed, cancelled

    /// Whether the job never changes again.
    package var isEnd: Bool { self != .queued && self != .leased }
}

/// A job to be created: all stages for one module.
package struct NewJob: Sendable, Equatable {
    package var module: String
    package var stages: [String]
    /// What the worker needs to know; opaque to the table.
    package var payload: [UInt8]

    package init(module: String, stages: [String], payload: [UInt8] = []) {
        self.module = module
        self.stages = stages
        self.payload = payload
    }
}

/// Whose a job is, and until when.
package struct Lease: Sendable, Equatable {
    package var worker: ProcessIdentity
    package var until: Timestamp

    package init(worker: ProcessIdentity, until: Timestamp) {
        self.worker = worker
        self.until = until
    }
}

/// The most recent error of a job, and its class.
package struct JobError: Sendable, Equatable {
    package var kind: FailureClass
    package var text: String

    package init(kind: FailureClass, text: String) {
        self.kind = kind
        self.text = text
    }
}

/// What a worker has done of a job so far.
package struct JobProgress: Sendable, Equatable {
    package var stage: String?
    package var units: Int64
    package var bytes: Int64
    /// How many units the stage will have, once known.
    package var unitsTotal: Int64?

    package init(
        stage: String? = nil, units: Int64 = 0, bytes: Int64 = 0, unitsTotal: Int64? = nil
    ) {
        self.stage = stage
        self.units = units
        self.bytes = bytes
        self.unitsTotal = unitsTotal
    }
}

/// All stages for one module in one run.
package struct Job: Sendable, Equatable {
    package var id: Int64
    package var run: String
    /// Its place among the run's jobs, from 0.
    package var position: Int
    package var module: String
    package var stages: [String]
    package var payload: [UInt8]
    /// What the state machine decides about.
    package var status: JobStatus
    package var progress: JobProgress
    /// When the counters of `progress` last moved; the watchdog reads it.
    package var progressed: Timestamp?
    /// What the worker reported at the end, as JSON text.
    package var result: String?

    package var state: JobState { status.state }
}

/// What a worker reports at the end of a lease.
package enum JobOutcome: Sendable, Equatable {
    /// All is well; `result` is JSON text.
    case done(result: String?)
    /// The work is finished, but units failed or are unhealthy.
    case partly(result: String?)
    /// The work stopped; the failure's class decides what comes next.
    case failed(Failure)
    /// The worker was asked to stop and gives the job back with its checkpoint.
    case released
}

/// What a renewal says about a lease.
package enum LeaseStatus: Sendable, Equatable {
    /// Go on.
    case held
    /// The job went to another worker: stop, commit nothing.
    case lost
    /// The run was cancelled: stop and complete as `released`.
    case cancelled
}
