internal import Platform

/// Walks the trees of snapshots and notes every blob that they refer to.
///
/// A tree is read once, whoever refers to it. Memory does not grow with their number.
final class TreeMark: Sendable {
    private static let stackLimit = 1024

    private struct State {
        var stack: [Digest] = []
        var active = 0
        var ended = false
        var failure: Failure?
        var trees = 0
        var missing = MissingBlobs()

        var isOver: Bool { failure != nil || (ended && stack.isEmpty && active == 0) }
    }

    private let store: Store
    private let live: LiveSet
    private let state = Monitor(State())

    /// References to blobs that the store does not have.
    struct MissingBlobs {
        var count = 0
        /// The first ones.
        var first: [Digest] = []

        mutating func add(_ ids: [Digest]) {
            count += ids.count
            first += ids.prefix(max(0, 20 - first.count))
        }
    }

    /// What a walk found.
    struct Result {
        var trees = 0
        var missing = MissingBlobs()
    }

    private init(store: Store, live: LiveSet) {
        self.store = store
        self.live = live
    }

    /// Walks the trees below `roots`.
    ///
    /// - Throws: when a tree cannot be read: nobody knows what it refers to, so nothing may be
    ///   removed.
    static func walk(
        _ roots: [Digest], store: Store, live: LiveSet, threads: Int = processorCount,
        tick: () throws -> Void = {}
    ) throws -> Result {
        let mark = TreeMark(store: store, live: live)
        let workers = (0..<threads).map { index in
            DedicatedThread(name: "mark-\(index)") { mark.work() }
        }
        let fed = Swift.Result {
            for root in roots {
                try tick()
                mark.add(root)
            }
        }
        mark.state.with { $0.ended = true }
        for worker in workers { worker.join() }
        try fed.get()
        return try mark.state.with { state in
            if let failure = state.failure { throw failure }
            return Result(trees: state.trees, missing: state.missing)
        }
    }

    private func add(_ root: Digest) {
        guard live.markTree(root) else { return }
        state.wait { state -> Void? in
            guard state.failure == nil else { return () }
            guard state.stack.count < TreeMark.stackLimit / 2 else { return nil }
            state.stack.append(root)
            return ()
        }
    }

    private func work() {
        let reader = BlobReader(store: store)
        while let next = take() {
            do throws(Failure) {
                let (trees, missing) = try walk(next, reader)
                state.with { state in
                    state.active -= 1
                    state.trees += trees
                    state.missing.count += missing.count
                    state.missing.first += missing.first.prefix(
                        max(0, 20 - state.missing.first.count))
                }
            } catch {
                state.with { $0.failure = $0.failure ?? error }
            }
        }
    }

    private func take() -> Digest? {
        state.wait { state -> Digest?? in
            if state.isOver { return .some(nil) }
            guard let next = state.stack.popLast() else { return nil }
            state.active += 1
            return next
        }
    }

    private func offer(_ tree: Digest) -> Bool {
        state.with { state in
            guard state.stack.count < TreeMark.stackLimit else { return false }
            state.stack.append(tree)
            return true
        }
    }

    /// One tree, and what the stack has no room for, depth first.
    private func walk(
        _ root: Digest, _ reader: BlobReader
    ) throws(Failure) -> (trees: Int, missing: MissingBlobs) {
        var trees = 1
        var missing = MissingBlobs()
        var cursors = [try open(root, reader)]
        while let cursor = cursors.last {
            guard let node = try cursor.next() else {
                cursors.removeLast()
                try Interruption.check()
                continue
            }
            if let content = node.content, !content.isEmpty { missing.add(live.mark(content)) }
            guard let tree = node.subtree, live.markTree(tree) else { continue }
            if offer(tree) { continue }
            cursors.append(try open(tree, reader))
            trees += 1
        }
        return (trees, missing)
    }

    private func open(_ tree: Digest, _ reader: BlobReader) throws(Failure) -> TreeCursor {
        do throws(Failure) {
            return try TreeCursor(tree, reader: reader, store: store)
        } catch {
            throw Failure(
                error.kind, "tree \(tree.short) cannot be read, so nobody knows what is garbage",
                cause: error.description,
                hint: error.kind == .store
                    ? "`cistern store check` names the snapshots that it belongs to" : nil)
        }
    }
}
