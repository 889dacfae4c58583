package import Platform

/// A repository in a directory, in restic's default layout.
///
/// Writes go to `<name>-tmp-<random>` beside the object, then fsync, rename, fsync of the folder.
/// Files have mode 0400, folders 0700.
package final class FileBackend: Backend {
    package let location: String
    let root: DirectoryHandle
    private let packs: OpenFiles

    /// Opens the repository directory `path`, which has to exist unless `create` is true; then it
    /// and its folders are made as far as they are missing.
    ///
    /// The directory stays open, so that a file system unmounted later is an error and never an
    /// empty directory that gets filled instead.
    package init(path: String, create: Bool = false) throws(Failure) {
        location = "file:\(path)"
        do throws(SystemError) {
            if create { try AtomicFile.makeDirectories(path) }
            root = DirectoryHandle(try Descriptor.open(path, [.readOnly, .directory]))
            packs = OpenFiles(capacity: 32)
            guard create else { return }
            for kind in ObjectKind.allCases where kind != .config {
                try root.makeFolder(kind.folder)
            }
            CrashPoint.reached("store-folders-made")
            try root.descriptor.sync()
            // The store's own name has to survive a crash as well.
            try Descriptor.open("\(path)/..", [.readOnly, .directory]).sync()
        } catch {
            throw BackendError.permanent(error).failure(at: "file:\(path)")
        }
    }

    package func put(_ key: ObjectKey, _ bytes: Span<UInt8>) throws(BackendError) {
        do throws(SystemError) {
            let (folder, name) = FileBackend.place(key)
            guard key != .config else {
                try AtomicFile.write(
                    bytes, to: name, in: root.descriptor, mode: 0o400, replacing: false)
                return
            }
            let directory = try root.open(folder, making: true)
            try AtomicFile.write(bytes, to: name, in: directory, mode: 0o400)
            packs.forget(key)
        } catch {
            guard key == .config, error.code == Errno.exists else {
                throw BackendError(error, key)
            }
            guard try size(key) == UInt64(bytes.count) else { throw .exists(key) }
            let there = try get(key, limit: bytes.count)
            guard there.count == bytes.count, there.indices.allSatisfy({ there[$0] == bytes[$0] })
            else { throw .exists(key) }
        }
    }

    package func put(
        _ key: ObjectKey, from file: borrowing Descriptor, size: UInt64
    ) throws(BackendError) {
        do throws(SystemError) {
            let (folder, name) = FileBackend.place(key)
            let directory = try root.open(folder, making: true)
            try AtomicFile.copy(from: file, size: size, to: name, in: directory, mode: 0o400)
            packs.forget(key)
        } catch {
            throw BackendError(error, key)
        }
    }

    package func get(_ key: ObjectKey, limit: Int) throws(BackendError) -> [UInt8] {
        var bytes: [UInt8] = []
        do throws(SystemError) {
            let file = try root.descriptor.open(Array(key.path.utf8), [.readOnly])
            let size = try file.metadata().size
            // One byte more than the size, so that one read finds the end of the file.
            var room = Int(min(size, UInt64(limit))) + 1
            while bytes.count <= limit {
                if try file.read(appending: &bytes, upTo: room) < room { return bytes }
                room = 64 << 10
            }
        } catch {
            throw FileBackend.error(error, key)
        }
        throw .damaged(key, cause: "it is longer than the limit of \(limit) bytes")
    }

    package func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError) {
        let count = Int(range.upperBound - range.lowerBound)
        let start = output.count
        do throws(SystemError) {
            let file = try packs.file(key) { () throws(SystemError) in
                try root.descriptor.open(Array(key.path.utf8), [.readOnly])
            }
            try file.read(appending: &output, at: range.lowerBound, count: count)
        } catch {
            output.removeSubrange(start...)
            throw FileBackend.error(error, key)
        }
        let got = output.count - start
        guard got == count else {
            output.removeSubrange(start...)
            throw .damaged(
                key,
                cause: "it ends at byte \(range.lowerBound + UInt64(got)), before "
                    + "\(range.upperBound)")
        }
    }

    package func size(_ key: ObjectKey) throws(BackendError) -> UInt64? {
        do throws(SystemError) {
            let metadata = try root.descriptor.metadata(of: Array(key.path.utf8))
            return metadata.kind == .file ? metadata.size : nil
        } catch {
            guard error.code == Errno.noEntry else { throw BackendError(error, key) }
            return nil
        }
    }

    package func remove(_ key: ObjectKey) throws(BackendError) {
        packs.forget(key)
        do throws(SystemError) {
            try root.descriptor.unlink(Array(key.path.utf8))
        } catch {
            guard error.code == Errno.noEntry else { throw BackendError(error, key) }
        }
    }
}
