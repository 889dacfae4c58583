internal import ArgumentParser
internal import ContentStore
internal import Dehydrator
internal import Dispatcher
internal import JobTable
internal import Manifest
internal import Platform
internal import Stages

/// `cistern dehydrate`: a module's changes into the store.
struct DehydrateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dehydrate",
        abstract: "Store what is new in a module, and make a snapshot of it.",
        discussion: """
            Walks the module (or reads the list of a stage before with --list), stores new and \
            changed files, and writes trees and a snapshot that restic can read. A module where \
            nothing changed adds nothing but the snapshot. A run that was killed goes on where \
            it stopped, unless another has made a snapshot since; --fresh starts anew.

            With --list the list is printed to standard output as NDJSON, otherwise a summary.

            Exit codes: 0 all stored, 3 some units could not be read (the snapshot keeps their \
            last good version), 5 the list was cut off.
            """)

    @OptionGroup var module: ModuleOptions

    @Option(
        help: ArgumentHelp(
            "How content is compressed: auto, off, max, or a zstd level from 1 to 19.",
            valueName: "how"))
    var compression = "auto"

    @Flag(help: "Write no snapshot when nothing changed.")
    var skipUnchanged = false

    @Flag(help: "Start anew, also when an earlier run was interrupted.")
    var fresh = false

    @Option(
        help: ArgumentHelp(
            "Read units from this NDJSON list of the stage before (- is standard input) instead "
                + "of walking the module.", valueName: "file"))
    var list: String?

    @OptionGroup var output: OutputOptions

    func run() throws {
        let (configuration, definition) = try module.load()
        let options = try options()
        let lock = try ModuleStates.lock(definition.name, configuration)
        defer { withExtendedLifetime(lock) {} }
        Interruption.install()
        let network = NetworkTotals()
        let state = try ModuleStates.open(definition.name, configuration)
        let run = try ManualDehydrate(
            module: definition, state: state, options: options, list: list, fresh: fresh)
        var (stats, baseline) = try StoreHandle.open(configuration, creating: true)
            .during { handle in
                let stats = try run.run(handle)
                _ = try state.keepRuns(configuration.keepRuns)
                return (stats, try state.baseline())
            }
        network.add(to: &stats)
        if list == nil { try summarise(stats, definition, baseline) }
        try Verdict.end(stats)
    }

    private func options() throws(Failure) -> Dispatcher.DehydrateOptions {
        let how: Dispatcher.Compression
        switch compression {
        case "auto": how = .auto
        case "off": how = .off
        case "max": how = .max
        default:
            guard let level = Int(compression), (1...19).contains(level) else {
                throw Failure(
                    .usage, "--compression cannot be `\(compression)`",
                    hint: "Allowed: auto, off, max, or a level from 1 to 19")
            }
            how = .level(level)
        }
        return Dispatcher.DehydrateOptions(compression: how, skipUnchanged: skipUnchanged)
    }

    private func summarise(
        _ stats: Stats, _ module: ModuleDefinition, _ baseline: Baseline?
    ) throws {
        if output.json {
            var line: [UInt8] = []
            Codec.encode(stats, into: &line)
            try Environment.write(line, to: 1)
            return
        }
        let counts = [
            (DehydrateCounters.new, "new"), (DehydrateCounters.changed, "changed"),
            (DehydrateCounters.unchanged, "unchanged"), (DehydrateCounters.removed, "removed"),
        ]
        let files = counts.map { "\(stats[counter: $0.0]) \($0.1)" }.joined(separator: ", ")
        let trees = stats[counter: "new-tree-bytes"]
        let stored = Format.bytes(Int64(stats[counter: DehydrateCounters.newBytes] + trees))
        let size = Format.bytes(Int64(stats.sizeFiles))
        try Print.line("module \(module.name): \(files); \(stored) stored of \(size)")
        if let baseline { try Print.line("snapshot \(baseline.snapshot)") }
    }
}

