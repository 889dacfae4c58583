internal import Checker
internal import ContentStore
internal import Dehydrator
internal import Dispatcher
internal import JobTable
internal import Manifest
internal import Platform
internal import Repairer
internal import Stages

/// The stages of one run over one module, each reading the lists of those before it.
final class ModuleRun {
    private let id: String
    private let module: ModuleDefinition
    private let configuration: Configuration
    private let control: JobControl
    private let lock: FileLock
    private let state: ModuleState
    private let openStore: () throws -> StoreHandle
    /// The lists of this run so far, in the order of their stages.
    private var lists: [ListKey] = []

    init(
        id: String, module: ModuleDefinition, configuration: Configuration, control: JobControl,
        store: @escaping () throws -> StoreHandle
    ) throws(Failure) {
        self.id = id
        self.module = module
        self.configuration = configuration
        self.control = control
        openStore = store
        lock = try ModuleStates.lock(module.name, configuration)
        state = try ModuleStates.open(module.name, configuration)
        try dropIfOvertaken()
    }

    /// Begins anew where this run was interrupted and another one has dehydrated the module since:
    /// what this one has listed is older than the last snapshot.
    private func dropIfOvertaken() throws(Failure) {
        let baseline = try state.baseline()?.key
        guard baseline?.run != id else { return }
        let name = ModuleRun.begunPrefix + id
        let begun = Array((baseline.map { "\($0)" } ?? "-").utf8)
        guard try state.note(name) != begun else { return }
        let lists = try state.lists()
        for info in lists where info.key.run == id { try state.dropList(info.key) }
        // Notes of runs that have no list any more go with the next one.
        let kept = Set(lists.map { ModuleRun.begunPrefix + $0.key.run })
        let old = try state.noteNames()
            .filter { $0.hasPrefix(ModuleRun.begunPrefix) && !kept.contains($0) && $0 != name }
        try state.change(old.map { NoteChange($0, nil) } + [NoteChange(name, begun)])
    }

    /// Of each run the snapshot's list that it began from.
    private static let begunPrefix = "run-begun/"

    /// Runs a stage to its end, from its checkpoint; one that is finished already is passed over.
    func perform(_ definition: StageDefinition) throws {
        let key = ListKey(run: id, stage: definition.kind.rawValue)
        defer { lists.append(key) }
        let info = try state.openList(key, definition: StageDefinitions.encode(definition, module))
        guard !info.finished else { return }
        control.progress.begin(
            stage: key.stage,
            unitsTotal: try lists.first.flatMap { try state.list($0)?.units }
                .map { Int64($0) })
        let stage = try makeStage(definition, key)
        var statistics = StatsAccumulator()
        if let note = info.checkpoint.note { statistics = try StatsAccumulator(state: note.span) }
        control.progress.resume(units: Int64(info.units))
        if stage.needsReplay { try replay(stage, key, info) }
        let loop = StageLoop(
            stage: stage, source: try source(definition, info),
            sink: ListSink(state: state, info: info, onlyFull: definition.isFullList),
            firstBatch: info.checkpoint.inputChunks, statistics: statistics,
            progress: { [control] units, bytes in
                control.progress.add(units: Int64(units), bytes: Int64(bytes))
            },
            checkStop: { [control] in try control.check() },
            mayCommit: { [control] in control.stop != .leaseLost })
        _ = try loop.run()
    }

    private func replay(_ stage: any Stage, _ key: ListKey, _ info: ListInfo) throws {
        for number in 0..<info.chunks {
            guard let chunk = try state.chunk(key, number) else { break }
            try control.check()
            try stage.replay(ListDecoder.units(of: chunk), number: number)
            // Re-reading is progress too: the watchdog must not take it for a stall.
            control.progress.add(units: 0, bytes: Int64(chunk.lines.count))
        }
    }

