package import Platform

/// Where a run is: `running` until it ends in one of the others.
package enum RunState: String, Sendable, CaseIterable {
    case running, done, failed, cancelled
}

/// One execution of a pipeline over many modules.
package struct Run: Sendable, Equatable {
    /// `yyyyMMdd-HHmmss-xxxx` in UTC: sorts by time.
    package var id: String
    package var pipeline: String
    /// The pipeline as it was when the run began, as JSON text.
    package var definition: String
    package var state: RunState
    package var created: Timestamp
    package var finished: Timestamp?
    /// The exit code that `wait` returns; nil while the run goes on.
    package var exitCode: Int?
    /// The dispatcher, if one has claimed the run.
    package var owner: ProcessIdentity?
    /// Until when the claim holds for processes of other hosts.
    package var ownerUntil: Timestamp?
}

/// How many jobs of a run are in which state.
package struct RunOutlook: Sendable, Equatable {
    package var counts: [JobState: Int]
    /// The earliest time at which a queued job may be leased; nil when none is queued.
    package var nextReady: Timestamp?

    /// The number of jobs in `state`.
    package func count(_ state: JobState) -> Int { counts[state] ?? 0 }

    /// Whether every job has ended.
    package var isOver: Bool { count(.queued) == 0 && count(.leased) == 0 }
}

/// A line of the table's log.
package struct JobTableEvent: Sendable, Equatable {
    package var id: Int64
    package var time: Timestamp
    package var run: String?
    package var job: Int64?
    package var kind: String
    package var text: String
}
