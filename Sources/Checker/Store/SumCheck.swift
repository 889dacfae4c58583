package import ContentStore
package import Platform

/// Which part of a place a run of a check reads, and for how long.
package struct ScrubOptions: Sendable {
    package var selection: ScrubSelection
    /// Seconds after which the run ends, between two objects.
    package var maxDuration: Double?
    /// Forget what earlier checks found good.
    package var forgets: Bool
    package var threads: Int

    package init(
        selection: ScrubSelection, maxDuration: Double? = nil, forgets: Bool = false,
        threads: Int = processorCount
    ) {
        self.selection = selection
        self.maxDuration = maxDuration
        self.forgets = forgets
        self.threads = max(1, threads)
    }

    /// When a run that begins now ends, on the monotonic clock.
    package var deadline: Double? { maxDuration.map { monotonicSeconds() + $0 } }
}

/// What a run read at one place.
package struct ScrubRun: Sendable, Equatable {
    package var objects = 0
    package var bytes: UInt64 = 0
    /// What there was to read.
    package var dueObjects = 0
    package var dueBytes: UInt64 = 0
    /// Known before the run, or found by it, and not read yet when it ended.
    package var isStopped = false

    package init() {}
}

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

/// Checks a place by the names of its objects alone: no key, no password, no lock.
package final class SumCheck {
    private let place: any Backend
    private let state: ScrubState
    private let options: ScrubOptions
    private let clock: any WallClock

    package init(
        place: any Backend, state: ScrubState, options: ScrubOptions,
        clock: any WallClock = SystemClock()
    ) {
        self.place = place
        self.state = state
        self.options = options
        self.clock = clock
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
        var result = PlaceReport(location: place.location, level: .sum)
        if options.forgets { try state.forget() }
        let listing = try state.update(listing: place)
        result.vanished = listing.goneCount
        if listing.gone.contains(.config) {
            // A store without one is none; everything else may have been removed on purpose.
            try state.markMissing(.config, size: 0, reason: "is missing", at: clock.now())
        }
        let scrub = ObjectScrub(
            place: place, state: state, threads: options.threads, clock: clock)
        try scrub.select(options.selection)
        let place = place
        try scrub.read(
            until: deadline,
            makeWorker: {
                let worker = SumWorker(place: place)
                return { try worker.check($0) }
            },
            collect: { _ in progress(scrub.run.objects, scrub.run.bytes) })
        result.run = scrub.run
        try state.finish(options.selection, stopped: scrub.run.isStopped, &result, clock)
        for damage in try state.knownDamage() { report(StoreProblem(damage, at: place)) }
        return result
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

extension StoreProblem {
    /// An object that is known to be damaged at `place`.
    package init(_ damage: KnownDamage, at place: any Backend, isMirror: Bool = false) {
        let at = isMirror ? " at \(place.location)" : ""
        let since = damage.isGone ? "gone, and damaged before" : "damaged"
        self.init(
            StoreProblem.Kind(damage.key.kind), damage.key.id, "\(since)\(at): \(damage.reason)")
        self.since = damage.since
        self.place = isMirror ? place.location : nil
    }
}

extension StoreProblem.Kind {
    init(_ kind: ObjectKind) {
        switch kind {
        case .config: self = .config
        case .key: self = .key
        case .pack: self = .pack
        case .index: self = .index
        case .snapshot: self = .snapshot
        case .lock: self = .local
        }
    }
}
