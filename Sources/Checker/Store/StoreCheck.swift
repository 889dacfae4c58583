package import ContentStore
package import Platform

/// How thorough a check of a store is.
package struct StoreCheckOptions: Sendable {
    /// Read every object, compare every blob with its id.
    package var readsObjects: Bool
    /// Read every snapshot and every tree, and look up all they refer to.
    package var walksTrees: Bool
    /// What is read, and for how long.
    package var scrub: ScrubOptions

    /// - Parameters:
    ///   - level: `present` looks at index and listing, `deep` at everything; nil is `present`
    ///     with the trees. `sum` is the work of `PlaceCheck`.
    ///   - scrub: what is read, where objects are.
    package init(level: ScrubLevel?, scrub: ScrubOptions) {
        readsObjects = level == .deep
        walksTrees = level != .present
        self.scrub = scrub
    }

    /// A check of everything, or of all but the content of packs.
    package init(readData: Bool, threads: Int? = nil) {
        self.init(
            level: readData ? .deep : nil,
            scrub: ScrubOptions(selection: ScrubSelection(level: .deep), threads: threads))
    }
}

/// Checks a whole store, Cistern's or restic's: index files, packs, snapshots, trees, and that
/// everything they refer to is there.
///
/// Memory does not grow with blobs and trees. Others may write and remove meanwhile.
///
/// What is found damaged is marked in the local index, so that nothing relies on it and the next
/// run of a module stores it again, and kept in the state of checks until it is mended.
package final class StoreCheck {
    let store: Store
    let session: String
    let options: StoreCheckOptions
    let problems: StoreProblems
    let progress: (_ packs: Int, _ bytes: UInt64) -> Void
    let state: ScrubState
    let mirrors: [any Backend]
    var result = StoreCheckResult()
    /// What mirrors have, of the kinds that were asked for.
    var kept: [ObjectKind: KeptObjects] = [:]

    /// - Parameters:
    ///   - session: the caller's lock on the store has this name.
    ///   - state: of the store's first place; nil opens it.
    ///   - mirrors: who may still have what has gone from the first place.
    ///   - progress: called while packs are read, on the caller's thread.
    ///   - report: called for each problem as it is found, on any thread, one at a time.
    package init(
        store: Store, session: String, options: StoreCheckOptions, state: ScrubState? = nil,
        mirrors: [any Backend] = [],
        progress: @escaping (_ packs: Int, _ bytes: UInt64) -> Void = { _, _ in },
        report: @escaping @Sendable (StoreProblem) -> Void
    ) throws(Failure) {
        self.store = store
        self.session = session
        self.options = options
        self.progress = progress
        self.mirrors = mirrors
        if let state {
            self.state = state
        } else {
            self.state = try ScrubState(
                stateDirectory: store.stateDirectory, location: store.backend.location)
        }
        problems = StoreProblems(report)
    }

    /// Runs the check to its end, or to the end of its time.
    ///
    /// - Throws: `Failure` when the store cannot be reached, not for what is damaged in it.
    package func run() throws -> StoreCheckResult {
        let deadline = options.scrub.deadline
        if options.scrub.forgets { try state.forget() }
        // Snapshots first: what is written while the check runs is then not missed in the index.
        let snapshots = try listed(.snapshot)
        let known = try store.index.knownIndexFiles()
        try refresh()
        let listing = try state.update(listing: store.backend)
        // Opening the store has proven it.
        try state.record([ScrubResult(.config, .deep, .good)], at: store.clock.now())
        let scrub = ObjectScrub(
            place: store.backend, state: state, threads: options.scrub.threads, clock: store.clock,
            // Index files and snapshots are read below, whatever is due.
            reads: { $0 != .index && $0 != .snapshot })
        if options.readsObjects { try scrub.select(options.scrub.selection) }
        let sums = try store.index.sums()
        result.blobs = sums.blobs
        try checkIndexFiles(known: known, sums)
        try checkListing()
        if options.readsObjects {
            // The trees get half of the time, so that both come forward.
            let half = deadline.map { monotonicSeconds() + max(0, $0 - monotonicSeconds()) / 2 }
            try readObjects(scrub, sums, until: options.walksTrees ? half : deadline)
        }
        try checkSnapshots(snapshots, until: deadline)
        if options.readsObjects && scrub.run.isStopped {
            try readObjects(scrub, sums, until: deadline)
        }
        try checkGone(scrub.gone)
        try checkVanished()
        try tellKnownDamage()
        if options.readsObjects {
            var place = PlaceReport(location: store.backend.location, level: .deep)
            place.run = scrub.run
            place.vanished = listing.goneCount
            try state.finish(
                options.scrub.selection, stopped: scrub.run.isStopped, &place, store.clock)
            result.places.append(place)
        }
        result.problems = problems.count
        return result
    }

    /// Whether content of a snapshot is damaged, so that it is worth asking whose.
    package var hitsContent: Bool { problems.hitsContent }

    /// The ids of all objects of a kind.
    func listed(_ kind: ObjectKind) throws(Failure) -> [Digest] {
        var ids: [Digest] = []
        do throws(BackendError) {
            try store.backend.list(kind) { id, _ in ids.append(id) }
        } catch {
            throw error.failure(at: store.backend.location)
        }
        return ids.sorted()
    }

    /// Brings the index up to date; index files that cannot be read are told and remembered.
    func refresh() throws(Failure) {
        let problems = problems
        var unreadable: [(Digest, Failure)] = []
        try store.refresh(session: session) { id, failure in unreadable.append((id, failure)) }
        for (id, failure) in unreadable where !problems.hasNamed(id) {
            problems.add(StoreProblem(.index, id, "\(failure)"))
            damagedIndexFiles.append(
                ScrubResult(ObjectKey(.index, id), .deep, .bad("\(failure)")))
        }
    }

    /// Index files that could not be taken in.
    private(set) var damagedIndexFiles: [ScrubResult] = []

    /// What reading the snapshots gave.
    var snapshotFindings: [ScrubResult] = []

    /// What is known to be damaged and was not come by in this run stays damage.
    private func tellKnownDamage() throws(Failure) {
        for damage in try state.knownDamage() where !problems.hasNamed(damage.key.id) {
            if damage.isGone, try !isNeeded(damage.key) {
                try state.drop(damage.key)
                continue
            }
            problems.add(StoreProblem(damage, at: store.backend))
        }
    }
}
