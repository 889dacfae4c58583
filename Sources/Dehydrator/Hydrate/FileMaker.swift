internal import ContentStore
internal import Platform
internal import Stages

/// A file that was made.
struct MadeFile {
    var bytes: UInt64
    /// What of its metadata could not be set: owners and attributes that the target does not take
    /// are no reason to withhold the content.
    var problem: SystemError?
}

/// Makes the files of one directory after the other.
///
/// A file has no name until its content is whole and verified and its metadata set, so that a kill
/// leaves no half file. Nothing is synced here: the hydrate syncs the file system once before it
/// says that it is done.
///
/// Calls are saved by making files with their final permissions and by asking only once what the
/// system makes of them in a directory: the umask, setgid directories, default ACLs and mount
/// options decide on that, and do so alike for each file that is asked for in the same way.
///
/// Not for use by two threads at once.
final class FileMaker {
    /// What files of this directory are like that were asked for with `mode`.
    private struct Known {
        var mode: UInt32
        var metadata: FileMetadata
        var hasList: Bool
    }

    /// Files of at least this size are written past the page cache.
    private static let directFrom: UInt64 = 4 << 20

    private let restorer: ContentRestorer
    private let directory: OpenDirectory
    private var known: [Known] = []
    private var hasUnnamed = true

    /// Makes files in `directory`.
    init(_ restorer: ContentRestorer, in directory: OpenDirectory) {
        self.restorer = restorer
        self.directory = directory
    }

    /// Makes the file `node`, in place of what has its name.
    ///
    /// - Throws: `Failure` or `SystemError`; what had the name is then as it was.
    func make(_ node: TreeNode) throws -> MadeFile {
        // Attributes can be set while the owner may write, whatever the final permissions are.
        let mode = node.xattrs.isEmpty ? node.permissions & 0o777 : 0o600
        guard hasUnnamed, let file = try directory.descriptor.makeUnnamed(mode: mode) else {
            hasUnnamed = false
            return try makeNamed(node)
        }
        let bytes = try fill(file, node)
        let problem = try finish(file, node, asked: mode)
        CrashPoint.reached("hydrate-before-name")
        do throws(SystemError) {
            try directory.descriptor.name(file, node.name)
        } catch {
            if error.code == Errno.exists {
                try replace(node, by: file)
                return MadeFile(bytes: bytes, problem: problem)
            }
            // Without /proc only some may name a file that has no name.
            guard error.code == Errno.noEntry || error.code == Errno.permission else {
                throw error
            }
            hasUnnamed = false
            return try makeNamed(node)
        }
        do throws(SystemError) {
            try file.close()
        } catch {
            // Not all of it may have arrived, and it looks as if it had.
            try? directory.descriptor.unlink(node.name)
            throw error
        }
        return MadeFile(bytes: bytes, problem: problem)
    }

    private func replace(_ node: TreeNode, by file: consuming Descriptor) throws {
        let temporary = FileMaker.temporaryName(for: node.name)
        try FileMaker.afresh(temporary, in: directory) { () throws(SystemError) in
            try directory.descriptor.name(file, temporary)
        }
        do throws(SystemError) {
            try file.close()
        } catch {
            try? directory.descriptor.unlink(temporary)
            throw error
        }
        try FileMaker.put(temporary, node.name, in: directory)
    }

    /// As `make`, where files cannot be without a name: under a temporary one, for nobody to read.
    private func makeNamed(_ node: TreeNode) throws -> MadeFile {
        let temporary = FileMaker.temporaryName(for: node.name)
        let mode: UInt32 = 0o600
        let file = try FileMaker.afresh(temporary, in: directory) { () throws(SystemError) in
            try directory.descriptor.open(
                temporary, [.writeOnly, .create, .exclusive], mode: mode)
        }
        let made: MadeFile
        do {
            let bytes = try fill(file, node)
            made = MadeFile(bytes: bytes, problem: try finish(file, node, asked: mode))
            try file.close()
        } catch {
            try? directory.descriptor.unlink(temporary)
            throw error
        }
        try FileMaker.put(temporary, node.name, in: directory)
        return made
    }

    private func fill(_ file: borrowing Descriptor, _ node: TreeNode) throws -> UInt64 {
        let size = try restorer.write(
            node.content ?? [], to: file, direct: node.size >= FileMaker.directFrom)
        guard size == node.size else {
            throw Failure(
                .store, "its content has \(size) bytes, the snapshot says \(node.size)")
        }
        return size
    }

    /// Sets what is not yet as the node says: owner, attributes, permissions, time, in this order,
    /// because changing the owner clears setuid bits, and everything moves the time.
    ///
    /// - Returns: the first thing that could not be set; the others are.
    private func finish(
        _ file: borrowing Descriptor, _ node: TreeNode, asked mode: UInt32
    ) throws(SystemError) -> SystemError? {
        let made = try look(at: file, asked: mode)
        var problem: SystemError?
        var isMoved = !node.xattrs.isEmpty
        var isOwned = made.metadata.uid == node.uid && made.metadata.gid == node.gid
        if effectiveUserIsRoot && !isOwned {
            isMoved = true
            do throws(SystemError) {
                try file.setOwner(uid: node.uid, gid: node.gid)
                isOwned = true
            } catch {
                problem = error
            }
        }
        if made.hasList {
            // The directory gives its files an access list that the snapshot knows nothing of.
            isMoved = true
            do throws(SystemError) {
                try file.removeAttribute(FileMaker.accessList)
            } catch {
                problem = problem ?? error
            }
        }
        for attribute in node.xattrs {
            do throws(SystemError) {
                try file.set(attribute)
            } catch {
                problem = problem ?? error
            }
        }
        let permissions = MetadataWriter.permissions(of: node.permissions, isOwned: isOwned)
        do throws(SystemError) {
            if isMoved || made.metadata.permissions != permissions {
                try file.setPermissions(permissions)
            }
        } catch {
            problem = problem ?? error
        }
        do throws(SystemError) {
            try file.setModified(node.mtime)
        } catch {
            problem = problem ?? error
        }
        return problem
    }

    private static let accessList = Array("system.posix_acl_access".utf8)

    /// What a new file is like, by the first one that was asked for with the same mode.
    private func look(
        at file: borrowing Descriptor, asked mode: UInt32
    ) throws(SystemError) -> Known {
        for known in known where known.mode == mode { return known }
        let hasList = file.hasAttribute(FileMaker.accessList)
        let made = Known(mode: mode, metadata: try file.metadata(), hasList: hasList)
        known.append(made)
        return made
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

    /// Does what makes `temporary`, after removing what a killed hydrate left under that name.
    static func afresh<R: ~Copyable>(
        _ temporary: [UInt8], in directory: OpenDirectory, _ body: () throws(SystemError) -> R
    ) throws(SystemError) -> R {
        do throws(SystemError) {
            return try body()
        } catch {
            guard error.code == Errno.exists else { throw error }
        }
        try directory.descriptor.unlink(temporary)
        return try body()
    }

    /// A name for what is not whole yet: the same for each try, so that only one can be left.
    static func temporaryName(for name: [UInt8]) -> [UInt8] {
        Array(".cistern-hydrate-\(SHA256Hasher.hash(name.span))".utf8)
    }
}
