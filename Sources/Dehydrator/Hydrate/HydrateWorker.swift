internal import ContentStore
internal import Manifest
internal import Platform
internal import Stages

/// Makes files, links and special files of a hydrate.
///
/// Not for use by two threads at once.
final class HydrateWorker {
    private let directories: DirectoryCursor
    private let restorer: ContentRestorer
    private let verifier: ContentVerifier?

    init(store: Store, target: String, verify: Bool) throws {
        directories = try DirectoryCursor(root: target)
        restorer = ContentRestorer(store: store)
        verifier = verify ? ContentVerifier(store: store) : nil
    }

    /// Makes some files.
    ///
    /// One file's failure is recorded and the others go on.
    func make(_ files: HydrateFiles) -> HydrateResult {
        var result = HydrateResult()
        for node in files.nodes {
            do {
                let directory = try directories.directory(files.directory[...])
                if !files.isFresh, try isCurrent(node, in: directory) {
                    try applyMetadata(node, in: directory)
                    result.unchanged += 1
                    continue
                }
                result.bytes += try write(node, in: directory, isFresh: files.isFresh)
                result.files += 1
            } catch {
                result.fail(files.path(node), error)
            }
        }
        return result
    }

    /// Whether a file is there already: the same size and time, and with `verify` the content.
    private func isCurrent(_ node: TreeNode, in directory: OpenDirectory) throws -> Bool {
        let metadata: FileMetadata
        do throws(SystemError) {
            metadata = try directory.descriptor.metadata(of: node.name)
        } catch {
            guard error.code == Errno.noEntry else { throw error }
            return false
        }
        guard metadata.kind == .file, metadata.size == node.size, metadata.mtime == node.mtime
        else { return false }
        guard let verifier else { return true }
        let file = try directory.descriptor.openForReading(node.name)
        return try verifier.matches(file, ids: node.content ?? [])
    }

    /// Writes the content into a new file.
    ///
    /// In a directory that this hydrate made, a file of one blob gets its name at once, because its
    /// content is verified before the first byte is written; every other file gets it by a rename
    /// when it is whole.
    private func write(
        _ node: TreeNode, in directory: OpenDirectory, isFresh: Bool
    ) throws -> UInt64 {
        let ids = node.content ?? []
        let direct = isFresh && ids.count <= 1
        let name = direct ? node.name : AtomicFile.temporaryName(for: Array(".cistern".utf8))
        do {
            let size = try fill(name, ids, in: directory)
            guard size == node.size else {
                throw Failure(
                    .store, "its content has \(size) bytes, the snapshot says \(node.size)")
            }
            try applyMetadata(node, in: directory, name: name)
            if !direct { try put(name, node.name, in: directory) }
            return size
        } catch {
            try? directory.descriptor.unlink(name)
            throw error
        }
    }

    private func fill(
        _ name: [UInt8], _ ids: [Digest], in directory: OpenDirectory
    ) throws -> UInt64 {
        let file = try directory.descriptor.open(name, [.readWrite, .create, .exclusive])
        return try restorer.write(ids, to: file)
    }

    /// Gives a whole file its name.
    ///
    /// A directory in the way stays: only `--delete` removes what the snapshot does not have.
    private func put(_ temporary: [UInt8], _ name: [UInt8], in directory: OpenDirectory) throws {
        do throws(SystemError) {
            try directory.descriptor.rename(temporary, to: name, in: directory.descriptor)
        } catch {
            guard error.code == Errno.isDirectory else { throw error }
            throw Failure(.module, "a directory is in the way", hint: "Move it away")
        }
    }

    private func applyMetadata(
        _ node: TreeNode, in directory: OpenDirectory, name: [UInt8]? = nil
    ) throws(SystemError) {
        try MetadataWriter.apply(
            HydrateWorker.unit(node), name: name ?? node.name, in: directory, owners: true)
    }

    /// A node as the unit whose metadata it describes.
    static func unit(_ node: TreeNode) -> Unit {
        Unit(
            path: node.name,
            metadata: FileMetadata(
                kind: node.kind, permissions: node.permissions, uid: node.uid, gid: node.gid,
                size: node.size, mtime: node.mtime, ctime: node.mtime, inode: node.inode,
                device: node.deviceID, rdev: node.rdev, links: UInt32(clamping: node.links)),
            target: node.linkTarget, xattrs: node.xattrs)
    }

    // MARK: In order, after the files

    /// Gives a file that is there a further name.
    func link(_ path: [UInt8], _ node: TreeNode, to first: [UInt8]) throws {
        let (source, sourceName) = try directories.parent(of: first)
        let (directory, name) = try directories.parent(of: path)
        let original = try source.descriptor.metadata(of: sourceName)
        if let there = try existing(name, in: directory),
            there.inode == original.inode, there.device == original.device
        {
            return
        }
        let temporary = AtomicFile.temporaryName(for: Array(".cistern".utf8))
        try source.descriptor.link(sourceName, to: temporary, in: directory.descriptor)
        do {
            try put(temporary, name, in: directory)
        } catch {
            try? directory.descriptor.unlink(temporary)
            throw error
        }
    }

    /// Makes a symlink, fifo, socket or device unless it is there.
    func makeSpecial(_ path: [UInt8], _ node: TreeNode) throws {
        let (directory, name) = try directories.parent(of: path)
        if let there = try existing(name, in: directory), there.kind == node.kind,
            try there.kind != .symlink
                || directory.descriptor.readLink(name) == node.linkTarget ?? [],
            there.kind == .symlink || there.rdev == node.rdev
        {
            try applyMetadata(node, in: directory)
            return
        }
        let temporary = AtomicFile.temporaryName(for: Array(".cistern".utf8))
        do {
            if node.kind == .symlink {
                try directory.descriptor.makeSymlink(temporary, to: node.linkTarget ?? [])
            } else {
                try directory.descriptor.makeNode(
                    temporary, node.kind, permissions: 0o600, rdev: node.rdev)
            }
            try applyMetadata(node, in: directory, name: temporary)
            try put(temporary, name, in: directory)
        } catch {
            try? directory.descriptor.unlink(temporary)
            throw error
        }
    }

    /// Sets a directory's own metadata, after everything in it is there.
    func leave(_ path: [UInt8], _ node: TreeNode) throws {
        if path.isEmpty {
            var node = node
            node.name = [0x2E]
            try applyMetadata(node, in: directories.rootDirectory)
            return
        }
        let (directory, name) = try directories.parent(of: path)
        try applyMetadata(node, in: directory, name: name)
    }

    private func existing(
        _ name: [UInt8], in directory: OpenDirectory
    ) throws(SystemError) -> FileMetadata? {
        do throws(SystemError) {
            return try directory.descriptor.metadata(of: name)
        } catch {
            guard error.code == Errno.noEntry else { throw error }
            return nil
        }
    }
}
