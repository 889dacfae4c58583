internal import ArgumentParser
internal import ContentStore
internal import Dehydrator
internal import Dispatcher
internal import JobTable
internal import Platform

/// `cistern hydrate`: a module's directory from the store.
struct HydrateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hydrate",
        abstract: "Fill a directory from a snapshot of a module.",
        discussion: """
            Writes only what differs from what is there: running it again after an interruption \
            goes on where it stopped. Every byte is verified before it is visible under its \
            name, and nothing is ever written outside of the target. What is in the target and \
            not in the snapshot stays, unless --delete is given. Owners are set when run as root.

            Snapshots that restic made are named by --snapshot, without a module.

            Exit codes: 0 everything is there, 3 some entries could not be made or not with all \
            of their metadata (each is named), 4 another process fills the directory.
            """)

    @Argument(help: "The module's name; may be left out with --snapshot and --to.")
    var module: String?

    @Option(
        help: ArgumentHelp(
            "The directory to fill, instead of the module's own.", valueName: "dir"))
    var to: String?

    @Option(
        help: ArgumentHelp(
            "The snapshot: the beginning of its id, or `latest`.", valueName: "id"))
    var snapshot = "latest"

    @Flag(help: "Remove what is in the directory and not in the snapshot.")
    var delete = false

    @Flag(help: "Hash files that look the same instead of trusting their size and time.")
    var verify = false

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if module == nil && to == nil {
            throw ValidationError("Give a module, or --to DIR with --snapshot ID.")
        }
    }

    func run() throws {
        let configuration = try config.load()
        let (target, lock) = try target(configuration)
        defer { withExtendedLifetime(lock) {} }
        Interruption.install()
        let handle = try StoreHandle.openForReading(try store(of: configuration))
        let (found, result) = try handle.during { try hydrate($0.store, target) }
        try report(result, found, target, handle.store.fallbacks.totals.objects)
    }

    private func store(of configuration: Configuration) throws(Failure) -> Configuration {
        if let module { return try configuration.narrowed(to: module) }
        guard configuration.store.scope == .module else { return configuration }
        throw Failure(
            .usage, "each module has a store of its own (`scope: module`)",
            hint: "`cistern snapshots` tells which module has the snapshot: name the module too")
    }

    private func hydrate(
        _ store: Store, _ target: String
    ) throws -> (StoredSnapshot, HydrateResult) {
        let found = try store.snapshot(snapshot, module: module)
        let root = try SnapshotRoot.find(
            found.snapshot, store: store, reader: BlobReader(store: store))
        let hydrator = Hydrator(
            store: store, target: target, options: HydrateOptions(delete: delete, verify: verify))
        return (found, try hydrator.hydrate(tree: root.subtree, node: root.node))
    }

    /// The target; when it is the module's own directory nobody else may work on it meanwhile.
    private func target(_ configuration: Configuration) throws(Failure) -> (String, FileLock?) {
        if let to { return (Path.absolute(to, in: Path.working), nil) }
        let definition = try configuration.module(module ?? "")
        return (definition.path, try ModuleStates.lock(definition.name, configuration))
    }

    private func report(
        _ result: HydrateResult, _ snapshot: StoredSnapshot, _ target: String,
        _ fromMirrors: Int
    ) throws {
        for failure in result.failures { Print.note(failure) }
        if output.json {
            try Print.out(
                JSON.document(
                    Document(
                        snapshot: snapshot.id.description, target: target, files: result.files,
                        bytes: result.bytes, unchanged: result.unchanged, others: result.others,
                        deleted: result.deleted, failed: result.failed,
                        readFromMirrors: fromMirrors)))
        } else {
            let bytes = Format.bytes(Int64(result.bytes))
            try Print.line(
                "snapshot \(snapshot.id.short) in \(target): \(result.files) files written "
                    + "(\(bytes)), \(result.unchanged) unchanged, \(result.deleted) removed")
            if fromMirrors > 0 {
                try Print.line(
                    "\(fromMirrors) objects came from mirrors: "
                        + "`cistern store check` tells what the store lacks")
            }
        }
        guard result.failed > 0 else { return }
        Print.note("\(result.failed) entries could not be made")
        throw ExitCode(Exit.partly)
    }

    private struct Document: Encodable {
        var snapshot: String
        var target: String
        var files: UInt64
        var bytes: UInt64
        var unchanged: UInt64
        var others: UInt64
        var deleted: UInt64
        var failed: UInt64
        /// Objects that the store itself could not give.
        var readFromMirrors: Int
    }
}
