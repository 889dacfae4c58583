package import ContentStore
internal import Platform

/// Which part of a place a run of a check reads, and for how long.
package struct ScrubOptions: Sendable {
    package var selection: ScrubSelection
    /// Seconds after which the run ends, between two objects.
    package var maxDuration: Double?
    /// Forget what earlier checks found good.
    package var forgets: Bool
    /// Nil: as many as the place is worth.
    package var threads: Int?

    package init(
        selection: ScrubSelection, maxDuration: Double? = nil, forgets: Bool = false,
        threads: Int? = nil
    ) {
        self.selection = selection
        self.maxDuration = maxDuration
        self.forgets = forgets
        self.threads = threads.map { max(1, $0) }
    }

    /// When a run that begins now ends, on the monotonic clock.
    package var deadline: Double? { maxDuration.map { monotonicSeconds() + $0 } }
}
