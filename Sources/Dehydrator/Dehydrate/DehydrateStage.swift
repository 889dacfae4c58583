package import ContentStore
package import JobTable
package import Manifest
package import Platform
package import Stages
internal import Synchronization

/// How a module is dehydrated.
package struct DehydrateOptions: Sendable {
    package var compression: Compression
    /// Write no snapshot when nothing changed since the last one.
    package var skipUnchanged: Bool
    /// Patterns that the walk left out, for the snapshot's record.
    package var excludes: [String]

    package init(
        compression: Compression = .auto, skipUnchanged: Bool = false, excludes: [String] = []
    ) {
        self.compression = compression
        self.skipUnchanged = skipUnchanged
        self.excludes = excludes
    }
}

/// Drains a module's changes into the store: content first, then trees, the snapshot last.
///
/// Each batch's content is durable before its checkpoint. Trees are built on the way; a resumed
/// run builds them again from its list, which costs reading and no upload.
package final class DehydrateStage: Stage {
    package let name = "dehydrate"
    let module: String
    let root: String
    let state: ModuleState
    let session: StoreSession
    let options: DehydrateOptions
    let baseline: Baseline?
    /// The store's generation at the beginning: what was there then is not looked up again.
    let generation: Int64
    /// The same when the list was begun, by a run before this one perhaps: what its units rely on
    /// was there then.
    private let firstGeneration: Int64
    // Content of replayed units that has gone since they were written.
    private let lostSince = Monitor<UInt64>(0)
    /// When the list was begun: the time of the snapshot.
    let started: Timestamp
    private let clock: any WallClock
    private let run: String
    private let list: ListKey
    private let rootDevice: UInt64
    // Only the collecting thread builds trees.
    private let trees: Monitor<LazyTrees>
    // Whether something changed: from then on workers make the nodes of every batch.
    let buildsTrees = Atomic(false)
    private let sinks = Monitor<[BlobSink]>([])
    private let menders = Monitor<[Mender]>([])

    /// - Parameters:
    ///   - session: the caller holds a lock on its store and has refreshed its index.
    ///   - list: the list that the stage writes, which becomes the module's new baseline.
    ///   - catchUp: told the bytes of each chunk that is read again to make up for trees that were
    ///     left out; may throw to stop.
    package init(
        module: String, root: String, state: ModuleState, session: StoreSession,
        list: ListKey, options: DehydrateOptions, clock: any WallClock = SystemClock(),
        catchUp: @escaping @Sendable (_ bytes: Int) throws -> Void = { _ in }
    ) throws(Failure) {
        self.module = module
        self.root = root
        self.state = state
        self.session = session
        self.options = options
        self.clock = clock
        self.list = list
        run = list.run
        baseline = try state.baseline(in: session.store)
        generation = try session.store.index.generation()
        let beginning = try Beginning(
            of: list, state, generation: generation, now: clock.now())
        firstGeneration = beginning.generation
        started = beginning.time
        do {
            rootDevice = try Descriptor.open(root, [.readOnly, .directory]).metadata().device
        } catch {
            throw Failure(.module, "module directory \(root) cannot be opened", cause: "\(error)")
        }
        trees = Monitor(
            LazyTrees(
                session: session, baseline: baseline, state: state, rootDevice: rootDevice,
                catchUp: catchUp))
    }

    /// What was so when a list was begun.
    private struct Beginning {
        var generation: Int64
        var time: Timestamp

        private static let prefix = "dehydrate-begun/"

        static func noteName(_ list: ListKey) -> String { "\(prefix)\(list)" }

        /// The beginning of `list`: now, or as the journal has it.
        ///
        /// Of a list that has content already and no note no generation is known: everything is
        /// looked up then.
        init(
            of list: ListKey, _ state: ModuleState, generation: Int64, now: Timestamp
        ) throws(Failure) {
            self.generation = generation
            time = now
            let lists = try state.lists()
            guard lists.first(where: { $0.key == list })?.chunks ?? 0 == 0 else {
                let fields =
                    try state.note(Beginning.noteName(list))
                    .map { String(decoding: $0, as: UTF8.self).split(separator: " ") } ?? []
                let time = fields.last.flatMap { Int128($0) }
                self.generation = fields.first.flatMap { Int64($0) } ?? -1
                if let time { self.time = Timestamp(nanosecondsSinceEpoch: time) }
                return
            }
            // Notes of lists that were dropped go with the next one.
            let kept = Set(lists.map { Beginning.noteName($0.key) })
            let old = try state.noteNames()
                .filter { $0.hasPrefix(Beginning.prefix) && !kept.contains($0) }
            let note = Array("\(generation) \(now.nanosecondsSinceEpoch)".utf8)
            try state.change(
                old.map { NoteChange($0, nil) } + [NoteChange(Beginning.noteName(list), note)])
        }
    }

    package func makeWorker() throws -> any StageWorker {
        let sink = BlobSink(session: session, compression: options.compression)
        sinks.with { $0.append(sink) }
        return try DehydrateWorker(stage: self, sink: sink)
    }

    func fragments(_ units: [Unit]) throws(Failure) -> TreeFragments {
        try TreeFragments(units, root: rootDevice)
    }

    package func collect(_ output: StageOutput, number: Int) throws {
        switch output.payload {
        case let fragments as TreeFragments: try add(fragments)
        case let skipped as SkippedTrees: try trees.with { try $0.skip(skipped) }
        default: throw Failure(.bug, "a batch of dehydrate without its tree nodes")
        }
    }

    private func add(_ fragments: TreeFragments) throws {
        buildsTrees.store(true, ordering: .relaxed)
        try trees.with { try $0.add(fragments) }
    }

    package var needsReplay: Bool { true }

    package func replay(_ units: [Unit], number: Int) throws {
        if generation != firstGeneration {
            for unit in units {
                let isLost = try (unit.content?.ids ?? []).contains { id throws(Failure) in
                    try !session.store.index.contains(id, .data)
                }
                if try isLost && !storeAgain(unit, batch: number) { lostSince.with { $0 += 1 } }
            }
        }
        try add(fragments(units))
    }

    /// Stores the content of a unit anew that the store had when the unit was written.
    ///
    /// Nobody may rely on packs that were counted out while no session was there. False when the
    /// file is not that content any more.
    private func storeAgain(_ unit: Unit, batch: Int) throws -> Bool {
        try menders.with { menders in
            if menders.isEmpty {
                let sink = BlobSink(session: session, compression: options.compression)
                sinks.with { $0.append(sink) }
                menders.append(
                    Mender(
                        files: try ModuleFiles(root: root),
                        writer: ContentWriter(store: session.store, sink: sink)))
            }
            do {
                let file = try menders[0].files.open(unit.path)
                return try menders[0].writer.storeAgain(
                    file.descriptor, ids: unit.content?.ids ?? [], index: session.store.index,
                    batch: batch)
            } catch is SystemError {
                return false
            }
        }
    }

    /// What stores content again on the thread that replays.
    private struct Mender {
        var files: ModuleFiles
        var writer: ContentWriter
    }

    package func durableBelow() throws -> Int { try session.durableBelow() }

    package func flush() throws {
        for sink in sinks.with({ $0 }) { try sink.flush() }
        try session.drain()
    }

    package func finish(_ stats: Stats) throws -> StageCompletion {
        let tree = try trees.with { try $0.finish(module: module) }
        let new = trees.with { $0.new }
        try session.finish()
        CrashPoint.reached("trees-durable")
        if session.uploadedPacks > 0 { try secure(tree) }
        let snapshot = try writeSnapshot(tree, stats)
        CrashPoint.reached("snapshot-durable")
        // After it: whoever counts packs out looks for new snapshots after that, so that one of
        // the two sees the other.
        try secure(tree)
        var completion = StageCompletion()
        completion.counters = [
            Stats.Counter("new-trees", new.trees),
            Stats.Counter("new-tree-bytes", new.bytes),
            Stats.Counter("new-packs", UInt64(session.uploadedPacks)),
            Stats.Counter("new-snapshots", snapshot == baseline?.snapshot ? 0 : 1),
        ]
        let lost = lostSince.with { $0 }
        if lost > 0 {
            completion.counters.append(Stats.Counter(DehydrateCounters.lost, lost))
        }
        // A reference that was not found in the store is looked up again every time.
        let complete =
            stats[counter: DehydrateCounters.lost] + lost == 0 && generation == firstGeneration
        completion.baseline = Baseline(
            key: list, snapshot: snapshot, rootTree: tree,
            storeID: session.store.id.description,
            storeGeneration: complete ? generation : -1, time: started)
        completion.notes = [
            NoteChange(PendingSnapshot.noteName, nil),
            NoteChange(Beginning.noteName(list), nil),
        ]
        return completion
    }

    private func secure(_ tree: Digest) throws {
        try session.secure(tree, since: generation, tick: { try Interruption.check() })
    }

    private func writeSnapshot(_ tree: Digest, _ stats: Stats) throws -> Digest {
        let store = session.store
        if options.skipUnchanged, let baseline, baseline.rootTree == tree,
            try store.backend.size(ObjectKey(.snapshot, baseline.snapshot)) != nil
        {
            return baseline.snapshot
        }
        let pending = try PendingSnapshot.load(from: state, run: run, tree: tree)
        let snapshot =
            pending
            ?? PendingSnapshot(
                run: run, tree: tree, store: store,
                // Whether somebody has forgotten the parent since is not worth a request.
                snapshot: snapshot(tree, parent: baseline?.snapshot, stats))
        if pending == nil { try snapshot.save(to: state) }
        CrashPoint.reached("snapshot-journalled")
        try session.confirmLock()
        try store.put(snapshot: snapshot.id, snapshot.sealed)
        return snapshot.id
    }

    private func snapshot(_ tree: Digest, parent: Digest?, _ stats: Stats) -> Snapshot {
        var summary = Snapshot.Summary(start: started, end: clock.now())
        summary.filesNew = stats[counter: DehydrateCounters.new]
        summary.filesChanged = stats[counter: DehydrateCounters.changed]
        summary.filesUnmodified = stats[counter: DehydrateCounters.unchanged]
        summary.dataAddedPacked =
            stats[counter: DehydrateCounters.newBytes] + trees.with { $0.new.bytes }
        summary.dataAdded = summary.dataAddedPacked
        summary.totalFilesProcessed = stats.countFiles
        summary.totalBytesProcessed = stats.sizeFiles
        return Snapshot(
            time: started, tree: tree, paths: Snapshot.paths(of: module),
            hostname: ProcessIdentity.hostName, username: "cistern", uid: effectiveUserID,
            gid: effectiveGroupID, tags: Snapshot.tags(of: module), parent: parent,
            excludes: options.excludes, programVersion: cisternVersion, summary: summary)
    }
}

/// The counters that dehydrate keeps in its list's statistics.
package enum DehydrateCounters {
    package static let new = "files-new"
    package static let changed = "files-changed"
    package static let unchanged = "files-unchanged"
    package static let removed = "units-removed"
    /// Units that could not be read and were not in the last snapshot either.
    package static let failed = "units-failed"
    /// Units that could not be read; the snapshot holds their last good version.
    package static let kept = "units-kept"
    package static let changedWhileRead = "files-changed-while-read"
    package static let vanished = "files-vanished"
    package static let readBytes = "read-bytes"
    package static let newBytes = "new-bytes"
    /// Content that the snapshot names and the store does not have any more.
    package static let lost = "files-lost"
}
