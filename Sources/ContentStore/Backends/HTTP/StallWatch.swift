/// Judges whether a transfer still moves.
///
/// A pure value: an event is the bytes moved so far at a time. Time in which the transfer was held
/// back by our own limits does not count.
package struct StallWatch {
    private let rate: Double
    private let patience: Double
    private var since: Double
    private var moved = 0

    /// Starts to watch.
    ///
    /// - Parameters:
    ///   - rate: bytes a second below which it counts as stalled.
    ///   - patience: for how many seconds that is borne.
    package init(rate: Int, patience: Double, now: Double) {
        self.rate = Double(rate)
        self.patience = patience
        since = now
    }

    /// The transfer was held back by us for `seconds`.
    package mutating func heldBack(_ seconds: Double) { since += seconds }

    /// Whether to give up, with `total` bytes moved so far; `patience` overrides the usual one.
    package mutating func isStalled(total: Int, now: Double, patience other: Double? = nil) -> Bool
    {
        if total < moved {
            // It began again on another connection.
            moved = total
            since = now
        }
        let elapsed = now - since
        if elapsed >= 1, Double(total - moved) >= rate * elapsed {
            moved = total
            since = now
            return false
        }
        return elapsed >= other ?? patience
    }
}
