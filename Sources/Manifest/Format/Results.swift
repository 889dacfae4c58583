package import Platform

/// What check found out about one unit.
package struct CheckResult: Sendable, Equatable {
    /// How the unit stands against the last snapshot.
    package enum State: String, Sendable, CaseIterable {
        case intact, new, changed, removed, rotted, unreadable
    }

    package var state: State
    /// Whether nothing needs to be done.
    package var healthy: Bool
    /// Whether the last snapshot's content can be had back from somewhere.
    package var recoverable: Bool
    /// Whether the content was read and hashed, not only its metadata compared.
    package var verified: Bool
    /// Copies in the store and its mirrors: how many there should be.
    package var copiesExpected: Int
    package var copiesGood: Int
    package var copiesCorrupt: Int
    /// What is wrong, for people.
    package var problems: [String]

    package init(
        state: State, healthy: Bool, recoverable: Bool, verified: Bool, copiesExpected: Int = 0,
        copiesGood: Int = 0, copiesCorrupt: Int = 0, problems: [String] = []
    ) {
        self.state = state
        self.healthy = healthy
        self.recoverable = recoverable
        self.verified = verified
        self.copiesExpected = copiesExpected
        self.copiesGood = copiesGood
        self.copiesCorrupt = copiesCorrupt
        self.problems = problems
    }
}

/// What repair did about one unit.
package struct RepairResult: Sendable, Equatable {
    /// What was done.
    package enum Action: String, Sendable, CaseIterable {
        case none, restored, requeued, quarantined
    }

    package var attempted: Bool
    package var successful: Bool
    package var action: Action
    /// The check that asked for the repair.
    package var before: CheckResult
    /// A new check after the repair, never derived from `before`.
    package var after: CheckResult
    /// Why the repair failed, if it did.
    package var error: String?

    package init(
        attempted: Bool, successful: Bool, action: Action, before: CheckResult,
        after: CheckResult, error: String? = nil
    ) {
        self.attempted = attempted
        self.successful = successful
        self.action = action
        self.before = before
        self.after = after
        self.error = error
    }
}

/// What dehydrate stored for one unit.
package struct ContentResult: Sendable, Equatable {
    /// The blobs that make the content, in order.
    package var ids: [Digest]
    /// Bytes that the content takes in the store, whoever stored it.
    package var storedBytes: UInt64
    /// Bytes that this unit added to the store.
    package var newBytes: UInt64
    /// What the reader should know: `changed while read`.
    package var problems: [String]

    package init(
        ids: [Digest], storedBytes: UInt64 = 0, newBytes: UInt64 = 0, problems: [String] = []
    ) {
        self.ids = ids
        self.storedBytes = storedBytes
        self.newBytes = newBytes
        self.problems = problems
    }
}
