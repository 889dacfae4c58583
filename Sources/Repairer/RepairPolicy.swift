/// What a repair may do.
package struct RepairPolicy: Sendable, Equatable {
    /// A bound on the number of repairs, beyond which damage looks like a disaster, not like rot.
    package enum Limit: Sendable, Equatable {
        case count(UInt64)
        /// Percent of the units checked, 0 to 100.
        case percent(Double)

        /// The most repairs that are allowed among `units` units.
        ///
        /// A share allows at least one, so that a small module can be repaired at all; 0 % none.
        package func allowed(of units: UInt64) -> UInt64 {
            switch self {
            case .count(let count): count
            case .percent(let percent):
                percent == 0 ? 0 : max(1, UInt64(Double(units) * percent / 100))
            }
        }
    }

    /// Restore rotted and unreadable files from the store; otherwise only report them.
    package var restoreRotted: Bool
    /// Restore files that are gone; otherwise they were removed on purpose.
    package var restoreRemoved: Bool
    /// Put content that the store has lost back from the good local file.
    package var requeueStore: Bool
    package var limit: Limit

    package init(
        restoreRotted: Bool = true, restoreRemoved: Bool = false, requeueStore: Bool = true,
        limit: Limit = .percent(10)
    ) {
        self.restoreRotted = restoreRotted
        self.restoreRemoved = restoreRemoved
        self.requeueStore = requeueStore
        self.limit = limit
    }
}
