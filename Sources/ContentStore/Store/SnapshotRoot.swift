package import Platform

/// The directory that a snapshot is of, below the trees of the directories that lead to it.
package struct SnapshotRoot: Sendable {
    /// The tree with the directory's entries.
    package var subtree: Digest
    /// The directory's own mode, times and owner; nil when the snapshot does not keep them.
    package var node: TreeNode?

    /// Longer paths than this are not followed; Linux takes none with more components.
    private static let depthLimit = 4096

    /// Finds the directory that `snapshot` is of.
    ///
    /// Cistern's snapshots of `/<module>` have one directory of that name at the top. restic's have
    /// all directories of an absolute path, and the last ones of a relative path. So the longest
    /// end of the path that leads down from the top counts, through trees that hold nothing else.
    /// For several paths, or when nothing fits, it is the top itself.
    ///
    /// - Throws: a `store` failure when a tree on the way cannot be read.
    package static func find(
        _ snapshot: Snapshot, store: Store, reader: BlobReader
    ) throws(Failure) -> SnapshotRoot {
        let top = SnapshotRoot(subtree: snapshot.tree, node: nil)
        guard snapshot.paths.count == 1, let path = snapshot.paths.first else { return top }
        let names = path.utf8.split(separator: UInt8(ascii: "/")).map { Array($0) }
        let chain = try chain(from: snapshot.tree, limit: names.count, store, reader)
        // The chain's beginning has to be an end of the path: try the longest first.
        for length in stride(from: chain.count, to: 0, by: -1) {
            let isEnd = zip(chain, names.suffix(length)).allSatisfy { $0.name == $1 }
            let node = chain[length - 1]
            if isEnd, let subtree = node.subtree {
                return SnapshotRoot(subtree: subtree, node: node)
            }
        }
        return top
    }

    /// The directories below `top`, as long as each is all that the one above it holds.
    private static func chain(
        from top: Digest, limit: Int, _ store: Store, _ reader: BlobReader
    ) throws(Failure) -> [TreeNode] {
        var chain: [TreeNode] = []
        var tree = top
        while chain.count < min(limit, depthLimit) {
            let cursor = try TreeCursor(tree, reader: reader, store: store)
            guard let node = try cursor.next(), let subtree = node.subtree,
                node.kind == .directory, try cursor.next() == nil
            else { break }
            chain.append(node)
            tree = subtree
        }
        return chain
    }
}
