internal import ContentStore
internal import Platform

extension StoreCheck {
    /// Reads every snapshot, and every tree that one of them reaches, once, until `deadline`.
    func checkSnapshots(_ ids: [Digest], until deadline: Double?) throws {
        guard options.walksTrees else { return }
        result.snapshots = ids.count
        let trees = try StoreTreeCheck(store: store, problems: problems, deadline: deadline)
        let count = options.scrub.threads ?? store.backend.readerThreads
        let threads = (0..<count).map { index in
            DedicatedThread(name: "tree-\(index)") { trees.work() }
        }
        let sealer = Sealer(key: store.key)
        let fed = Result {
            for id in ids {
                try Interruption.check()
                guard let snapshot = try read(snapshot: id, sealer) else { continue }
                try trees.add(root: snapshot.tree, of: id)
            }
        }
        trees.end()
        for thread in threads { thread.join() }
        try fed.get()
        (result.trees, result.files) = try trees.finish()
        result.treesStopped = trees.isStopped
        try state.record(snapshotFindings, at: store.clock.now())
    }

    private func read(snapshot id: Digest, _ sealer: Sealer) throws(Failure) -> Snapshot? {
        do {
            let bytes = try store.backend.get(ObjectKey(.snapshot, id), limit: 16 << 20)
            let json = try UnpackedFile.open(bytes.span, expected: id, sealer: sealer)
            let snapshot = try Snapshot.decode(json)
            snapshotFindings.append(ScrubResult(ObjectKey(.snapshot, id), .deep, .good))
            return snapshot
        } catch BackendError.missing {
            // Forgotten by somebody since the listing.
            snapshotFindings.append(ScrubResult(ObjectKey(.snapshot, id), .deep, .gone))
            return nil
        } catch {
            let failure = Failure(.store, "snapshot \(id.short)", wrapping: error)
            if failure.kind == .temporary { throw failure }
            problems.add(StoreProblem(.snapshot, id, "\(failure)"))
            snapshotFindings.append(
                ScrubResult(ObjectKey(.snapshot, id), .deep, .bad("\(failure)")))
            return nil
        }
    }
}

/// The walk over trees: threads take trees from a bounded stack and put subtrees on it; what does
/// not fit there they read themselves, depth first.
final class StoreTreeCheck: Sendable {
    private static let stackLimit = 1024

    private struct Pending: Sendable {
        var tree: Digest
        var path: [UInt8]
        var snapshot: Digest
    }

    private struct State {
        var stack: [Pending] = []
        var active = 0
        var ended = false
        var failure: Failure?
        var isStopped = false
        var trees = 0
        var files = 0

        var isOver: Bool { failure != nil || isStopped || (ended && stack.isEmpty && active == 0) }
    }

    private let store: Store
    private let problems: StoreProblems
    private let seen: DigestSet
    private let deadline: Double?
    private let state = Monitor(State())

    init(store: Store, problems: StoreProblems, deadline: Double? = nil) throws(Failure) {
        self.store = store
        self.problems = problems
        self.deadline = deadline
        seen = try DigestSet()
    }

    /// Adds the root tree of a snapshot; waits while there is enough to do.
    func add(root: Digest, of snapshot: Digest) throws(Failure) {
        guard try seen.insert(root) else { return }
        state.wait { state -> Void? in
            guard state.failure == nil && !state.isStopped else { return () }
            guard state.stack.count < StoreTreeCheck.stackLimit / 2 else { return nil }
            state.stack.append(Pending(tree: root, path: [], snapshot: snapshot))
            return ()
        }
    }

    /// Whether the time was over before all trees were read.
    var isStopped: Bool { state.with { $0.isStopped } }

    private func stopIfDue() -> Bool {
        guard let deadline, monotonicSeconds() >= deadline else { return false }
        state.with { $0.isStopped = true }
        return true
    }

    /// Says that no root follows.
    func end() { state.with { $0.ended = true } }

    /// How many trees and files were looked at.
    func finish() throws(Failure) -> (trees: Int, files: Int) {
        let (failure, trees, files) = state.with { ($0.failure, $0.trees, $0.files) }
        if let failure { throw failure }
        return (trees, files)
    }

