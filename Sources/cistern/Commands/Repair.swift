internal import ArgumentParser
internal import ContentStore
internal import Dispatcher
internal import JobTable
internal import Platform
internal import Repairer
internal import Stages

/// What a repair by hand may do.
struct RepairPolicyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Stop when more units than this need repair: a number, or a share like 10%.",
            valueName: "n|n%"))
    var maxRepairs = "10%"

    @Flag(help: "Restore files that were removed, too.")
    var restoreRemoved = false

    /// The policy.
    func policy() throws(Failure) -> RepairPolicy {
        let limit: RepairPolicy.Limit
        if maxRepairs.hasSuffix("%"), let percent = Double(maxRepairs.dropLast()),
            (0...100).contains(percent)
        {
            limit = .percent(percent)
        } else if let count = UInt64(maxRepairs) {
            limit = .count(count)
        } else {
            throw Failure(
                .usage, "--max-repairs cannot be `\(maxRepairs)`",
                hint: "A number like 100, or a share from 0% to 100%")
        }
        return RepairPolicy(restoreRemoved: restoreRemoved, limit: limit)
    }

    /// The repair stage of a module.
    func stage(
        _ module: ModuleDefinition, _ configuration: Configuration, state: ModuleState,
        handle: StoreHandle
    ) throws(Failure) -> RepairStage {
        try RepairStage(
            root: module.path, state: state, store: handle.store,
            session: handle.newSession(),
            policy: try policy(),
            quarantine: Quarantine(stateDirectory: configuration.state, module: module.name))
    }
}

/// `cistern repair`: what a check found bad.
struct RepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Repair what a check found bad in a module or in its stored copies.",
        discussion: """
            Reads the list of `cistern check` from --list and prints each unit with what was \
            done. Rotted and unreadable files are restored from the store, the damaged ones kept \
            in the quarantine folder of the state; content that the store has lost is put back \
            from the good local file. Each result comes from a new check. What has no good copy \
            is left as it is.

            Exit codes: 0 all healthy now, 3 unhealthy units remain or --max-repairs stopped it, \
            5 the list was cut off.
            """)

    @OptionGroup var module: ModuleOptions
    @OptionGroup var policy: RepairPolicyOptions
    @OptionGroup var stream: StreamOptions

    func validate() throws {
        guard stream.list != nil else {
            throw ValidationError(
                "Give the check's list with --list FILE (or -); "
                    + "`cistern check MODULE --repair` does both in one pass.")
        }
    }

    func run() throws {
        let (configuration, definition) = try module.load()
        let lock = try ModuleStates.lock(definition.name, configuration)
        defer { withExtendedLifetime(lock) {} }
        let state = try ModuleStates.open(definition.name, configuration)
        let stats = try StoreHandle.open(configuration).during { handle in
            let stage = try policy.stage(
                definition, configuration, state: state, handle: handle)
            let checkpoint = try stream.openCheckpoint("repair \(definition.name)")
            return try StageTool.run(
                stage, stream.source(definition, checkpoint), checkpoint: checkpoint)
        }
        try Verdict.end(stats)
    }
}