/// A dehydrate by hand: one pass over the module or over a list, resumable like a job.
struct ManualDehydrate {
    private static let prefix = "manual-"

    let module: ModuleDefinition
    let state: ModuleState
    let options: Dispatcher.DehydrateOptions
    let list: String?
    private let info: ListInfo
    private let source: any BatchSource

    /// Opens the list, and begins to walk: the key of the store, which is slow to get by design, is
    /// had meanwhile.
    init(
        module: ModuleDefinition, state: ModuleState, options: Dispatcher.DehydrateOptions,
        list: String?, fresh: Bool
    ) throws {
        self.module = module
        self.state = state
        self.options = options
        self.list = list
        let source = list.map { "list \($0)" } ?? "walk"
        // What a list is only gone on with if it was begun with the same: options, source, and
        // snapshot before it.
        let before = try state.baseline().map { "\($0.key)" } ?? "-"
        let definition =
            try StageDefinitions.encode(.dehydrate(options), module)
            + Array("\n\(source)\n\(before)".utf8)
        info = try ManualDehydrate.openList(definition, state, fresh: fresh)
        self.source = try ManualDehydrate.source(info, module, state, list)
    }

    func run(_ handle: StoreHandle) throws -> Stats {
        let stage = try DehydrateStage(
            module: module.name, root: module.path, state: state,
            session: handle.newSession(), list: info.key,
            options: Dehydrator.DehydrateOptions(options, excludes: module.exclude),
            catchUp: { _ in try Interruption.check() })
        var statistics = StatsAccumulator()
        if let note = info.checkpoint.note { statistics = try StatsAccumulator(state: note.span) }
        for number in 0..<info.chunks {
            guard let chunk = try state.chunk(info.key, number) else { break }
            try stage.replay(ListDecoder.units(of: chunk), number: number)
        }
        let sink = ListSink(state: state, info: info, onlyFull: true)
        return try StageLoop(
            stage: stage, source: source, sink: try tee(sink),
            firstBatch: info.checkpoint.inputChunks, statistics: statistics
        ).run()
    }

    private func tee(_ sink: ListSink) throws -> any BatchSink {
        guard list != nil else { return sink }
        return TeeSink(sink, StreamSink(try Descriptor.standardOutput(), checkpoint: nil))
    }

    /// An unfinished list of an earlier dehydrate by hand, or a new one.
    private static func openList(
        _ definition: [UInt8], _ state: ModuleState, fresh: Bool
    ) throws -> ListInfo {
        let unfinished = try state.lists().filter {
            !$0.finished && $0.key.run.hasPrefix(prefix)
        }
        for info in unfinished {
            if !fresh && info.definition == definition {
                if let last = info.checkpoint.lastPath {
                    Print.note("going on where an earlier dehydrate stopped: \(printable(last))")
                }
                return info
            }
            try state.dropList(info.key)
        }
        let now = SystemClock().now()
        let run = "\(prefix)\(now.nanosecondsSinceEpoch)"
        return try state.openList(ListKey(run: run, stage: "dehydrate"), definition: definition)
    }

    private static func source(
        _ info: ListInfo, _ module: ModuleDefinition, _ state: ModuleState, _ list: String?
    ) throws -> any BatchSource {
        let after = info.checkpoint.lastPath
        let first = info.checkpoint.inputChunks
        guard let list else {
            let unreadable = try after.flatMap { (after) throws(Failure) in
                try state.unreadableDirectory(in: info.key, at: after)
            }
            var options = try WalkOptions(module)
            options.resumedUnitHasError = unreadable != nil && unreadable == after
            let walk = try Walk(root: module.path, options: options, resumeAfter: after)
            return WalkSource(walk, firstBatch: first, after: after, unreadable: unreadable)
        }
        let input =
            list == "-" ? try Descriptor.standardInput() : try Descriptor.open(list, .readOnly)
        return StreamSource(NDJSONReader(input), resumeAfter: after, firstBatch: first)
    }
}
