package import ContentStore
internal import Platform

/// Reads every object of a further place of the store with the store's key: each place rots on its
/// own.
///
/// What the place lacks is no damage: it may lag behind.
package final class MirrorCheck {
    private let store: Store
    private let place: any Backend
    private let state: ScrubState
    private let options: ScrubOptions

    package init(store: Store, place: any Backend, state: ScrubState, options: ScrubOptions) {
        self.store = store
        self.place = place
        self.state = state
        self.options = options
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
        var result = PlaceReport(location: place.location, level: .deep)
        if options.forgets { try state.forget() }
        let listing = try state.update(listing: place)
        result.vanished = listing.goneCount
        let scrub = ObjectScrub(
            place: place, state: state, threads: options.threads, clock: store.clock)
        try scrub.select(options.selection)
        let sums = try store.index.sums()
        let (store, place) = (store, place)
        try scrub.read(
            until: deadline,
            makeWorker: {
                let worker = DeepWorker(store: store, place: place, sums: sums)
                return { try worker.check($0) }
            },
            collect: { _ in progress(scrub.run.objects, scrub.run.bytes) })
        result.run = scrub.run
        try state.finish(options.selection, stopped: scrub.run.isStopped, &result, store.clock)
        for damage in try state.knownDamage() {
            report(StoreProblem(damage, at: place, isMirror: true))
        }
        return result
    }
}
