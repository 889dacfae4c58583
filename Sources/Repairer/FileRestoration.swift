internal import ContentStore
internal import Manifest
internal import Platform
internal import Stages

/// Puts single files of a module back from the store.
///
/// Not for use by two threads at once.
final class FileRestoration {
    private let files: ModuleFiles
    private let restorer: ContentRestorer
    private let quarantine: Quarantine
    private let links: RestoredLinks

    init(
        root: String, store: Store, quarantine: Quarantine, links: RestoredLinks
    ) throws(Failure) {
        files = try ModuleFiles(root: root)
        restorer = ContentRestorer(store: store)
        self.quarantine = quarantine
        self.links = links
    }

    /// Restores `stored`: content into a temporary file beside it, verified blob by blob, fsync,
    /// the damaged file into quarantine, rename, metadata.
    ///
    /// At every moment the name has the old file or the new one.
    ///
    /// - Returns: the unit as it is now.
    /// - Throws: `SystemError` or `Failure`; the module is then as it was.
    func restore(_ stored: Unit, reason: String) throws -> Unit {
        let (directory, name) = try files.parent(of: stored.path)
        let folderTime = try directory.descriptor.metadata().mtime
        let current = try? directory.descriptor.metadata(of: name)
        if stored.metadata.kind == .directory {
            try restoreDirectory(stored, name, in: directory)
        } else {
            let temporary = FileRestoration.temporaryName(for: stored.path)
            do {
                try? directory.descriptor.unlink(temporary)
                try make(stored, temporary, in: directory)
                if current != nil {
                    try quarantine.keep(name, in: directory, path: stored.path, reason: reason)
                }
                CrashPoint.reached("repair-before-rename")
                try directory.descriptor.rename(temporary, to: name, in: directory.descriptor)
            } catch {
                try? directory.descriptor.unlink(temporary)
                throw error
            }
        }
        try directory.descriptor.sync()
        CrashPoint.reached("repair-renamed")
        // The directory's own time is data too, and only our work moved it.
        if !stored.path.isEmpty { try setTime(of: directory, folderTime) }
        links.remember(stored, restored: stored.path)
        guard let unit = try files.unit(at: stored.path) else {
            throw SystemError(Errno.noEntry, "statx", printable(stored.path))
        }
        return unit
    }

    /// The name that a file has until it is whole: always the same for a path, so that what a
    /// killed repair left is replaced by the next one.
    private static func temporaryName(for path: [UInt8]) -> [UInt8] {
        Array(".cistern-restore-\(SHA256Hasher.hash(path.span))".utf8)
    }

    private func setTime(of directory: OpenDirectory, _ time: Timestamp) throws(SystemError) {
        try directory.descriptor.setModified(time)
    }

    private func restoreDirectory(
        _ stored: Unit, _ name: [UInt8], in directory: OpenDirectory
    ) throws {
        do {
            try directory.descriptor.makeDirectory(name)
        } catch let error where error.code == Errno.exists {
            guard try directory.descriptor.metadata(of: name).kind == .directory else {
                throw error
            }
        }
        try apply(stored, name, in: directory)
    }

    private func make(
        _ stored: Unit, _ temporary: [UInt8], in directory: OpenDirectory
    ) throws {
        switch stored.metadata.kind {
        case .file:
            if let other = links.restoredName(of: stored) {
                // A further name of a file that was restored already.
                let (otherFolder, otherName) = try files.parent(of: other)
                try otherFolder.descriptor.link(otherName, to: temporary, in: directory.descriptor)
                return
            }
            let file = try directory.descriptor.open(temporary, [.readWrite, .create, .exclusive])
            let size = try restorer.write(stored.content?.ids ?? [], to: file)
            guard size == stored.metadata.size else {
                throw Failure(
                    .store,
                    "the stored content of \(printable(stored.path)) has \(size) bytes "
                        + "instead of \(stored.metadata.size)")
            }
            try apply(stored, temporary, in: directory)
            try file.sync()
            try file.close()
            return
        case .symlink:
            try directory.descriptor.makeSymlink(temporary, to: stored.target ?? [])
        case .fifo, .socket, .chardev, .blockdev:
            try directory.descriptor.makeNode(
                temporary, stored.metadata.kind, permissions: stored.metadata.permissions,
                rdev: stored.metadata.rdev)
        case .directory:
            throw Failure(.bug, "a directory is not restored through a temporary name")
        }
        try apply(stored, temporary, in: directory)
    }

    private func apply(_ stored: Unit, _ name: [UInt8], in directory: OpenDirectory) throws {
        try MetadataWriter.apply(stored, name: name, in: directory, owners: true)
    }
}

/// Which names of files with several hard links were restored, so that the further names become
/// links again.
final class RestoredLinks: Sendable {
    private struct Key: Hashable {
        var inode: UInt64
        var device: UInt64
    }

    private let names = Monitor<[Key: [UInt8]]>([:])

    init() {}

    func remember(_ stored: Unit, restored path: [UInt8]) {
        guard let key = RestoredLinks.key(stored) else { return }
        names.with { $0[key] = path }
    }

    func restoredName(of stored: Unit) -> [UInt8]? {
        guard let key = RestoredLinks.key(stored) else { return nil }
        return names.with { $0[key] }
    }

    private static func key(_ unit: Unit) -> Key? {
        let metadata = unit.metadata
        guard metadata.kind == .file, metadata.links > 1, metadata.inode != 0 else { return nil }
        return Key(inode: metadata.inode, device: metadata.device)
    }
}
