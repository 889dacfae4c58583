import Checker
import ContentStore
import Dehydrator
import Foundation
import JobTable
import Manifest
import Platform
import Repairer
import Stages
import StoreTestSupport
import TestSupport
import Testing

/// A module with its state and a store in memory, for tests of the stages as a worker runs them.
final class Workbench {
    static let password = Array("a password".utf8)

    let folder: TemporaryFolder
    let backend: any Backend
    private(set) var store: Store
    private(set) var state: ModuleState
    var batchUnits = 1024
    var threads = 2

    var module: String { folder("module") }
    /// The backend, where it is the one in memory.
    var memory: MemoryBackend {
        get throws { try #require(backend as? MemoryBackend) }
    }

    init(_ backend: any Backend = MemoryBackend()) throws {
        folder = try TemporaryFolder("stages")
        self.backend = backend
        try FileManager.default.createDirectory(
            atPath: folder("module"), withIntermediateDirectories: true)
        try Workbench.makeStore(backend)
        store = try Workbench.open(backend, folder("state"))
        state = try ModuleState(path: folder("module.sqlite"), module: "m")
    }

    /// The module in `folder` and a store that is there, or one in memory that is made.
    init(_ backend: any Backend, in folder: TemporaryFolder, state name: String = "bench") throws {
        self.folder = folder
        self.backend = backend
        if backend is MemoryBackend { try Workbench.makeStore(backend) }
        let password = backend is MemoryBackend ? Workbench.password : StoreScene.password
        store = try Store(backend: backend, password: password, stateDirectory: folder(name))
        try store.refresh(session: StoreSession.newName())
        state = try ModuleState(path: folder("\(name).sqlite"), module: "m")
    }

    /// The module and the state of another, with a state file or a store of its own.
    init(
        _ other: Workbench, backend: (any Backend)? = nil, state: String = "state-2"
    ) throws {
        folder = other.folder
        self.backend = backend ?? other.backend
        batchUnits = other.batchUnits
        if backend is MemoryBackend, backend !== other.backend {
            try Workbench.makeStore(self.backend)
        }
        store = try Workbench.open(self.backend, folder(state))
        self.state = other.state
    }

    /// The module and the store of another, with a state of its own.
    init(_ other: Workbench, state: ModuleState) throws {
        folder = other.folder
        backend = other.backend
        batchUnits = other.batchUnits
        store = other.store
        self.state = state
    }

    static func makeStore(_ backend: any Backend) throws {
        try Store.create(on: backend, password: password, cost: KeyFile.Cost(n: 2, r: 1, p: 1))
    }

    static func open(_ backend: any Backend, _ state: String) throws -> Store {
        let store = try Store(backend: backend, password: password, stateDirectory: state)
        try store.refresh(session: StoreSession.newName())
        return store
    }

    func refresh() throws { try store.refresh(session: StoreSession.newName()) }

    /// Opens everything again, as the next process would.
    func reopen(forgettingIndex: Bool = false) throws {
        try state.close()
        if forgettingIndex { removeTree(folder("state")) }
        store = try Workbench.open(backend, folder("state"))
        state = try ModuleState(path: folder("module.sqlite"), module: "m")
    }

    /// The store as somebody sees it who has nothing but the backend.
    func stranger() throws -> Store {
        try Workbench.open(backend, folder("stranger-\(UInt64.random(in: .min ... .max))"))
    }

    // MARK: Files

    func write(_ name: String, _ bytes: [UInt8]) throws {
        let path = module + "/" + name
        let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try FileManager.default.createDirectory(
            atPath: parent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    func read(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: module + "/" + name)))
    }

    /// Waits until nothing in the module counts as just changed.
    func settle() {
        Corpus.settle()
    }

    /// The units of the module as they are now.
    func walk() throws -> [Unit] {
        let walk = try Walk(root: module)
        var units: [Unit] = []
        while let chunk = try walk.next() { units += chunk }
        return units
    }

    // MARK: Stages

