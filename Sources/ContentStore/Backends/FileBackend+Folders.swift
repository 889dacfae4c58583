package import Platform

extension FileBackend {
    /// Where an object is: its folder below the root, and its file name.
    static func place(_ key: ObjectKey) -> (folder: String, name: [UInt8]) {
        let path = key.path
        guard let slash = path.lastIndex(of: "/") else { return ("", Array(path.utf8)) }
        return (String(path[..<slash]), Array(path[path.index(after: slash)...].utf8))
    }

    static func error(_ error: SystemError, _ key: ObjectKey) -> BackendError {
        error.code == Errno.noEntry ? .missing(key) : BackendError(error, key)
    }

    package func list(
        _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) {
        guard kind != .config else { return }
        guard kind == .pack else { return try listFolder(kind.folder, prefix: nil, each) }
        var folders: [String] = []
        do throws(SystemError) {
            try root.open(kind.folder, making: false).readDirectory { name, _ in
                let text = FileBackend.text(name)
                if text.count == 2, text.allSatisfy({ "0123456789abcdef".contains($0) }) {
                    folders.append(text)
                }
            }
        } catch {
            guard error.code == Errno.noEntry else { throw BackendError(error, nil) }
        }
        for folder in folders { try listFolder("data/\(folder)", prefix: folder, each) }
    }

    package func removeLeftovers(olderThan time: Timestamp) throws(BackendError) -> Int {
        var folders = ["."]
        for kind in ObjectKind.allCases where kind != .config { folders.append(kind.folder) }
        for byte in 0...255 {
            let hex = String(byte, radix: 16)
            folders.append("data/" + (byte < 16 ? "0" : "") + hex)
        }
        var removed = 0
        for folder in folders {
            do throws(SystemError) {
                let directory = try root.open(folder, making: false)
                var names: [[UInt8]] = []
                try directory.readDirectory { name, _ in
                    if FileBackend.isTemporary(FileBackend.text(name)) {
                        names.append(Array(FileBackend.text(name).utf8))
                    }
                }
                for name in names where try directory.metadata(of: name).mtime < time {
                    try directory.unlink(name)
                    removed += 1
                }
            } catch {
                guard error.code == Errno.noEntry else { throw BackendError(error, nil) }
            }
        }
        return removed
    }

    private func listFolder(
        _ folder: String, prefix: String?,
        _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) {
        var found: [(id: Digest, size: UInt64)] = []
        do throws(SystemError) {
            let directory = try root.open(folder, making: false)
            var ids: [Digest] = []
            try directory.readDirectory { name, _ in
                guard let id = Digest(hex: name) else { return }
                // A pack in a wrong folder cannot be read under its name: it is not there.
                if let prefix, !id.description.hasPrefix(prefix) { return }
                ids.append(id)
            }
            found.reserveCapacity(ids.count)
            for id in ids {
                do throws(SystemError) {
                    let metadata = try directory.metadata(of: Array(id.description.utf8))
                    if metadata.kind == .file { found.append((id, metadata.size)) }
                } catch {
                    // It was removed while the folder was read.
                    guard error.code == Errno.noEntry else { throw error }
                }
            }
        } catch {
            guard error.code == Errno.noEntry else { throw BackendError(error, nil) }
        }
        for object in found { try each(object.id, object.size) }
    }

    /// Whether a name is one that `AtomicFile` or restic gives to a file that is being written.
    private static func isTemporary(_ name: String) -> Bool {
        guard let range = name.firstRange(of: "-tmp-") else { return false }
        let object = name[..<range.lowerBound]
        return object == "config" || Digest(hex: String(object)) != nil
    }

    private static func text(_ name: Span<UInt8>) -> String {
        var bytes: [UInt8] = []
        bytes.append(copying: name)
        return String(decoding: bytes, as: UTF8.self)
    }
}