    /// One thread's work, until there is none left.
    func work() {
        do {
            let lookup = try BlobLookup(index: store.index)
            let reader = BlobReader(store: store)
            while let next = take() {
                let count = try walk(next, reader, lookup)
                state.with { state in
                    state.active -= 1
                    state.trees += count.trees
                    state.files += count.files
                }
            }
        } catch {
            state.with { state in
                state.failure = state.failure ?? Failure(.store, "trees", wrapping: error)
            }
        }
    }

    private func take() -> Pending? {
        state.wait { state -> Pending?? in
            if state.isOver { return .some(nil) }
            guard let next = state.stack.popLast() else { return nil }
            state.active += 1
            return next
        }
    }

    /// Puts a tree on the stack for whoever is free; false when the stack is full.
    private func offer(_ pending: Pending) -> Bool {
        state.with { state in
            guard state.stack.count < StoreTreeCheck.stackLimit else { return false }
            state.stack.append(pending)
            return true
        }
    }

    // MARK: One tree and what the stack has no room for

    private struct Frame {
        var cursor: TreeCursor
        /// The length of the path of the directory.
        var path: Int
    }

    private func walk(
        _ root: Pending, _ reader: BlobReader, _ lookup: BlobLookup
    ) throws(Failure) -> (trees: Int, files: Int) {
        var count = (trees: 0, files: 0)
        var path = root.path
        var frames: [Frame] = []
        try open(root.tree, root.snapshot, path, &frames, reader, lookup)
        count.trees += 1
        while let frame = frames.last {
            if stopIfDue() { return count }
            path.removeSubrange(frame.path...)
            guard let node = try next(frame, root.snapshot, path) else {
                frames.removeLast()
                continue
            }
            if frame.path > 0 { path.append(0x2F) }
            path += node.name
            if node.kind == .file { count.files += 1 }
            guard let tree = try check(node, root.snapshot, path, lookup) else { continue }
            guard try seen.insert(tree) else { continue }
            if offer(Pending(tree: tree, path: path, snapshot: root.snapshot)) { continue }
            try Interruption.check()
            try open(tree, root.snapshot, path, &frames, reader, lookup)
            count.trees += 1
        }
        return count
    }

    private func open(
        _ tree: Digest, _ snapshot: Digest, _ path: [UInt8], _ frames: inout [Frame],
        _ reader: BlobReader, _ lookup: BlobLookup
    ) throws(Failure) {
        do throws(Failure) {
            // Cistern also reads what is in no index file any more; other readers do not.
            guard try lookup.missing([tree], .tree).isEmpty else {
                throw Failure(
                    .store, "no index file lists tree \(tree.short), or its pack is gone")
            }
            let cursor = try TreeCursor(tree, reader: reader, store: store)
            frames.append(Frame(cursor: cursor, path: path.count))
        } catch {
            guard error.kind == .store else { throw error }
            problems.add(StoreProblem(.tree, tree, "\(error)", snapshot: snapshot, path: path))
        }
    }

    private func next(
        _ frame: Frame, _ snapshot: Digest, _ path: [UInt8]
    ) throws(Failure) -> TreeNode? {
        do throws(Failure) {
            return try frame.cursor.next()
        } catch {
            guard error.kind == .store else { throw error }
            problems.add(StoreProblem(.tree, nil, "\(error)", snapshot: snapshot, path: path))
            return nil
        }
    }

    /// Checks what a node refers to; the tree of a directory, which is to be read.
    private func check(
        _ node: TreeNode, _ snapshot: Digest, _ path: [UInt8], _ lookup: BlobLookup
    ) throws(Failure) -> Digest? {
        switch node.kind {
        case .directory:
            if node.subtree == nil {
                problems.add(
                    StoreProblem(
                        .tree, nil, "the directory has no tree", snapshot: snapshot, path: path))
            }
            return node.subtree
        case .file:
            guard let content = node.content else {
                problems.add(
                    StoreProblem(
                        .file, nil, "the file has no list of content", snapshot: snapshot,
                        path: path))
                return nil
            }
            let missing = try lookup.missing(content, .data)
            guard let first = missing.first else { return nil }
            problems.add(
                StoreProblem(
                    .file, content[first],
                    "\(missing.count) of \(content.count) parts of its content have no good copy",
                    snapshot: snapshot, path: path))
            return nil
        default:
            return nil
        }
    }
}
