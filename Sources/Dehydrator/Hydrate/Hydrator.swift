package import ContentStore
internal import Manifest
package import Platform

/// Fills a directory from a snapshot: all of it, or only what differs.
///
/// Descends component by component without following symlinks, so that nothing is ever written
/// outside of the target, whatever a tree says. Every byte is verified by its blob's id before it
/// is visible under its name. Running it again after an interruption goes on where it stopped,
/// because what is there already is kept.
package struct Hydrator {
    private let store: Store
    private let target: String
    private let options: HydrateOptions

    /// Fills `target`, which is made if it is missing.
    package init(store: Store, target: String, options: HydrateOptions = HydrateOptions()) {
        self.store = store
        self.target = target
        self.options = options
    }

    /// Hydrates the tree `tree`, whose directory is described by `node` when the snapshot has it.
    ///
    /// - Parameter progress: told after each step: entries and bytes so far.
    /// - Throws: `Failure` when the target cannot be used or the tree's root not be read; what
    ///   concerns single entries is in the result.
    package func hydrate(
        tree: Digest, node: TreeNode?,
        progress: (_ entries: UInt64, _ bytes: UInt64) -> Void = { _, _ in }
    ) throws -> HydrateResult {
        let isFresh = try prepareTarget()
        let lock = try lockTarget()
        defer { withExtendedLifetime(lock) {} }
        let planner = try HydratePlanner(store: store, target: target, delete: options.delete)
        try planner.begin(tree: tree, node: try node ?? rootNode(), isFresh: isFresh)
        let finisher = try HydrateWorker(store: store, target: target, verify: false)
        var result = HydrateResult()
        let (store, target, options) = (store, target, options)
        let threads = options.threads ?? store.backend.readerThreads
        try orderedMap(
            threads: threads, window: threads * 8, name: "hydrate",
            makeWorker: { _ in
                let worker = try HydrateWorker(
                    store: store, target: target, verify: options.verify)
                return { (_: Int, step: HydrateStep) -> (HydrateStep?, HydrateResult) in
                    guard case .files(let files) = step else { return (step, HydrateResult()) }
                    return (nil, worker.make(files))
                }
            },
            next: {
                try Interruption.check()
                return try planner.next()
            },
            collect: { _, output in
                result.add(output.1)
                if let step = output.0 { Hydrator.finish(step, finisher, &result) }
                progress(result.files + result.unchanged + result.others, result.bytes)
            })
        result.deleted = planner.deleted
        // Durable once, not file by file: until then the target does not count as filled.
        do {
            try Descriptor.open(target, [.readOnly, .directory]).syncFileSystem()
        } catch {
            throw Failure(.module, "the target \(target) cannot be synced", cause: error.reason)
        }
        return result
    }

    private static func finish(
        _ step: HydrateStep, _ worker: HydrateWorker, _ result: inout HydrateResult
    ) {
        do {
            switch step {
            case .files: return
            case .link(let path, let node, let first):
                try worker.link(path, node, to: result.brokenLinks.contains(first) ? nil : first)
            case .special(let path, let node):
                try worker.makeSpecial(path, node)
            case .leave(let path, let node):
                try worker.leave(path, node)
            case .failed(_, let cause):
                throw cause
            }
            result.others += 1
        } catch {
            result.fail(step.path, error)
        }
    }

    /// Makes the target; says whether it is empty, so that nothing can be in the way.
    private func prepareTarget() throws(Failure) -> Bool {
        do {
            try AtomicFile.makeDirectories(target)
            var entries = 0
            try Descriptor.open(target, [.readOnly, .directory]).readDirectory { _, _ in
                entries += 1
            }
            return entries == 0
        } catch {
            throw Failure(.module, "the target \(target) cannot be used", cause: "\(error)")
        }
    }

    /// Two that fill one directory at once would take each other's temporary files.
    private func lockTarget() throws(Failure) -> FileLock? {
        do {
            return try FileLock(directory: target)
        } catch {
            guard error.code == Errno.again else {
                throw Failure(.module, "the target \(target) cannot be locked", cause: "\(error)")
            }
            throw Failure(.locked, "another process fills \(target)", hint: "Wait for it to end")
        }
    }

    /// Snapshots of several paths have no node for their root: the target stays as it is.
    private func rootNode() throws -> TreeNode {
        let metadata = try Descriptor.open(target, [.readOnly, .directory]).metadata()
        return TreeNode(
            name: [0x2E], kind: .directory, permissions: metadata.permissions,
            mtime: metadata.mtime, atime: metadata.mtime, ctime: metadata.mtime,
            uid: metadata.uid, gid: metadata.gid)
    }
}

extension HydrateResult {
    mutating func add(_ other: HydrateResult) {
        files += other.files
        bytes += other.bytes
        unchanged += other.unchanged
        others += other.others
        failed += other.failed
        brokenLinks.formUnion(other.brokenLinks)
        failures += other.failures.prefix(HydrateResult.failureLimit - failures.count)
    }
}
