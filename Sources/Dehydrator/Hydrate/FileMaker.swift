internal import ContentStore
internal import Platform

/// Makes the files of one directory after the other.
///
/// A file has no name until its content is whole and verified and its metadata set, so that a kill
/// leaves neither a half file nor anything else. Nothing is synced here: the hydrate syncs the
/// file system once before it says that it is done.
///
/// Calls are saved by making files with their final permissions and by asking only once what the
/// system makes of them in a directory: the umask, setgid directories, default ACLs and mount
/// options decide on that, and do so alike for each file that is asked for in the same way.
///
/// Not for use by two threads at once.
final class FileMaker {
    /// What files of this directory are like that were asked for with `mode`.
    private struct Made {
        var mode: UInt32
        var metadata: FileMetadata
    }

    private let restorer: ContentRestorer
    private let directory: OpenDirectory
    private var made: [Made] = []
    private var hasUnnamed = true

    /// Makes files in `directory`.
    init(_ restorer: ContentRestorer, in directory: OpenDirectory) {
        self.restorer = restorer
        self.directory = directory
    }

    /// Makes the file `node`, in place of what has its name; returns its bytes.
    ///
    /// - Throws: `Failure` or `SystemError`; what had the name is then as it was.
    func make(_ node: TreeNode) throws -> UInt64 {
        // Attributes can be set while the owner may write, whatever the final permissions are.
        let mode = node.xattrs.isEmpty ? node.permissions & 0o777 : 0o600
        guard hasUnnamed, let file = try directory.descriptor.makeUnnamed(mode: mode) else {
            hasUnnamed = false
            return try makeNamed(node)
        }
        let size = try fill(file, node)
        try finish(file, node, asked: mode)
        CrashPoint.reached("hydrate-before-name")
        do throws(SystemError) {
            try directory.descriptor.name(file, node.name)
        } catch {
            guard error.code == Errno.exists else { throw error }
            let temporary = FileMaker.temporaryName()
            try directory.descriptor.name(file, temporary)
            try FileMaker.put(temporary, node.name, in: directory)
        }
        do throws(SystemError) {
            try file.close()
        } catch {
            // Not all of it may have arrived, and it looks as if it had.
            try? directory.descriptor.unlink(node.name)
            throw error
        }
        return size
    }

    /// As `make`, where files cannot be without a name: under a temporary one, for nobody to read.
    private func makeNamed(_ node: TreeNode) throws -> UInt64 {
        let temporary = FileMaker.temporaryName()
        let mode: UInt32 = 0o600
        let file = try directory.descriptor.open(
            temporary, [.writeOnly, .create, .exclusive], mode: mode)
        let size: UInt64
        do {
            size = try fill(file, node)
            try finish(file, node, asked: mode)
            try file.close()
        } catch {
            try? directory.descriptor.unlink(temporary)
            throw error
        }
        try FileMaker.put(temporary, node.name, in: directory)
        return size
    }

    private func fill(_ file: borrowing Descriptor, _ node: TreeNode) throws -> UInt64 {
        let size = try restorer.write(
            node.content ?? [], to: file, direct: node.size >= UInt64(DirectWriter.size))
        guard size == node.size else {
            throw Failure(
                .store, "its content has \(size) bytes, the snapshot says \(node.size)")
        }
        return size
    }

    /// Sets what is not yet as the node says: owner, attributes, permissions, time, in this order,
    /// because changing the owner clears setuid bits, and everything moves the time.
    private func finish(
        _ file: borrowing Descriptor, _ node: TreeNode, asked mode: UInt32
    ) throws(SystemError) {
        let made = try metadata(of: file, asked: mode)
        var isMoved = !node.xattrs.isEmpty
        if effectiveUserIsRoot, made.uid != node.uid || made.gid != node.gid {
            try file.setOwner(uid: node.uid, gid: node.gid)
            isMoved = true
        }
        for attribute in node.xattrs { try file.set(attribute) }
        if isMoved || made.permissions != node.permissions {
            try file.setPermissions(node.permissions)
        }
        try file.setModified(node.mtime)
    }

    /// What a new file is like, by the first one that was asked for with the same mode.
    private func metadata(
        of file: borrowing Descriptor, asked mode: UInt32
    ) throws(SystemError) -> FileMetadata {
        for known in made where known.mode == mode { return known.metadata }
        let metadata = try file.metadata()
        made.append(Made(mode: mode, metadata: metadata))
        return metadata
    }

    /// Gives a whole file, link or special file its name.
    ///
    /// A directory in the way stays: only `--delete` removes what the snapshot does not have. The
    /// temporary name is gone in any case.
    static func put(
        _ temporary: [UInt8], _ name: [UInt8], in directory: OpenDirectory
    ) throws {
        do throws(SystemError) {
            try directory.descriptor.rename(temporary, to: name, in: directory.descriptor)
        } catch {
            try? directory.descriptor.unlink(temporary)
            guard error.code == Errno.isDirectory else { throw error }
            throw Failure(.module, "a directory is in the way", hint: "Move it away")
        }
    }

    /// A name that no module has, for what is not whole yet.
    static func temporaryName() -> [UInt8] {
        AtomicFile.temporaryName(for: Array(".cistern".utf8))
    }
}