    /// Writes a manifest: of the module, or of given units.
    @discardableResult
    func manifest(_ run: String, _ units: [Unit]? = nil) throws -> [Unit] {
        let units = try units ?? walk()
        try perform(
            ManifestStage(), run, source: UnitSource(units, batchUnits: batchUnits),
            onlyFull: true)
        return units
    }

    @discardableResult
    func check(_ run: String, verify: Bool) throws -> Stats {
        try perform(
            CheckStage(root: module, state: state, store: store, verify: verify), run,
            after: ["manifest"])
    }

    @discardableResult
    func repair(_ run: String, _ policy: RepairPolicy, checked: Stats? = nil) throws -> Stats {
        try perform(repairStage(policy, checked: checked), run, after: ["manifest", "check"])
    }

    func repairStage(_ policy: RepairPolicy, checked: Stats? = nil) throws -> RepairStage {
        try RepairStage(
            root: module, state: state, store: store, session: StoreSession(store: store),
            policy: policy,
            quarantine: Quarantine(stateDirectory: folder("state"), module: "m"),
            checked: checked)
    }

    func dehydrateStage(
        _ run: String, _ options: DehydrateOptions = DehydrateOptions()
    ) throws -> DehydrateStage {
        try DehydrateStage(
            module: "m", root: module, state: state, session: StoreSession(store: store),
            list: ListKey(run: run, stage: "dehydrate"), options: options)
    }

    @discardableResult
    func dehydrate(
        _ run: String, after: [String] = ["manifest"],
        _ options: DehydrateOptions = DehydrateOptions(), stopAt: Int? = nil
    ) throws -> Stats {
        try perform(
            dehydrateStage(run, options), run, after: after, onlyFull: true, stopAt: stopAt)
    }

    /// Manifest and dehydrate of the module as it is now.
    @discardableResult
    func store(_ run: String) throws -> Stats {
        settle()
        try manifest(run)
        return try dehydrate(run)
    }

    /// Runs a stage from its checkpoint to its end, over the finished lists of the stages `after`.
    ///
    /// - Parameter stopAt: dies instead of the commit with this number.
    @discardableResult
    func perform(
        _ stage: any Stage, _ run: String, after: [String] = [],
        source: (any BatchSource)? = nil, onlyFull: Bool = false, stopAt: Int? = nil
    ) throws -> Stats {
        let key = ListKey(run: run, stage: stage.name)
        let info = try state.openList(key, definition: [])
        var statistics = StatsAccumulator()
        if let note = info.checkpoint.note { statistics = try StatsAccumulator(state: note.span) }
        for number in 0..<info.chunks where stage.needsReplay {
            let chunk = try #require(try state.chunk(key, number))
            try stage.replay(ListDecoder.units(of: chunk), number: number)
        }
        let sink = ListSink(state: state, info: info, onlyFull: onlyFull)
        let first = info.checkpoint.inputChunks
        return try StageLoop(
            stage: stage,
            source: try source
                ?? ListSource(
                    state: state, keys: after.map { ListKey(run: run, stage: $0) },
                    firstBatch: first),
            sink: stopAt.map { DyingSink(sink, at: $0) } ?? sink, threads: threads,
            firstBatch: first, statistics: statistics
        ).run()
    }

    /// The joined units of some stages of a run.
    func units(_ run: String, _ stages: [String]) throws -> [Unit] {
        let source = try ListSource(
            state: state, keys: stages.map { ListKey(run: run, stage: $0) }, firstBatch: 0)
        var units: [Unit] = []
        while let batch = try source.next() { units += try batch.load().units }
        return units
    }

    /// Makes the baseline agree with the metadata that files have now, without a look at their
    /// content: then damage that was done since cannot be told from rot.
    func rebase() throws {
        let old = try #require(try state.baseline())
        let files = try ModuleFiles(root: module)
        var units = try self.units(old.key.run, [old.key.stage])
        for i in units.indices where units[i].metadata.kind == .file {
            guard let now = try files.unit(at: units[i].path) else { continue }
            units[i].metadata = now.metadata
        }
        let key = ListKey(run: "rebased-\(old.key.run)", stage: "dehydrate")
        let info = try state.openList(key, definition: [])
        let sink = ListSink(state: state, info: info, onlyFull: true)
        var output = StageOutput()
        for unit in units { output.append(unit, origin: nil) }
        let batch = UnitBatch(number: 0, firstSeq: 0, units: units, after: nil, upTo: nil)
        let encoded = sink.encode(output, of: batch, with: ZstdCompressor(level: 1))
        try sink.commit([encoded], checkpoint: Checkpoint(inputChunks: 1))
        var baseline = old
        baseline.key = key
        try sink.finish(
            Stats(), checkpoint: Checkpoint(inputChunks: 1), StageCompletion(baseline: baseline))
    }

