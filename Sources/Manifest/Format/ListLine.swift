/// One line of a list.
package enum ListLine: Sendable, Equatable {
    case unit(Unit)
    case overlay(Overlay)
    /// The last line of every whole list.
    case stats(Stats)
}

/// What a stage adds to a run of consecutive units of the list before, where all get the same.
package struct Overlay: Sendable, Equatable {
    /// The sequence number of the first unit in the list before.
    package var seq: UInt64
    /// How many units the results are for; at least 1.
    package var count: UInt64
    package var check: CheckResult?
    package var repair: RepairResult?

    package init(
        seq: UInt64, count: UInt64 = 1, check: CheckResult? = nil, repair: RepairResult? = nil
    ) {
        self.seq = seq
        self.count = count
        self.check = check
        self.repair = repair
    }
}
