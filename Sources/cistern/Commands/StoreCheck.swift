internal import ArgumentParser
internal import Checker
internal import ContentStore
internal import Dispatcher
internal import Platform
internal import Repairer

/// `cistern store check`: whether the store can give back what it holds.
struct StoreCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check the store: index, packs, snapshots, and all they refer to.",
        discussion: """
            Works on any restic repository, beside others that write. Without --level packs are \
            checked by their names and sizes, and trees by reading them. What each object was \
            found to be is remembered: a run that was stopped, or that ends by --max-duration, is \
            gone on with by the next one, and what is damaged is read first each time and keeps \
            the exit code at 3 until it is mended.

            A snapshot or key that has gone while a mirror has it is a note: it was removed by \
            somebody, or lost. --repair brings it back only with --restore-removed.

            With --json each problem is a line, and the last line has the totals.

            Exit codes: 0 no damage, 3 damage (each one is named).
            """)

    @OptionGroup var scrub: ScrubArguments
    @OptionGroup var mending: StoreRepairArguments
    @OptionGroup var selection: StoreSelection
    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let configuration = try config.load()
        Interruption.install()
        if configuration.store.scope == .module, mending.namesPlaces {
            // They hold one repository each.
            _ = try selection.one(configuration)
        }
        try selection.each(configuration, json: output.json) { try check($0) }
    }

    private func check(_ configuration: Configuration) throws {
        let places = try StorePlaces.open(configuration, further: mending.mirror)
        let printer = StoreProblemPrinter(
            json: output.json, module: configuration.store.module)
        for (url, failure) in places.away {
            Print.note("mirror \(url) is left out: \(failure)")
        }
        let run = StoreCheckRun(
            configuration: configuration, places: places, options: scrub.options(),
            level: scrub.chosen, printer: printer)
        let result: StoreCheckResult
        if mending.repair {
            result = try StoreRepairRun(check: run, arguments: mending).run()
        } else {
            result = try run.run()
        }
        try printer.finish(result, seconds: monotonicSeconds() - run.started)
        if !result.isHealthy { throw ExitCode(Exit.partly) }
    }
}

/// One check of all places of the store.
struct StoreCheckRun {
    var configuration: Configuration
    var places: StorePlaces
    var options: ScrubOptions
    /// Nil for the listing with all trees.
    var level: ScrubLevel?
    var printer: StoreProblemPrinter
    let started = monotonicSeconds()

    func run() throws -> StoreCheckResult {
        guard level != .sum else { return try checkSums() }
        let (store, session, lock) = try open()
        return try lock.during { try check(store, session) }
    }

    /// Opens the store and locks it, without reading its index: that may be what is damaged.
    func open(
        program: String = LockFile.cistern
    ) throws -> (store: Store, session: String, lock: RepositoryLock) {
        let store = try Store(
            backend: places.primary,
            password: try StoreAccess.password(configuration, creating: false),
            stateDirectory: configuration.storeState)
        let session = StoreSession.newName()
        return (store, session, try store.lock(session: session, program: program))
    }

    /// What earlier checks know of a place.
    func state(_ place: any Backend) throws(Failure) -> ScrubState {
        try ScrubState(stateDirectory: configuration.storeState, location: place.location)
    }

    /// All places by the names of their objects, without key or password.
    func checkSums() throws -> StoreCheckResult {
        var result = StoreCheckResult()
        let deadline = options.deadline
        for (index, place) in places.all.enumerated() {
            let check = PlaceCheck(
                sumsAt: place, isMirror: index > 0, state: try state(place), options: options)
            try run(check, until: deadline, into: &result)
        }
        return result
    }

    /// The store and, when objects are read, its mirrors.
    func check(_ store: Store, _ session: String) throws -> StoreCheckResult {
        if level == .deep { try refuseForeignMirrors(PlaceProver(key: store.key)) }
        let deadline = options.deadline
        let check = try StoreCheck(
            store: store, session: session,
            options: StoreCheckOptions(level: level, scrub: options),
            state: try state(places.primary), mirrors: places.mirrors,
            progress: { printer.progress($0, $1) }, report: { printer.print($0) })
        var result = try check.run()
        if check.hitsContent { try tellHits(store) }
        guard level == .deep else { return result }
        for place in places.mirrors {
            let check = try PlaceCheck(
                mirror: place, of: store, state: try state(place), options: options)
            try run(check, until: deadline, into: &result)
        }
        return result
    }

    /// All of another repository would look damaged; of a mirror that is away its check tells.
    private func refuseForeignMirrors(_ prover: PlaceProver) throws(Failure) {
        for place in places.mirrors {
            do throws(Failure) {
                try prover.refuseForeign(place)
            } catch {
                guard error.kind != .usage else { throw error }
            }
        }
    }

    /// Checks one place, and tells what is damaged there.
    private func run(
        _ check: PlaceCheck, until deadline: Double?, into result: inout StoreCheckResult
    ) throws {
        let report = try check.run(
            deadline: deadline, progress: { printer.progress($0, $1) },
            report: { problem in
                result.problems += 1
                printer.print(problem)
            })
        result.places.append(report)
    }

    /// Tells which modules, snapshots and files the damage costs.
    func tellHits(_ store: Store) throws {
        try DamagedContent(store: store).find { printer.print(hit: $0) }
    }
}
