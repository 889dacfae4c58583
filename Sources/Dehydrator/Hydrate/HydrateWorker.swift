internal import ContentStore
internal import Manifest
internal import Platform
internal import Stages

/// Makes files, links and special files of a hydrate.
///
/// Not for use by two threads at once.
final class HydrateWorker {
    /// On a disk files up to this size are read together with their neighbours; over a network all.
    private static let smallFile: UInt64 = 1 << 20

    private let directories: DirectoryCursor
    private let restorer: ContentRestorer
    private let verifier: ContentVerifier?
    private let aheadLimit: UInt64

    init(store: Store, target: String, verify: Bool) throws {
        directories = try DirectoryCursor(root: target)
        restorer = ContentRestorer(store: store)
        verifier = verify ? ContentVerifier(store: store) : nil
        aheadLimit = store.backend.isLocal ? HydrateWorker.smallFile : .max
    }

    /// Makes some files.
    ///
    /// One file's failure is recorded and the others go on.
    func make(_ files: HydrateFiles) -> HydrateResult {
        var result = HydrateResult()
        let directory: OpenDirectory
        let missing: [TreeNode]
        do {
            directory = try directories.directory(files.directory[...])
            missing = files.isFresh ? files.nodes : differing(files, in: directory, &result)
        } catch {
            for node in files.nodes { result.fail(files.path(node), node, error) }
            return result
        }
        let maker = FileMaker(restorer, in: directory)
        var isAhead = false
        for (number, node) in missing.enumerated() {
            do {
                if !isAhead { try readAhead(missing[number...]) }
                isAhead = true
                let made = try maker.make(node)
                result.bytes += made.bytes
                result.files += 1
                if let problem = made.problem { result.fail(files.path(node), problem) }
            } catch {
                result.fail(files.path(node), node, error)
                // What is ahead begins with the rest of this file: of a small one that is skipped.
                isAhead = node.size <= HydrateWorker.smallFile
            }
        }
        return result
    }

    private func readAhead(_ nodes: ArraySlice<TreeNode>) throws(Failure) {
        try restorer.readAhead(
            nodes.lazy.filter { $0.size <= self.aheadLimit }.compactMap(\.content))
    }

    /// The files that have to be written; of those that are there only the metadata is set.
    private func differing(
        _ files: HydrateFiles, in directory: OpenDirectory, _ result: inout HydrateResult
    ) -> [TreeNode] {
        var differing: [TreeNode] = []
        for node in files.nodes {
            do {
                if let metadata = try current(node, in: directory) {
                    try correct(metadata, to: node, in: directory)
                    result.unchanged += 1
                } else {
                    differing.append(node)
                }
            } catch {
                result.fail(files.path(node), node, error)
            }
        }
        return differing
    }

    /// The metadata of a file that is there already: with the same size and time, and with
    /// `verify` the same content.
    private func current(
        _ node: TreeNode, in directory: OpenDirectory
    ) throws -> FileMetadata? {
        guard let metadata = try existing(node.name, in: directory), metadata.kind == .file,
            metadata.size == node.size, metadata.mtime == node.mtime
        else { return nil }
        guard let verifier else { return metadata }
        let file = try directory.descriptor.openForReading(node.name)
        return try verifier.matches(file, ids: node.content ?? []) ? metadata : nil
    }

    /// Sets the metadata of a file whose content is right, unless it is right as well.
    private func correct(
        _ metadata: FileMetadata, to node: TreeNode, in directory: OpenDirectory
    ) throws(SystemError) {
        let isOwned = metadata.uid == node.uid && metadata.gid == node.gid
        let permissions = MetadataWriter.permissions(of: node.permissions, isOwned: isOwned)
        let path = MetadataWriter.path(node.name, in: directory)
        let there = try ExtendedAttributes.read(path: path)
        let foreign = there.filter { attribute in
            HydrateWorker.isRemovable(attribute.name)
                && !node.xattrs.contains { $0.name == attribute.name }
        }
        if foreign.isEmpty, isOwned || !effectiveUserIsRoot, metadata.permissions == permissions,
            node.xattrs.allSatisfy(there.contains)
        {
            return
        }
        var problem: SystemError?
        for attribute in foreign {
            do throws(SystemError) {
                try ExtendedAttributes.remove(path: path, name: attribute.name)
            } catch {
                problem = error
            }
        }
        try applyMetadata(node, in: directory)
        if let problem { throw problem }
    }

    /// Whether an attribute that the snapshot does not have may be taken away.
    ///
    /// Those may that people set and that give rights; the others are the target's own.
    private static func isRemovable(_ name: [UInt8]) -> Bool {
        name.starts(with: "user.".utf8) || name.starts(with: "system.posix_acl_".utf8)
            || name == Array("security.capability".utf8)
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

    /// Gives the file `first` a further name; where that could not be made (nil), or is not of the
    /// right size, the name gets a file of its own.
    func link(_ path: [UInt8], _ node: TreeNode, to first: [UInt8]?) throws {
        let (directory, name) = try directories.parent(of: path)
        let source = try first.map { (first) throws(SystemError) in
            try directories.parent(of: first)
        }
        guard let (source, sourceName) = source,
            let original = try existing(sourceName, in: source), original.kind == .file,
            original.size == node.size
        else {
            let made = try FileMaker(restorer, in: directory).make(node)
            if let problem = made.problem { throw problem }
            return
        }
        if let there = try existing(name, in: directory),
            there.inode == original.inode, there.device == original.device
        {
            return
        }
        do throws(SystemError) {
            try source.descriptor.link(sourceName, to: name, in: directory.descriptor)
        } catch {
            guard error.code == Errno.exists else { throw error }
            let temporary = FileMaker.temporaryName(for: name)
            try FileMaker.afresh(temporary, in: directory) { () throws(SystemError) in
                try source.descriptor.link(sourceName, to: temporary, in: directory.descriptor)
            }
            try FileMaker.put(temporary, name, in: directory)
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
        // A new one gets its name at once: it is whole, and a killed hydrate's successor sets what
        // was not set.
        do throws(SystemError) {
            try create(node, name, in: directory)
            try applyMetadata(node, in: directory, name: name)
            return
        } catch {
            guard error.code == Errno.exists else { throw error }
        }
        let temporary = FileMaker.temporaryName(for: name)
        try FileMaker.afresh(temporary, in: directory) { () throws(SystemError) in
            try create(node, temporary, in: directory)
        }
        var problem: SystemError?
        do throws(SystemError) {
            try applyMetadata(node, in: directory, name: temporary)
        } catch {
            problem = error
        }
        try FileMaker.put(temporary, name, in: directory)
        if let problem { throw problem }
    }

    private func create(
        _ node: TreeNode, _ name: [UInt8], in directory: OpenDirectory
    ) throws(SystemError) {
        if node.kind == .symlink {
            try directory.descriptor.makeSymlink(name, to: node.linkTarget ?? [])
        } else {
            try directory.descriptor.makeNode(
                name, node.kind, permissions: 0o600, rdev: node.rdev)
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
