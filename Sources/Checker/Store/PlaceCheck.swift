package import ContentStore
package import Platform

/// Reads every object of one place of the store: each place rots on its own.
///
/// What a place lacks is no damage, but for the config: a mirror may lag behind, and what is gone
/// may have been removed on purpose.
package final class PlaceCheck {
    private let place: any Backend
    private let isMirror: Bool
    private let level: ScrubLevel
    private let state: ScrubState
    private let options: ScrubOptions
    private let clock: any WallClock
    private let makeWorker: @Sendable () throws -> ((ScrubObject) throws -> ScrubFinding)

    /// Checks objects by their names alone: no key, no password, no lock.
    ///
    /// - Parameters:
    ///   - isMirror: the place is not the store's first; damage is told to be there.
    ///   - state: what earlier checks know of this place.
    package init(
        sumsAt place: any Backend, isMirror: Bool, state: ScrubState, options: ScrubOptions,
        clock: any WallClock = SystemClock()
    ) {
        self.place = place
        self.isMirror = isMirror
        level = .sum
        self.state = state
        self.options = options
        self.clock = clock
        makeWorker = {
            let worker = SumWorker(place: place)
            return { try worker.check($0) }
        }
    }

    /// Checks all that can be known of a mirror's objects with the key of the store.
    ///
    /// - Parameter state: what earlier checks know of the mirror.
    /// - Throws: `Failure` when the local index cannot be read.
    package init(
        mirror place: any Backend, of store: Store, state: ScrubState, options: ScrubOptions
    ) throws(Failure) {
        self.place = place
        isMirror = true
        level = .deep
        self.state = state
        self.options = options
        clock = store.clock
        let sums = try store.index.sums()
        makeWorker = {
            let worker = DeepWorker(store: store, place: place, sums: sums)
            return { try worker.check($0) }
        }
    }

    /// Runs the check.
    ///
    /// - Parameters:
    ///   - progress: called while objects are read, on the caller's thread.
    ///   - report: called for each damaged object, known or new.
    /// - Throws: `Failure` when the place cannot be reached, not for what is damaged there.
    package func run(
        deadline: Double?, progress: (_ objects: Int, _ bytes: UInt64) -> Void,
        report: (StoreProblem) -> Void
    ) throws -> PlaceReport {
        var result = PlaceReport(location: place.location, level: level)
        if options.forgets { try state.forget() }
        let listing = try state.update(listing: place)
        result.vanished = listing.goneCount
        if listing.gone.contains(.config) {
            // A store without one is none.
            try state.markMissing(.config, size: 0, reason: "is missing", at: clock.now())
        }
        let scrub = ObjectScrub(place: place, state: state, threads: options.threads, clock: clock)
        try scrub.select(options.selection)
        try scrub.read(
            until: deadline, makeWorker: makeWorker,
            collect: { _ in progress(scrub.run.objects, scrub.run.bytes) })
        result.run = scrub.run
        try state.finish(options.selection, stopped: scrub.run.isStopped, &result, clock)
        for damage in try state.knownDamage() {
            report(StoreProblem(damage, at: place, isMirror: isMirror))
        }
        return result
    }
}
