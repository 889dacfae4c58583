internal import ArgumentParser
internal import Checker
internal import ContentStore
internal import Dispatcher
internal import Platform
internal import Repairer
internal import Stages

/// `cistern check`: a module against its last snapshot and the store.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Compare a module with what was stored of it.",
        discussion: """
            Walks the module (or reads a manifest with --list) and prints each unit with its \
            state: intact, new, changed, removed, rotted, unreadable. Without --verify the check \
            is by metadata and by the presence of stored copies; with it every file is read and \
            hashed and every stored copy is authenticated, so that silent corruption shows. \
            With --repair what is bad is repaired in the same pass.

            Exit codes: 0 all healthy, 3 unhealthy units remain, 5 the list was cut off.
            """)

    @OptionGroup var module: ModuleOptions

    @Flag(help: "Read and hash every file and every stored copy.")
    var verify = false

    @Flag(help: "Repair what is bad, in the same pass.")
    var repair = false

    @OptionGroup var policy: RepairPolicyOptions
    @OptionGroup var stream: StreamOptions

    func run() throws {
        let (configuration, definition) = try module.load()
        let lock = try ModuleStates.lock(definition.name, configuration)
        defer { withExtendedLifetime(lock) {} }
        let state = try ModuleStates.open(definition.name, configuration)
        let stats = try StoreHandle.open(configuration, creating: true).during { handle in
            let check = try CheckStage(
                root: definition.path, state: state, store: handle.store, verify: verify)
            var stages: [any Stage] = [check]
            if repair {
                stages.append(
                    try policy.stage(definition, configuration, state: state, handle: handle))
            }
            let checkpoint = try stream.openCheckpoint(
                "check \(definition.name)\(verify ? " --verify" : "")"
                    + (repair ? " --repair" : ""))
            return try StageTool.run(
                stages.count == 1 ? check : StageChain(stages),
                stream.source(definition, checkpoint), checkpoint: checkpoint)
        }
        try Verdict.end(stats)
    }
}