    private func source(
        _ definition: StageDefinition, _ info: ListInfo
    ) throws -> any BatchSource {
        guard case .manifest(let options) = definition else {
            return try ListSource(
                state: state, keys: lists, firstBatch: info.checkpoint.inputChunks)
        }
        var walkOptions = try WalkOptions(module)
        if let oneFileSystem = options.oneFileSystem { walkOptions.oneFileSystem = oneFileSystem }
        let after = info.checkpoint.lastPath
        if let after {
            walkOptions.resumedUnitHasError =
                try state.unreadableDirectory(in: info.key, at: after) == after
        }
        return WalkSource(
            try Walk(root: module.path, options: walkOptions, resumeAfter: after),
            firstBatch: info.checkpoint.inputChunks, firstSeq: info.units, after: after)
    }

    private func makeStage(_ definition: StageDefinition, _ key: ListKey) throws -> any Stage {
        switch definition {
        case .manifest:
            return ManifestStage()
        case .check(let options):
            return try CheckStage(
                root: module.path, state: state, store: try openStore().store,
                verify: options.verify)
        case .repair(let options):
            let handle = try openStore()
            return try RepairStage(
                root: module.path, state: state, store: handle.store,
                session: handle.newSession(), policy: RepairPolicy(options),
                quarantine: Quarantine(
                    stateDirectory: configuration.state, module: module.name),
                checked: try stats(.check))
        case .dehydrate(let options):
            let handle = try openStore()
            return try DehydrateStage(
                module: module.name, root: module.path, state: state,
                session: handle.newSession(), list: key,
                options: Dehydrator.DehydrateOptions(options, excludes: module.exclude),
                catchUp: { [control] bytes in
                    try control.check()
                    control.progress.add(units: 0, bytes: Int64(bytes))
                })
        case .prune:
            throw Failure(.bug, "stage prune has no list")
        }
    }

    private func stats(_ kind: StageKind) throws -> Stats? {
        let key = ListKey(run: id, stage: kind.rawValue)
        guard let line = try state.list(key)?.stats else { return nil }
        return try StageDefinitions.stats(line)
    }

    /// Adds what a finished stage found to the job's summary.
    func add(_ kind: StageKind, to summary: inout JobSummary) throws {
        guard let stats = try stats(kind) else { return }
        summary.add(stats, of: kind)
        if kind == .dehydrate, let baseline = try state.baseline() {
            summary.set(snapshot: baseline.snapshot.description)
        }
    }

    /// Drops the lists of old runs.
    func keepRuns(_ count: Int) throws {
        _ = try state.keepRuns(count)
    }
}

/// The state files of modules.
enum ModuleStates {
    /// The path of a module's state file.
    static func path(_ module: String, _ configuration: Configuration) -> String {
        "\(configuration.state)/modules/\(module).sqlite"
    }

    /// Opens a module's state, made on first use.
    static func open(
        _ module: String, _ configuration: Configuration
    ) throws(Failure) -> ModuleState {
        do {
            try AtomicFile.makeDirectories("\(configuration.state)/modules")
        } catch {
            throw Failure(
                .module, "the state folder \(configuration.state) cannot be made",
                cause: error.reason)
        }
        return try ModuleState(path: path(module, configuration), module: module)
    }

    /// Makes this process the only one that works on a module, until the lock goes away.
    ///
    /// - Throws: a `locked` failure when another one does.
    static func lock(
        _ module: String, _ configuration: Configuration
    ) throws(Failure) -> FileLock {
        let path = "\(configuration.state)/modules/\(module).lock"
        do {
            try AtomicFile.makeDirectories("\(configuration.state)/modules")
            return try FileLock(path)
        } catch {
            guard error.code == Errno.again else {
                throw Failure(.module, "module \(module) cannot be locked", cause: "\(error)")
            }
            throw Failure(
                .locked, "another process works on module \(module)",
                hint: "`cistern status` shows runs; a tool by hand ends by itself")
        }
    }
}
