import ContentStore
import Dehydrator
import Foundation
import JobTable
import Manifest
import Platform
import Stages
import StoreTestSupport
import TestSupport
import Testing

/// A backend as one process sees it: it can die in the middle, and take turns with others.
final class ProcessBackend: ForwardingBackend {
    struct Death: Error {}

    let base: MemoryBackend
    private let left: Monitor<Int>
    private let turns: Turns?
    private let process: Int

    /// - Parameters:
    ///   - dyingAfter: changes that take effect before the process is dead; never, if nil.
    init(_ base: MemoryBackend, dyingAfter: Int? = nil, turns: Turns? = nil, process: Int = 0) {
        self.base = base
        left = Monitor(dyingAfter ?? .max)
        self.turns = turns
        self.process = process
    }

    /// Whether it is dead.
    var isDead: Bool { left.with { $0 <= 0 } }

    func willCall(_ call: BackendCall, _ key: ObjectKey?) throws(BackendError) {
        turns?.pass(process)
        let isAlive = left.with { left in
            guard left > 0 else { return false }
            if call == .put || call == .remove { left -= 1 }
            return true
        }
        if !isAlive { throw .temporary(nil, cause: "the process is dead") }
    }
}

/// Lets one call at a time happen, chosen by a seed among the processes that wait for one.
final class Turns: Sendable {
    private struct State {
        var generator: SeededGenerator
        var running: Set<Int>
        /// How many threads of each process wait.
        var waiting: [Int: Int] = [:]
        var next: Int?
    }

    private let state: Monitor<State>

    init(seed: UInt64, processes: Int) {
        state = Monitor(
            State(generator: SeededGenerator(seed: seed), running: Set(0..<processes)))
    }

    /// Waits until it is this process's turn.
    ///
    /// When a process does not come to its next call for a while, because it computes, the others
    /// go on without it.
    func pass(_ process: Int) {
        state.with { state in
            state.waiting[process, default: 0] += 1
            Turns.choose(&state, force: false)
        }
        while true {
            let passed: Bool? = state.wait(seconds: 0.005) { state in
                guard state.next == process else { return nil }
                state.next = nil
                let left = (state.waiting[process] ?? 1) - 1
                state.waiting[process] = left > 0 ? left : nil
                return true
            }
            if passed != nil { return }
            state.with { Turns.choose(&$0, force: true) }
        }
    }

    /// The process makes no more calls.
    func end(_ process: Int) {
        state.with { state in
            state.running.remove(process)
            state.waiting[process] = nil
            if state.next == process { state.next = nil }
            Turns.choose(&state, force: false)
        }
    }

    private static func choose(_ state: inout State, force: Bool) {
        guard state.next == nil, force || state.running.allSatisfy({ state.waiting[$0] != nil })
        else {
            return
        }
        state.next = state.waiting.keys.sorted().randomElement(using: &state.generator)
    }
}

/// A store in memory that several hosts work on, each with a module and a state of its own.
final class GarbageScene {
    let folder: TemporaryFolder
    // Its name says that listings are never behind.
    let memory = MemoryBackend(location: "file:memory")
    private let pids = Monitor<Int32>(1000)

    init() throws {
        folder = try TemporaryFolder("garbage")
        try Workbench.makeStore(memory)
    }

    /// A scene with the objects of another one's store, and none of its modules and states.
    init(copy objects: [ObjectKey: [UInt8]]) throws {
        folder = try TemporaryFolder("garbage")
        for (key, bytes) in objects { memory.damage(key, bytes) }
    }

    /// One process on a host, which holds a lock.
    struct Process {
        let store: Store
        let lock: RepositoryLock
        let name: String

        func session() -> StoreSession {
            let lock = lock
            return StoreSession(
                store: store, confirmLock: { () throws(Failure) in try lock.check() })
        }
    }

    func start(
        _ host: String, on backend: (any Backend)? = nil, collector: Bool = false
    ) throws -> Process {
        let pid = pids.with { pid in
            pid += 1
            return pid
        }
        let store = try Store(
            backend: backend ?? memory, password: Workbench.password,
            stateDirectory: folder("state-\(host)"),
            holder: LockHolder(hostname: host, pid: pid))
        let name = StoreSession.newName()
        let lock = try store.lock(
            session: name, program: collector ? LockFile.collector : LockFile.cistern)
        try store.refresh(session: name)
        return Process(store: store, lock: lock, name: name)
    }

