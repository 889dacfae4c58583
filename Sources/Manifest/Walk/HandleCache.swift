internal import Platform
internal import Synchronization

/// Keeps a bounded number of directories open, however deep the tree; others are opened again from
/// the nearest open one above them.
///
/// Open are the ones used last and, in a deep tree, some at even distances along the way down:
/// without those, coming back up from depth n would open n²/64 directories.
final class HandleCache: Sendable {
    /// How many of the directories used last stay open.
    static let recentLimit = 40
    /// How many are open at even distances.
    static let anchorLimit = 24

    // Guarded by the lock: the nodes whose `handle` is set, each in one of the lists.
    private struct State {
        var recent: [DirectoryNode] = []
        var anchors: [DirectoryNode] = []
        /// Nodes whose depth is a multiple of this become anchors.
        var distance = 32
    }

    private let root: OpenDirectory
    private let state = Mutex(State())

    init(root: OpenDirectory) {
        self.root = root
    }

    /// Opens `node` without following symlinks.
    ///
    /// Each component is opened relative to the one above: paths have no limit, and nothing that is
    /// renamed meanwhile leads outside of the module.
    func open(_ node: DirectoryNode) throws(SystemError) -> OpenDirectory {
        do throws(SystemError) {
            return try openOnce(node)
        } catch {
            guard error.code == Errno.tooManyFiles || error.code == Errno.tooManyFilesInSystem
            else { throw error }
            // Our own descriptors are the ones that we can do without.
            forgetAll()
            return try openOnce(node)
        }
    }

    private func openOnce(_ node: DirectoryNode) throws(SystemError) -> OpenDirectory {
        var (handle, chain) = nearest(node)
        while let next = chain.popLast() {
            let descriptor = try handle.descriptor.open(
                next.name, [.readOnly, .directory, .noFollow])
            handle = OpenDirectory(descriptor)
            // On the way back up the ones right above will be wanted next.
            if !chain.isEmpty, chain.count < HandleCache.recentLimit - 8 || isAnchor(next) {
                keep(next, handle)
            }
        }
        return handle
    }

    /// The nearest open directory at or above `node` and the nodes from `node` up to it.
    private func nearest(_ node: DirectoryNode) -> (OpenDirectory, [DirectoryNode]) {
        var chain: [DirectoryNode] = []
        let handle = state.withLock { state -> OpenDirectory in
            var at = node
            while true {
                if let handle = at.handle {
                    HandleCache.touch(at, &state.recent)
                    return handle
                }
                guard let parent = at.parent else { return root }
                chain.append(at)
                at = parent
            }
        }
        return (handle, chain)
    }

    private static func touch(_ node: DirectoryNode, _ recent: inout [DirectoryNode]) {
        guard recent.last !== node, let i = recent.firstIndex(where: { $0 === node }) else {
            return
        }
        recent.remove(at: i)
        recent.append(node)
    }

    private func isAnchor(_ node: DirectoryNode) -> Bool {
        state.withLock { node.depth % $0.distance == 0 }
    }

    /// Keeps `node` open because it will be used again soon.
    func keep(_ node: DirectoryNode, _ handle: OpenDirectory) {
        state.withLock { state in
            guard node.handle == nil, node.parent != nil else { return }
            node.handle = handle
            guard node.depth % state.distance == 0 else {
                state.recent.append(node)
                if state.recent.count > HandleCache.recentLimit {
                    state.recent.removeFirst().handle = nil
                }
                return
            }
            state.anchors.append(node)
            if state.anchors.count > HandleCache.anchorLimit { HandleCache.thin(&state) }
        }
    }

    /// Doubles the distance; where that drops none, many are at one depth and the oldest goes.
    private static func thin(_ state: inout State) {
        state.distance *= 2
        for anchor in state.anchors where anchor.depth % state.distance != 0 {
            anchor.handle = nil
        }
        state.anchors.removeAll { $0.handle == nil }
        guard state.anchors.count > anchorLimit else { return }
        state.distance /= 2
        state.anchors.removeFirst().handle = nil
    }

    /// Lets go of `node`, which is done.
    func forget(_ node: DirectoryNode) {
        state.withLock { state in
            guard node.handle != nil else { return }
            node.handle = nil
            state.recent.removeAll { $0 === node }
            state.anchors.removeAll { $0 === node }
        }
    }

    /// Lets go of all.
    func forgetAll() {
        state.withLock { state in
            for node in state.recent + state.anchors { node.handle = nil }
            state.recent.removeAll()
            state.anchors.removeAll()
        }
    }
}
