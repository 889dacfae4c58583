internal import ArgumentParser
internal import ContentStore
internal import Dehydrator
internal import Dispatcher
internal import Platform

/// `cistern state`: the local state of modules.
struct StateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "state", abstract: "Mend the local state.",
        subcommands: [StateRebuildCommand.self])
}

/// `cistern state rebuild`: the way out when a module's state file is damaged.
struct StateRebuildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract: "Make a module's state file anew from its last snapshot in the store.",
        discussion: """
            The old file is moved aside, never deleted. The next run compares the module with the \
            snapshot: what is the same there is not stored again. Lists of earlier runs stay in \
            the old file. A module without a snapshot gets a fresh state.
            """)

    @Argument(help: "The module's name.")
    var module: String

    @Option(
        help: ArgumentHelp(
            "The snapshot: the beginning of its id, or `latest`.", valueName: "id"))
    var snapshot = "latest"

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    private struct Document: Encodable {
        var module: String
        var state: String
        var snapshot: String?
        var units: Int
        var old: String?
    }

    func run() throws {
        let configuration = try config.load()
        let definition = try configuration.module(module)
        let lock = try ModuleStates.lock(definition.name, configuration)
        defer { withExtendedLifetime(lock) {} }
        Interruption.install()
        let path = ModuleStates.path(definition.name, configuration)
        let own = try configuration.narrowed(to: definition.name)
        let result = try StoreHandle.open(own).during { handle in
            let rebuild = StateRebuild(
                module: definition.name, path: path, store: handle.store)
            return try rebuild.run(try find(handle.store))
        }
        if output.json {
            return try Print.out(
                JSON.document(
                    Document(
                        module: module, state: path, snapshot: result.snapshot?.description,
                        units: result.units, old: result.old)))
        }
        if let old = result.old { try Print.line("the old state file is now \(old)") }
        if let snapshot = result.snapshot {
            try Print.line(
                "made \(path) from snapshot \(snapshot.short): "
                    + "\(Format.count(Int64(result.units))) units")
        } else {
            try Print.line("made a fresh \(path): the store has no snapshot of \(module)")
        }
    }

    /// The snapshot to make the state of; nil when the module has none and none was asked for.
    private func find(_ store: Store) throws(Failure) -> StoredSnapshot? {
        if snapshot == "latest" { return try store.snapshots(of: module).last }
        return try store.snapshot(snapshot, module: module)
    }
}
