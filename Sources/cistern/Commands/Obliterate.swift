internal import ArgumentParser
internal import ContentStore
internal import Dispatcher
internal import Platform

/// `cistern obliterate`: a module is forgotten for good.
struct ObliterateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "obliterate",
        abstract: "Forget a module for good: snapshots, content, lists, quarantine.",
        discussion: """
            Removes every snapshot of the module, all content that no other snapshot refers to, \
            its lists, state and quarantine; packs that are shared are rewritten. Then lists all \
            again, and writes a receipt to <state>/obliterated. The module's own files are not \
            touched: remove it from the configuration first, or the next run stores it again.

            With `scope: module` the module's store is removed as a whole, at all places, and its \
            password file last: copies of the store that are somewhere else cannot be read then.

            Waits for everybody who uses the store. Can be killed at any moment: run it again. \
            Caches of restic on other machines (~/.cache/restic) are out of its reach.

            Exit codes: 0 all is gone (or there was nothing), 3 something is left and named, 4 \
            the store or the module is in use.
            """)

    @Argument(help: "The module.")
    var module: String

    @Flag(help: "Do not ask.")
    var yes = false

    @Option(
        help: ArgumentHelp(
            "How long to wait for those who use the store: 90s, 1.5h.", valueName: "time"))
    var lockWait = DurationArgument(300, "5m")

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        guard ModuleDefinition.isValid(name: module) else {
            throw Failure(.usage, "`\(module)` is no name of a module")
        }
        let configuration = try config.load()
        Interruption.install()
        try StoreScopes.check(configuration)
        guard configuration.store.scope == .fleet else {
            return try obliterateStore(try configuration.narrowed(to: module))
        }
        let traces = ModuleTraces(module: module, configuration: configuration)
        guard
            try StoreAccess.isKnown(configuration) || traces.exist
                || StoreAccess.isAnywhere(configuration)
        else {
            return try Print.line("there is nothing of module \(module): nothing was done")
        }
        let stores = try stores(configuration)
        let hasSnapshots = try stores.contains { store throws(Failure) in
            try !store.snapshots(of: module).isEmpty
        }
        guard traces.exist || hasSnapshots else {
            return try Print.line("there is nothing of module \(module): nothing was done")
        }
        try confirm()
        let lock = try ModuleStates.lock(module, configuration)
        defer { withExtendedLifetime(lock) {} }
        let result = try obliterate(stores, traces, lockWait.seconds)
        try finish(result, traces, stores[0].backend.location, notes: stores.count)
    }

    /// Forgets a module whose store is its own.
    private func obliterateStore(_ configuration: Configuration) throws {
        let traces = ModuleTraces(module: module, configuration: configuration)
        let removal = ModuleStoreRemoval(
            module: module, configuration: configuration, notePath: traces.notePath(0))
        guard try traces.exist || removal.isThere() else {
            return try Print.line("there is nothing of module \(module): nothing was done")
        }
        try confirm(" The password of its store is destroyed.")
        let lock = try ModuleStates.lock(module, configuration)
        defer { withExtendedLifetime(lock) {} }
        let (result, left) = try removal.run(wait: lockWait.seconds)
        let location = try BackendURL.parse(
            configuration.store.url, in: configuration.folder)
        for path in left { Print.note("\(path) stays: what is in it is no store's") }
        try finish(result, traces, location.description, notes: 1)
    }

    /// The store, and each of its mirrors as a store of its own.
    private func stores(_ configuration: Configuration) throws(Failure) -> [Store] {
        let handle = try StoreHandle.open(configuration)
        try handle.close()
        let password = try StoreAccess.password(configuration, creating: false)
        var stores = [handle.store]
        for mirror in try StoreMirrors.all(configuration) {
            stores.append(try StoreMirrors.store(mirror, [], configuration, password))
        }
        return stores
    }

    private func confirm(_ more: String = "") throws {
        if yes { return }
        guard Environment.isTerminal(0), Environment.isTerminal(2) else {
            throw Failure(
                .usage, "nobody is there to confirm that module \(module) is to be forgotten",
                hint: "--yes does it without a question")
        }
        try Environment.write(
            "All snapshots and content of module \(module) will be removed from the store and its "
                + "mirrors.\(more)\nType its name to go on: ", to: 2)
        var answer: [UInt8] = []
        let input = try Descriptor.standardInput()
        while answer.last != 0x0A, answer.count < 256 {
            guard try input.read(appending: &answer, upTo: 1) == 1 else { break }
        }
        if answer.last == 0x0A { answer.removeLast() }
        guard answer == Array(module.utf8) else {
            throw Failure(.cancelled, "that is not the name: nothing was done")
        }
    }

    private func obliterate(
        _ stores: [Store], _ traces: ModuleTraces, _ wait: Double
    ) throws -> ObliterationResult {
        let name = StoreSession.newName()
        // All of them before anything is removed: nobody copies between the places meanwhile.
        let total = try ExclusiveLocks(session: name, wait: wait).during(stores) { locks in
            var total: ObliterationResult?
            for (number, (store, lock)) in zip(stores, locks).enumerated() {
                try store.refresh(session: name)
                let session = StoreSession(
                    store: store, confirmLock: { () throws(Failure) in try lock.check() })
                let result = try Obliterator(
                    module, session: session, notePath: traces.notePath(number)
                ).run()
                total?.add(result)
                if total == nil { total = result }
            }
            return total
        }
        guard let total else { throw Failure(.bug, "there is no store") }
        return total
    }

    private struct Receipt: Encodable {
        struct Deleted: Encodable {
            var snapshots: [String]
            var packs: [String]
            var bytes: UInt64
            var rewrittenPacks: Int
        }
        var apiVersion = 1
        var module: String
        var store: String
        var location: String
        var startedNs: Int64
        var finishedNs: Int64
        var proven: Bool
        var deleted: Deleted
        /// What stays because another module has the same content.
        var kept: [ObliterationNote.Kept]
        var places: [ObliterationResult.Place]
        var blobsInStore: Int
        var problems: [String]
        /// Of a store of the module's own: the file with its password, which was removed.
        var passwordFile: String?
        /// Damaged packs in the quarantine: nobody can tell whose content is in them.
        var quarantined: [String]
    }

    private func finish(
        _ result: ObliterationResult, _ traces: ModuleTraces, _ location: String, notes: Int
    ) throws {
        let note = result.note
        let now = SystemClock().now()
        var receipt = Receipt(
            module: module, store: note.store, location: location,
            startedNs: note.started * 1_000_000_000,
            finishedNs: Int64(clamping: now.nanosecondsSinceEpoch), proven: result.isProven,
            deleted: .init(
                snapshots: note.snapshots, packs: note.packs, bytes: note.bytes,
                rewrittenPacks: result.rewrittenPacks),
            kept: note.kept ?? [], places: result.places, blobsInStore: result.blobs,
            problems: result.problems, quarantined: try traces.quarantinedPacks())
        if result.isProven {
            try traces.remove()
            try traces.removeStoreState()
            CrashPoint.reached("obliterate-traces-removed")
            receipt.passwordFile = try traces.removePassword()
            try write(
                receipt, to: traces.receiptPath(now), instead: (0..<notes).map(traces.notePath))
        }
        if output.json {
            try Print.out(JSON.document(receipt))
        } else {
            try tell(receipt, result)
            let unseen = receipt.places.filter(\.versionsUnknown).map(\.location)
            for location in unseen {
                try Print.line(
                    "\(location) has no list of versions: whether it keeps old ones was not "
                        + "looked at")
            }
            if result.isProven {
                let what = unseen.isEmpty ? "nothing is left" : "nothing is left that is listed"
                try Print.line("\(what); receipt in \(traces.receiptPath(now))")
            }
            if !receipt.quarantined.isEmpty {
                try Print.line(
                    "\(receipt.quarantined.count) damaged packs in the quarantine may hold some of "
                        + "it: \(receipt.quarantined[0])")
            }
        }
        if !result.isProven { throw ExitCode(Exit.partly) }
    }

    /// Writes the receipt in the place of the notes, the store's own one last.
    private func write(_ receipt: Receipt, to path: String, instead notes: [String]) throws {
        let bytes = Array(try JSON.document(receipt).utf8)
        do throws(SystemError) {
            try AtomicFile.makeDirectories(Path.folder(of: path))
            try AtomicFile.write(bytes.span, to: path)
            CrashPoint.reached("obliterate-receipt-written")
            for note in notes.reversed() { try AtomicFile.remove(note) }
        } catch {
            throw Failure(
                .module, "the receipt cannot be written", cause: error.description,
                hint: "The module is gone: run again for the receipt")
        }
    }

    private func tell(_ receipt: Receipt, _ result: ObliterationResult) throws {
        try Print.line(
            "module \(module): \(receipt.deleted.snapshots.count) snapshots and "
                + "\(receipt.deleted.packs.count) packs "
                + "(\(Format.bytes(Int64(clamping: receipt.deleted.bytes)))) removed, "
                + "\(result.rewrittenPacks) packs rewritten")
        for kept in receipt.kept {
            try Print.line("kept: \(kept.blobs) blobs that \(kept.module) has as well")
        }
        for problem in result.problems { try Print.line("left: \(problem)") }
        if let file = receipt.passwordFile {
            try Print.line("the password is destroyed: \(file) is removed")
        }
    }
}
