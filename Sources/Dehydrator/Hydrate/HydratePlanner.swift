internal import ContentStore
internal import Manifest
internal import Platform

/// Reads the trees of a snapshot and makes the directories; everything else it hands out as steps.
///
/// Runs on the one thread that feeds the workers.
///
/// Memory: one cursor for each directory on the way to the present one, and with `--delete` the
/// names in each of these.
final class HydratePlanner {
    /// Files in one step.
    private static let filesPerStep = 256
    /// Bytes of files in one step.
    private static let bytesPerStep: UInt64 = 8 << 20

    private final class Level {
        let path: [UInt8]
        let node: TreeNode
        let isFresh: Bool
        let cursor: TreeCursor
        var pending: HydrateFiles
        /// Names in the directory that the tree has not come to yet, in order, reversed.
        var existing: [[UInt8]]

        init(
            path: [UInt8], node: TreeNode, isFresh: Bool, cursor: TreeCursor, existing: [[UInt8]]
        ) {
            self.path = path
            self.node = node
            self.isFresh = isFresh
            self.cursor = cursor
            self.existing = existing
            pending = HydrateFiles(directory: path, isFresh: isFresh, nodes: [])
        }
    }

    private struct LinkKey: Hashable {
        var inode: UInt64
        var device: UInt64
    }

    private let store: Store
    private let reader: BlobReader
    private let directories: DirectoryCursor
    private let delete: Bool
    private var levels: [Level] = []
    private var steps: [HydrateStep] = []
    /// The first name of each file with further names to come, and how many.
    private var links: [LinkKey: (first: [UInt8], left: UInt64)] = [:]
    /// Entries removed because the snapshot does not have them.
    private(set) var deleted: UInt64 = 0

    init(store: Store, target: String, delete: Bool) throws {
        self.store = store
        self.delete = delete
        reader = BlobReader(store: store)
        directories = try DirectoryCursor(root: target)
    }

    /// Begins with the tree of the module's root.
    func begin(tree: Digest, node: TreeNode, isFresh: Bool) throws {
        let cursor = try TreeCursor(tree, reader: reader, store: store)
        try enter(path: [], node: node, cursor, isFresh: isFresh)
    }

    /// The next step; nil at the end.
    func next() throws -> HydrateStep? {
        while steps.isEmpty {
            guard let level = levels.last else { return nil }
            try advance(level)
        }
        return steps.removeFirst()
    }

    private func advance(_ level: Level) throws {
        let node: TreeNode?
        do {
            node = try level.cursor.next()
        } catch {
            // The rest of this directory cannot be had; the others can.
            steps.append(.failed(path: level.path, cause: error))
            leave(level)
            return
        }
        guard let node else {
            try removeExisting(level, before: nil)
            leave(level)
            return
        }
        let path = join(level.path, node.name)
        do {
            try removeExisting(level, before: node)
            try add(node, path, level)
        } catch let error as SystemError {
            let cause = Failure(.module, error.call, cause: error.reason)
            steps.append(.failed(path: path, cause: cause))
        } catch let failure as Failure where failure.kind != .cancelled {
            steps.append(.failed(path: path, cause: failure))
        }
    }

    private func add(_ node: TreeNode, _ path: [UInt8], _ level: Level) throws {
        switch node.kind {
        case .directory:
            guard let tree = node.subtree else {
                throw Failure(.store, "the directory has no tree in the snapshot")
            }
            flush(level)
            // No directory where there is no tree: it would only look like an empty one.
            let cursor = try TreeCursor(tree, reader: reader, store: store)
            try enter(path: path, node: node, cursor, isFresh: makeDirectory(path))
        case .file:
            if let first = earlierName(of: node, path) {
                flush(level)
                steps.append(.link(path: path, node: node, first: first))
                return
            }
            level.pending.nodes.append(node)
            level.pending.bytes += node.size
            if level.pending.nodes.count >= HydratePlanner.filesPerStep
                || level.pending.bytes >= HydratePlanner.bytesPerStep
            {
                flush(level)
            }
        case .symlink, .fifo, .socket, .chardev, .blockdev:
            steps.append(.special(path: path, node: node))
        }
    }

    private func enter(
        path: [UInt8], node: TreeNode, _ cursor: TreeCursor, isFresh: Bool
    ) throws {
        var existing: [[UInt8]] = []
        if delete && !isFresh {
            try directories.directory(path[...]).descriptor.readDirectory { name, _ in
                var copy: [UInt8] = []
                copy.append(copying: name)
                existing.append(copy)
            }
            existing.sort { $1.lexicographicallyPrecedes($0) }
        }
        levels.append(
            Level(path: path, node: node, isFresh: isFresh, cursor: cursor, existing: existing))
    }

    private func leave(_ level: Level) {
        flush(level)
        steps.append(.leave(path: level.path, node: level.node))
        levels.removeLast()
    }

    private func flush(_ level: Level) {
        guard !level.pending.nodes.isEmpty else { return }
        steps.append(.files(level.pending))
        level.pending = HydrateFiles(directory: level.path, isFresh: level.isFresh, nodes: [])
    }

    /// Makes a directory, or takes one that is there; what else has the name gives way.
    private func makeDirectory(_ path: [UInt8]) throws -> Bool {
        let (parent, name) = try directories.parent(of: path)
        do throws(SystemError) {
            try parent.descriptor.makeDirectory(name)
            return true
        } catch {
            guard error.code == Errno.exists else { throw error }
        }
        if try parent.descriptor.metadata(of: name).kind == .directory { return false }
        try parent.descriptor.unlink(name)
        try parent.descriptor.makeDirectory(name)
        return true
    }

    private func earlierName(of node: TreeNode, _ path: [UInt8]) -> [UInt8]? {
        guard node.links > 1, node.inode != 0 else { return nil }
        let key = LinkKey(inode: node.inode, device: node.deviceID)
        guard var known = links[key] else {
            links[key] = (path, node.links - 1)
            return nil
        }
        known.left -= 1
        // Once the last name has come nothing needs to be remembered.
        links[key] = known.left == 0 ? nil : known
        return known.first
    }

    /// Removes what is in the directory and sorts before `node` (nil: everything left), and a
    /// directory that has the node's name when the node is none.
    private func removeExisting(_ level: Level, before node: TreeNode?) throws {
        while let last = level.existing.last {
            let parent = try directories.directory(level.path[...])
            if let node {
                if last == node.name {
                    level.existing.removeLast()
                    guard node.kind != .directory,
                        try parent.descriptor.metadata(of: last).kind == .directory
                    else { return }
                    deleted += try TreeRemoval.remove(last, in: parent)
                    return
                }
                guard last.lexicographicallyPrecedes(node.name) else { return }
            }
            level.existing.removeLast()
            do throws(SystemError) {
                deleted += try TreeRemoval.remove(last, in: parent)
            } catch {
                let cause = Failure(.module, "cannot be removed", cause: "\(error)")
                steps.append(.failed(path: join(level.path, last), cause: cause))
            }
        }
    }
}