    /// Writes a file of a host's module.
    func write(_ host: String, _ file: String, _ bytes: [UInt8]) throws {
        let path = folder("module-\(host)")
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: path + "/" + file))
    }

    func remove(_ host: String, _ file: String) throws {
        try FileManager.default.removeItem(atPath: folder("module-\(host)") + "/" + file)
    }

    /// Dehydrates the host's module as a process of its own, going on with a list that was begun.
    func dehydrate(_ host: String, on backend: (any Backend)? = nil) throws {
        let process = try start(host, on: backend)
        let state = try ModuleState(path: folder("module-\(host).sqlite"), module: host)
        let unfinished = try state.lists().first { !$0.finished }
        let run = unfinished?.key.run ?? "run-\(process.name)"
        let info = try state.openList(ListKey(run: run, stage: "dehydrate"), definition: [])
        let root = folder("module-\(host)")
        let stage = try DehydrateStage(
            module: host, root: root, state: state, session: process.session(), list: info.key,
            options: DehydrateOptions())
        for number in 0..<info.chunks {
            let chunk = try #require(try state.chunk(info.key, number))
            try stage.replay(ListDecoder.units(of: chunk), number: number)
        }
        var units: [Manifest.Unit] = []
        let walk = try Walk(root: root)
        while let chunk = try walk.next() { units += chunk }
        let source = UnitSource(units, batchUnits: 4)
        for _ in 0..<info.checkpoint.inputChunks { _ = try source.next() }
        var statistics = StatsAccumulator()
        if let note = info.checkpoint.note { statistics = try StatsAccumulator(state: note.span) }
        _ = try StageLoop(
            stage: stage, source: source,
            sink: ListSink(state: state, info: info, onlyFull: true), threads: 1,
            firstBatch: info.checkpoint.inputChunks, statistics: statistics
        ).run()
        try state.close()
        try process.lock.release()
    }

    /// Dehydrates the host's module as if nobody had stored anything before.
    func dehydrateBlindly(_ host: String) throws {
        let hidden = memory.objects.filter {
            [.pack, .index, .snapshot].contains($0.key.kind)
        }
        for key in hidden.keys { memory.damage(key, nil) }
        try dehydrate(host)
        for (key, bytes) in hidden { memory.damage(key, bytes) }
    }

    /// Damages the copy of a blob in the largest pack that has it, and lets a host know.
    func spoil(_ id: Digest, knownOn host: String) throws {
        let process = try start(host)
        let copies = try process.store.index.locations(id, .data)
        let sizes = copies.map { memory.objects[ObjectKey(.pack, $0.pack)]?.count ?? 0 }
        let largest = try #require(zip(sizes, copies).max { $0.0 < $1.0 }).1
        let key = ObjectKey(.pack, largest.pack)
        var bytes = try #require(memory.objects[key])
        bytes[Int(largest.offset) + 40] ^= 1
        memory.damage(key, bytes)
        try process.store.index.markBad(id, .data, in: largest.pack)
        try process.lock.release()
    }

    @discardableResult
    func collect(
        _ host: String, on backend: (any Backend)? = nil,
        _ options: GarbageOptions = GarbageOptions(grace: 0, limits: GarbageLimits(maxUnused: 0))
    ) throws -> GarbageReport {
        let process = try start(host, on: backend, collector: true)
        let report = try GarbageCollector(session: process.session(), options: options).run()
        try process.lock.release()
        return report
    }

    /// Runs each of `bodies` in a thread of its own, with its view of the store.
    func race(
        seed: UInt64, deaths: [Int?],
        _ bodies: [@Sendable (any Backend) throws -> Void]
    ) -> [Result<Void, any Error>] {
        let memory = memory
        let turns = Turns(seed: seed, processes: bodies.count)
        let results = Monitor([Result<Void, any Error>?](repeating: nil, count: bodies.count))
        let threads = bodies.indices.map { i in
            let backend = ProcessBackend(
                memory, dyingAfter: deaths[i], turns: turns, process: i)
            return DedicatedThread(name: "racer-\(i)") {
                let result = Result { try bodies[i](backend) }
                turns.end(i)
                results.with { $0[i] = result }
            }
        }
        for thread in threads { thread.join() }
        return results.with { $0.compactMap { $0 } }
    }

    /// Removes all snapshots of a module but the newest.
    func forget(_ host: String, all: Bool = false) throws {
        let store = try stranger()
        for old in try store.snapshots(of: host).dropLast(all ? 0 : 1) {
            memory.damage(ObjectKey(.snapshot, old.id), nil)
        }
    }

    /// Removes the locks of the dead, as `restic unlock` does.
    func unlock() {
        for key in memory.objects.keys where key.kind == .lock { memory.damage(key, nil) }
    }

    /// The store as somebody sees it who has nothing but the backend.
    func stranger() throws -> Store {
        let name = "stranger-\(UInt64.random(in: .min ... .max))"
        let store = try Store(
            backend: memory, password: Workbench.password, stateDirectory: folder(name))
        try store.refresh(session: StoreSession.newName())
        return store
    }

    /// Reads every blob of every snapshot, by index files alone.
    ///
    /// - Returns: what cannot be read.
    func lost(of module: String? = nil) throws -> [String] {
        let store = try stranger()
        let reader = BlobReader(store: store)
        var lost: [String] = []
        var trees = try store.snapshots()
            .filter { stored in
                module == nil || module.map { ["/\($0)"] } == stored.snapshot.paths
            }
            .map(\.snapshot.tree)
        func isListed(_ id: Digest, _ type: BlobType) throws -> Bool {
            guard try store.index.contains(id, type) else { return false }
            var bytes: [UInt8] = []
            return (try? reader.read(id, type, into: &bytes)) != nil
        }
        while let tree = trees.popLast() {
            guard try isListed(tree, .tree) else {
                lost.append("tree \(tree.short)")
                continue
            }
            let cursor = try TreeCursor(tree, reader: reader, store: store)
            while let node = try cursor.next() {
                if let subtree = node.subtree { trees.append(subtree) }
                for id in node.content ?? [] where try !isListed(id, .data) {
                    lost.append("blob \(id.short) of \(String(decoding: node.name, as: UTF8.self))")
                }
            }
        }
        return lost
    }

    /// Packs in the store, and those of them that index files list.
    func packs() throws -> (all: Int, listed: Int) {
        var listed = 0
        try stranger().index.packs { _, _, present in listed += present ? 1 : 0 }
        return (memory.objects.keys.count { $0.kind == .pack }, listed)
    }
}
