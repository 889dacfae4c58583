internal import Checker
internal import ContentStore
internal import Dispatcher
internal import Platform
internal import Repairer

/// A check of the store, the repair of what it found, and the check of the repair.
struct StoreRepairRun {
    var check: StoreCheckRun
    var arguments: StoreRepairArguments

    func run() throws -> StoreCheckResult {
        try mendOpening()
        // It rewrites index files, as a collection of garbage does: one of them at a time.
        let (store, session, lock) = try check.open(
            program: arguments.dryRun ? LockFile.cistern : LockFile.collector)
        return try lock.during { try run(store, session, lock) }
    }

    private func mendOpening() throws {
        let password = try StoreAccess.password(check.configuration, creating: false)
        let printer = check.printer
        try StoreOpening(
            places: check.places.all, password: password,
            stateDirectory: check.configuration.storeState, dryRun: arguments.dryRun,
            restoresRemoved: arguments.restoreRemoved,
            report: { printer.print(repair: $0) }
        ).mend()
    }

    private func run(
        _ store: Store, _ session: String, _ lock: RepositoryLock
    ) throws -> StoreCheckResult {
        // What is found by names alone is found by the deep check as well, but for names.
        if check.level == .sum { _ = try check.checkSums() }
        let found = try check.check(store, session)
        let opened = try check.places.all.map { StorePlace($0, try check.state($0)) }
        let known = try opened.contains { try !$0.state.knownDamage().isEmpty }
        guard known || !found.isHealthy || arguments.restoreRemoved else { return found }
        let printer = check.printer
        let repair = try StoreRepair(
            store: store,
            session: StoreSession(
                store: store, confirmLock: { () throws(Failure) in try lock.check() }),
            name: session, places: opened, options: try options(),
            report: { printer.print(repair: $0) })
        let repaired = try repair.run()
        guard !arguments.dryRun else { return found }
        printer.tellRepaired(repaired)
        return try recheck(store, session, opened, found)
    }

    /// The verdict comes from a new look, never from what was done.
    private func recheck(
        _ store: Store, _ session: String, _ places: [StorePlace], _ found: StoreCheckResult
    ) throws -> StoreCheckResult {
        printer.startAgain()
        var scrub = check.options
        scrub.forgets = false
        let again = try StoreCheck(
            store: store, session: session,
            options: StoreCheckOptions(level: nil, scrub: scrub),
            state: places[0].state, mirrors: check.places.mirrors, report: { printer.print($0) })
        var result = try again.run()
        if again.hitsContent { try check.tellHits(store) }
        for place in places.dropFirst() {
            for damage in try place.state.knownDamage() {
                result.problems += 1
                printer.print(StoreProblem(damage, at: place.backend, isMirror: true))
            }
        }
        result.places = found.places
        result.packsRead = found.packsRead
        result.blobsRead = found.blobsRead
        result.bytesRead = found.bytesRead
        return result
    }

    private var printer: StoreProblemPrinter { check.printer }

    private func options() throws -> StoreRepairOptions {
        var options = StoreRepairOptions(
            dryRun: arguments.dryRun, restoresRemoved: arguments.restoreRemoved)
        for module in check.configuration.modules { options.modules[module.name] = module.path }
        options.directories = arguments.fromDir.map { Path.absolute($0, in: Path.working) }
        for mirror in check.places.mirrors {
            // A mirror that cannot be opened has given what it has object by object.
            if let source = try? source(mirror, nil) { options.sources.append(source) }
        }
        for (index, url) in arguments.from.enumerated() {
            let file = arguments.fromPasswordFile.isEmpty ? nil : arguments.fromPasswordFile[index]
            options.sources.append(
                try source(try StorePlaces.backend(url, check.configuration), file))
        }
        return options
    }

    /// Another repository, with a local index of its own.
    private func source(_ place: any Backend, _ passwordFile: String?) throws -> Store {
        let password =
            try passwordFile.map { file throws(Failure) in try PasswordFile.read(file) }
            ?? StoreAccess.password(check.configuration, creating: false)
        let name = SHA256Hasher.hash(Array(place.location.utf8).span).description.prefix(16)
        let store = try Store(
            backend: place, password: password,
            stateDirectory: "\(check.configuration.storeState)/sources/\(name)")
        try store.refresh(session: StoreSession.newName()) { _, _ in }
        return store
    }
}
