internal import Platform
internal import Synchronization

/// Keeps the directories open that were used last, so that the number of descriptors does not grow
/// with the depth; others are opened again from the nearest open one above them.
final class HandleCache: Sendable {
    /// How many directories are open besides the root and the ones being read.
    static let capacity = 64

    private let root: OpenDirectory
    private let recent = Mutex<[DirectoryNode]>([])

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
            if !chain.isEmpty, chain.count < HandleCache.capacity / 2 { keep(next, handle) }
        }
        return handle
    }

    /// The nearest open directory at or above `node` and the nodes from `node` up to it.
    private func nearest(_ node: DirectoryNode) -> (OpenDirectory, [DirectoryNode]) {
        var chain: [DirectoryNode] = []
        let handle = recent.withLock { recent -> OpenDirectory in
            var at = node
            while true {
                if let handle = at.handle {
                    touch(at, &recent)
                    return handle
                }
                guard let parent = at.parent else { return root }
                chain.append(at)
                at = parent
            }
        }
        return (handle, chain)
    }

    private func touch(_ node: DirectoryNode, _ recent: inout [DirectoryNode]) {
        guard recent.last !== node, let i = recent.firstIndex(where: { $0 === node }) else {
            return
        }
        recent.remove(at: i)
        recent.append(node)
    }

    /// Keeps `node` open because it will be used again soon.
    func keep(_ node: DirectoryNode, _ handle: OpenDirectory) {
        recent.withLock { recent in
            guard node.handle == nil, node.parent != nil else { return }
            if recent.count == HandleCache.capacity { recent.removeFirst().handle = nil }
            node.handle = handle
            recent.append(node)
        }
    }

    /// Lets go of `node`, which is done.
    func forget(_ node: DirectoryNode) {
        recent.withLock { recent in
            guard node.handle != nil else { return }
            node.handle = nil
            recent.removeAll { $0 === node }
        }
    }

    /// Lets go of all.
    func forgetAll() {
        recent.withLock { recent in
            for node in recent { node.handle = nil }
            recent.removeAll()
        }
    }
}
