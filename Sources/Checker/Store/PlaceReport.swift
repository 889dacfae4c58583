package import ContentStore
internal import Platform

/// What a check of one place read, and how much of the place is proven by now.
package struct PlaceReport: Sendable, Equatable {
    package var location: String
    package var level: ScrubLevel
    package var run = ScrubRun()
    package var coverage = ScrubCoverage()
    /// Objects that were there at the last check and are gone.
    package var vanished = 0

    package init(location: String, level: ScrubLevel) {
        self.location = location
        self.level = level
    }
}

extension ScrubState {
    /// Counts what is covered, and ends the pass when it is whole.
    func finish(
        _ selection: ScrubSelection, stopped: Bool, _ result: inout PlaceReport,
        _ clock: any WallClock
    ) throws(Failure) {
        result.coverage = try coverage(selection, at: clock.now())
        if !stopped, selection.sample == nil { try endPass(selection.level) }
    }
}
