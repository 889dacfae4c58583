internal import ContentStore
internal import Platform

/// Takes pieces of content from plain files: those of live modules, and of directories that were
/// hydrated or restored.
///
/// A file proves itself: what is taken has the SHA-256 that the snapshot names.
final class ContentFiles {
    private let store: Store
    private let options: StoreRepairOptions
    /// Directories with live or restored files are opened a few times for each damaged one only.
    private let hasher = SHA256Hasher()

    init(store: Store, options: StoreRepairOptions) {
        self.store = store
        self.options = options
    }

    /// The content number `index` of a file, and where it was found; nil when no file has it.
    ///
    /// - Throws: `Failure` when the index cannot be asked; files that cannot be read have nothing.
    func content(
        _ index: Int, of path: DamagedPath
    ) throws(Failure) -> (bytes: [UInt8], file: String)? {
        guard let (offset, length) = try place(index, of: path) else { return nil }
        for file in candidates(path) {
            guard let bytes = read(file, offset, length) else { continue }
            hasher.update(bytes.span)
            if hasher.finish() == path.content[index] {
                return (bytes, printable(file))
            }
        }
        return nil
    }

    /// Where the piece lies in the file; nil when a piece before it has an unknown length.
    ///
    /// The last piece needs no length of its own.
    private func place(
        _ index: Int, of path: DamagedPath
    ) throws(Failure) -> (offset: UInt64, length: Int?)? {
        var offset: UInt64 = 0
        for id in path.content[..<index] {
            guard let length = try length(id) else { return nil }
            offset += UInt64(length)
        }
        let length = try length(path.content[index])
        guard length != nil || index == path.content.count - 1 else { return nil }
        return (offset, length)
    }

    private func length(_ id: Digest) throws(Failure) -> Int? {
        try store.index.allLocations(id, .data).first?.contentLength
    }

    /// Where the file may be: in its module, and below the given directories at its path or an end
    /// of it.
    private func candidates(_ path: DamagedPath) -> [[UInt8]] {
        var result: [[UInt8]] = []
        let parts = path.path.split(separator: 0x2F)
        if let module = path.module, let root = options.modules[module] {
            // The first name is the module itself.
            result.append(join(root, parts.dropFirst()))
        }
        // A restic of this machine stored absolute paths: the live file is where it was.
        if path.module == nil { result.append(join("", parts[...])) }
        for directory in options.directories {
            for start in parts.indices { result.append(join(directory, parts[start...])) }
        }
        return result
    }

    private func join(_ root: String, _ parts: ArraySlice<[UInt8].SubSequence>) -> [UInt8] {
        var path = Array(root.utf8)
        for part in parts {
            path.append(0x2F)
            path += part
        }
        return path
    }

    private func read(_ path: [UInt8], _ offset: UInt64, _ length: Int?) -> [UInt8]? {
        var bytes: [UInt8] = []
        // Without a length it is the end of the file, which is at most one chunk away.
        let wanted = length ?? (64 << 20)
        guard wanted <= 512 << 20 else { return nil }
        do throws(SystemError) {
            let root = try Descriptor.open("/", [.readOnly, .directory])
            let file = try root.openForReading(Array(path.drop { $0 == 0x2F }))
            guard try file.metadata().kind == .file else { return nil }
            try file.seek(to: offset)
            let count = try file.read(appending: &bytes, upTo: wanted)
            return length == nil || count == length ? bytes : nil
        } catch {
            return nil
        }
    }
}
