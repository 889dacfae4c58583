package import Platform

/// A file or a directory of a snapshot that the store cannot give back whole.
package struct DamagedPath: Sendable {
    package var snapshot: StoredSnapshot
    /// Where it is in the snapshot, without a leading slash.
    package var path: [UInt8]
    /// The directory's tree that cannot be read; nil for a file.
    package var tree: Digest?
    /// The blobs of the file's content, in order.
    package var content: [Digest] = []
    /// Places in `content` of those that have no good copy.
    package var missing: [Int] = []

    /// The module that the snapshot is of; nil when it is no module's.
    package var module: String? { snapshot.snapshot.module }
}

/// Finds what damage costs: a walk over all snapshots that looks at each whole tree once, and at
/// what is damaged once for every snapshot that has it.
///
/// Memory does not grow with trees.
package final class DamagedContent {
    private let store: Store
    private let reader: BlobReader
    private let lookup: BlobLookup
    /// Trees below which everything is whole.
    private let whole: DigestSet

    private struct Frame {
        var tree: Digest
        var cursor: TreeCursor
        var path: Int
        var isDamaged = false
    }

    package init(store: Store) throws(Failure) {
        self.store = store
        reader = BlobReader(store: store)
        lookup = try BlobLookup(index: store.index)
        whole = try DigestSet()
    }

    /// Calls `each` for every damaged path of every snapshot that can be read, newest first.
    ///
    /// - Throws: what `each` throws, and `Failure` when the store cannot be reached.
    package func find(_ each: (DamagedPath) throws -> Void) throws {
        for snapshot in try store.snapshots(unreadable: { _, _ in }).reversed() {
            try walk(snapshot, each)
        }
    }

    private func walk(
        _ snapshot: StoredSnapshot, _ each: (DamagedPath) throws -> Void
    ) throws {
        var path: [UInt8] = []
        var frames: [Frame] = []
        try open(snapshot.snapshot.tree, snapshot, path, &frames, each)
        while var frame = frames.last {
            try Interruption.check()
            path.removeSubrange(frame.path...)
            guard let node = try next(&frame, snapshot, path, each) else {
                frames.removeLast()
                if frame.isDamaged {
                    if !frames.isEmpty { frames[frames.count - 1].isDamaged = true }
                } else {
                    _ = try whole.insert(frame.tree)
                }
                continue
            }
            if frame.path > 0 { path.append(0x2F) }
            path += node.name
            if node.kind == .file, let content = node.content {
                let missing = try lookup.missing(content, .data)
                if !missing.isEmpty {
                    frames[frames.count - 1].isDamaged = true
                    try each(
                        DamagedPath(
                            snapshot: snapshot, path: path, content: content, missing: missing))
                }
            } else if node.kind == .directory, let tree = node.subtree,
                try !whole.contains(tree)
            {
                let depth = frames.count
                try open(tree, snapshot, path, &frames, each)
                // A directory that cannot be read damages the one that holds it.
                if frames.count == depth { frames[depth - 1].isDamaged = true }
            }
        }
    }

    private func open(
        _ tree: Digest, _ snapshot: StoredSnapshot, _ path: [UInt8], _ frames: inout [Frame],
        _ each: (DamagedPath) throws -> Void
    ) throws {
        do throws(Failure) {
            // Cistern also reads what is in no index file any more; other readers do not.
            guard try lookup.missing([tree], .tree).isEmpty else {
                throw Failure(.store, "tree \(tree.short) is in no index file")
            }
            let cursor = try TreeCursor(tree, reader: reader, store: store)
            frames.append(Frame(tree: tree, cursor: cursor, path: path.count))
        } catch {
            guard error.kind == .store else { throw error }
            try each(DamagedPath(snapshot: snapshot, path: path, tree: tree))
        }
    }

    private func next(
        _ frame: inout Frame, _ snapshot: StoredSnapshot, _ path: [UInt8],
        _ each: (DamagedPath) throws -> Void
    ) throws -> TreeNode? {
        do throws(Failure) {
            return try frame.cursor.next()
        } catch {
            guard error.kind == .store else { throw error }
            frame.isDamaged = true
            try each(DamagedPath(snapshot: snapshot, path: path, tree: frame.tree))
            return nil
        }
    }
}
