package import ContentStore
internal import JobTable
internal import Manifest
package import Platform
internal import Stages

/// What a rebuilt state holds.
package struct StateRebuildResult: Sendable, Equatable {
    /// The snapshot that the state was made from; nil for a fresh state.
    package var snapshot: Digest?
    /// Files, directories and everything else that the state knows now.
    package var units = 0
    /// Where the old file is now; nil when there was none.
    package var old: String?
}

/// Makes the state file of a module anew from a snapshot in the store.
///
/// The new file is complete before the old one is moved aside, so that a failure or a kill leaves
/// what was there. Memory: one tree cursor for each directory on the way down, and one chunk.
package final class StateRebuild {
    /// Units in a chunk, as everywhere.
    private static let chunkUnits = 1024
    /// Bytes after which a chunk is closed earlier: files of very many blobs have long lines.
    private static let chunkBytes = 8 << 20

    private let module: String
    private let path: String
    private let store: Store
    private let time: Timestamp
    private let compressor = ZstdCompressor(level: 1)

    /// - Parameters:
    ///   - path: the module's state file; the caller holds the module's lock.
    ///   - store: the caller has refreshed its index.
    package init(
        module: String, path: String, store: Store, clock: any WallClock = SystemClock()
    ) {
        self.module = module
        self.path = path
        self.store = store
        time = clock.now()
    }

    /// Makes the state of `snapshot`, or a fresh one for nil.
    ///
    /// - Throws: `Failure` when a tree of the snapshot cannot be read or the disk is full; the old
    ///   state is as it was.
    package func run(_ snapshot: StoredSnapshot?) throws -> StateRebuildResult {
        let new = path + ".rebuild"
        // What a rebuild left that was killed; nothing else has such a name.
        for suffix in ["", "-wal", "-shm"] { try AtomicFile.remove(new + suffix) }
        let state = try ModuleState(path: new, module: module)
        var result = StateRebuildResult(snapshot: snapshot?.id)
        do {
            if let snapshot { result.units = try fill(state, snapshot) }
        } catch {
            // The first error is the one to tell.
            try? state.close()
            for suffix in ["", "-wal", "-shm"] { try? AtomicFile.remove(new + suffix) }
            throw error
        }
        try state.close()
        result.old = try StateFiles(path: path).replace(with: new, at: time)
        return result
    }

    // MARK: The list

    /// A part of the list that is not written yet.
    private struct Chunk {
        var number = 0
        var firstSeq = 0
        var units = 0
        var lines: [UInt8] = []
        var lastPath: [UInt8] = []
        var statistics = StatsAccumulator()

        mutating func add(_ unit: Unit) {
            Codec.encode(unit, into: &lines)
            statistics.add(unit)
            lastPath = unit.path
            units += 1
        }
    }

    private func fill(_ state: ModuleState, _ snapshot: StoredSnapshot) throws -> Int {
        let key = ListKey(run: "rebuild-\(time.seconds)", stage: "dehydrate")
        _ = try state.openList(key, definition: Array("rebuild".utf8))
        let reader = BlobReader(store: store)
        let root = try SnapshotRoot.find(snapshot.snapshot, store: store, reader: reader)
        var chunk = Chunk()
        chunk.add(RebuiltUnit.root(root.node))
        try walk(root.subtree, reader) { unit in
            chunk.add(unit)
            if chunk.units >= StateRebuild.chunkUnits
                || chunk.lines.count >= StateRebuild.chunkBytes
            {
                try write(&chunk, key, state)
            }
        }
        try write(&chunk, key, state)
        var stats: [UInt8] = []
        Codec.encode(chunk.statistics.stats, into: &stats)
        _ = try state.append(
            key, [], checkpoint: checkpoint(chunk), stats: stats,
            // Of no generation of the store: everything is looked up once.
            baseline: Baseline(
                key: key, snapshot: snapshot.id, rootTree: snapshot.snapshot.tree,
                storeID: store.id.description, storeGeneration: -1, time: snapshot.snapshot.time))
        return chunk.firstSeq
    }

    private func checkpoint(_ chunk: Chunk) -> Checkpoint {
        Checkpoint(inputChunks: chunk.number, lastPath: chunk.lastPath)
    }

    private func write(_ chunk: inout Chunk, _ key: ListKey, _ state: ModuleState) throws {
        guard chunk.units > 0 else { return }
        try Interruption.check()
        let compressed = ModuleState.compress(
            ListChunk(
                number: chunk.number, firstSeq: chunk.firstSeq, count: chunk.units,
                lastKey: sortKey(chunk.lastPath), lines: chunk.lines), compressor)
        chunk.number += 1
        chunk.firstSeq += chunk.units
        chunk.units = 0
        chunk.lines.removeAll(keepingCapacity: true)
        _ = try state.append(key, [compressed], checkpoint: checkpoint(chunk))
    }

    // MARK: The trees

    /// Calls `each` for everything below the tree `root`, in path order.
    private func walk(
        _ root: Digest, _ reader: BlobReader, _ each: (Unit) throws -> Void
    ) throws {
        var path: [UInt8] = []
        var frames = [(cursor: try TreeCursor(root, reader: reader, store: store), path: 0)]
        while let frame = frames.last {
            path.removeSubrange(frame.path...)
            let node: TreeNode?
            do {
                node = try frame.cursor.next()
            } catch {
                throw failure(error, path)
            }
            guard let node else {
                frames.removeLast()
                continue
            }
            if frame.path > 0 { path.append(UInt8(ascii: "/")) }
            path += node.name
            try each(RebuiltUnit.unit(node, path))
            guard node.kind == .directory, let tree = node.subtree else { continue }
            do {
                let cursor = try TreeCursor(tree, reader: reader, store: store)
                frames.append((cursor, path.count))
            } catch {
                throw failure(error, path)
            }
        }
    }

    private func failure(_ error: Failure, _ path: [UInt8]) -> Failure {
        var failure = Failure(
            error.kind, "directory /\(printable(path)) of the snapshot", wrapping: error)
        failure.hint =
            "The state is as it was. --snapshot takes another one of `cistern snapshots \(module)`"
        return failure
    }
}