    // MARK: Damage

    /// The pack with the first blob of a file of the baseline, and where in it.
    func location(_ path: String) throws -> BlobLocation {
        let baseline = try #require(try state.baseline())
        let unit = try #require(
            try units(baseline.key.run, [baseline.key.stage]).first {
                $0.path == Array(path.utf8)
            })
        let ids = try #require(unit.content?.ids)
        let id = try #require(ids.dropFirst(ids.count / 2).first)
        return try #require(try store.index.allLocations(id, .data).first)
    }

    func flipPack(_ path: String) throws {
        let location = try location(path)
        let key = ObjectKey(.pack, location.pack)
        var bytes = try #require(try memory.objects[key])
        bytes[Int(location.offset) + 20] ^= 1
        try memory.damage(key, bytes)
    }

    func losePack(_ path: String) throws {
        try memory.damage(ObjectKey(.pack, location(path).pack), nil)
        try refresh()
    }

    /// Flips a byte of a file in a way that no metadata shows.
    func rot(_ path: String) throws {
        var bytes = try read(path)
        bytes[bytes.count / 2] ^= 1
        let file = try #require(FileHandle(forWritingAtPath: module + "/" + path))
        try file.write(contentsOf: bytes)
        try file.close()
        try rebase()
    }
}

/// Batches of given units, then a last one for what lies behind them, as every source gives them.
final class UnitSource: BatchSource {
    private let units: [Unit]
    private let batchUnits: Int
    private var next0 = 0
    private var number = 0
    private var ended = false

    init(_ units: [Unit], batchUnits: Int) {
        self.units = units
        self.batchUnits = batchUnits
    }

    func next() throws -> (any PendingBatch)? {
        guard !ended else { return nil }
        let part = Array(units[next0..<min(next0 + batchUnits, units.count)])
        ended = part.isEmpty
        let batch = UnitBatch(
            number: number, firstSeq: next0, units: part,
            after: next0 == 0 ? nil : units[next0 - 1].path, upTo: part.last?.path)
        number += 1
        next0 += part.count
        return batch
    }
}

/// Dies instead of a commit: nothing after it happens.
final class DyingSink: BatchSink {
    struct Death: Error {}
    private let sink: ListSink
    private let left: Monitor<Int>

    init(_ sink: ListSink, at: Int) {
        self.sink = sink
        left = Monitor(at)
    }

    func encode(
        _ output: StageOutput, of batch: UnitBatch, with compressor: ZstdCompressor
    ) -> EncodedBatch { sink.encode(output, of: batch, with: compressor) }

    func commit(_ batches: [EncodedBatch], checkpoint: Checkpoint) throws {
        try live()
        try sink.commit(batches, checkpoint: checkpoint)
    }

    func finish(
        _ stats: Stats, checkpoint: Checkpoint, _ completion: StageCompletion
    ) throws {
        try live()
        try sink.finish(stats, checkpoint: checkpoint, completion)
    }

    private func live() throws {
        try left.with { left in
            guard left > 0 else { throw Death() }
            left -= 1
        }
    }
}

/// Bytes that do not compress and differ with `seed`.
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed: seed &* 0x9E37_79B9_7F4A_7C15 | 1)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
        withUnsafeBytes(of: generator.next()) { bytes.append(contentsOf: $0) }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

extension Unit {
    var name: String { String(decoding: path, as: UTF8.self) }
}

extension [Unit] {
    subscript(_ name: String) -> Unit? { first { $0.name == name } }
}

/// Foundation has one as well.
typealias Unit = Manifest.Unit
