package import Platform

/// What keep rules know of a snapshot.
package struct RetentionSnapshot: Sendable, Equatable {
    package var id: Digest
    package var time: Timestamp
    package var tags: [String]
    /// Whether every mirror has it.
    package var isMirrored: Bool

    package init(id: Digest, time: Timestamp, tags: [String] = [], isMirrored: Bool = false) {
        self.id = id
        self.time = time
        self.tags = tags
        self.isMirrored = isMirrored
    }

    /// Whether `self` comes before `other` where the newest are first; of the same time, the
    /// greater id is first, so that the order never depends on a listing's.
    func isNewer(than other: RetentionSnapshot) -> Bool {
        (time, id) > (other.time, other.id)
    }
}

/// What becomes of one snapshot.
package struct RetentionDecision: Sendable, Equatable {
    package var snapshot: RetentionSnapshot
    /// Why it stays, one reason for each rule that keeps it; none when it goes.
    package var reasons: [String]

    package init(snapshot: RetentionSnapshot, reasons: [String]) {
        self.snapshot = snapshot
        self.reasons = reasons
    }

    package var isKept: Bool { !reasons.isEmpty }
}
