internal import Platform

/// An open directory that is shared.
final class DirectoryHandle: Sendable {
    let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }

    /// Opens `folder` below this one; with `making` it is made when it is missing.
    func open(_ folder: String, making: Bool) throws(SystemError) -> Descriptor {
        let name = Array(folder.utf8)
        do throws(SystemError) {
            return try descriptor.open(name, [.readOnly, .directory])
        } catch {
            guard making, error.code == Errno.noEntry else { throw error }
        }
        var prefix = ""
        for part in folder.split(separator: "/") {
            let parent = prefix
            prefix += (prefix.isEmpty ? "" : "/") + part
            guard try makeFolder(prefix) else { continue }
            // The new folder has to survive a crash as what is put into it does.
            guard !parent.isEmpty else {
                try descriptor.sync()
                continue
            }
            try descriptor.open(Array(parent.utf8), [.readOnly, .directory]).sync()
        }
        return try descriptor.open(name, [.readOnly, .directory])
    }

    /// Makes a folder; false when it was there.
    @discardableResult
    func makeFolder(_ folder: String) throws(SystemError) -> Bool {
        do throws(SystemError) {
            try descriptor.makeDirectory(Array(folder.utf8), mode: 0o700)
            return true
        } catch {
            guard error.code == Errno.exists else { throw error }
            return false
        }
    }
}

/// An open file that threads share by reading at offsets.
final class OpenFile: Sendable {
    private let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }

    /// Whether the file still has a name: false once it was removed, or replaced by a mended one.
    var isLinked: Bool {
        guard let metadata = try? descriptor.metadata() else { return false }
        return metadata.links > 0
    }

    /// Appends `count` bytes from `offset` on, or fewer at the end of the file.
    func read(
        appending output: inout [UInt8], at offset: UInt64, count: Int
    ) throws(SystemError) {
        var failure: SystemError?
        output.append(
            addingCapacity: count,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    var done = 0
                    while done < count, let base = pointer.baseAddress {
                        var rest = unsafe MutableSpan(
                            _unsafeStart: base + initialized + done, count: count - done)
                        do throws(SystemError) {
                            let n = try descriptor.read(into: &rest, at: offset + UInt64(done))
                            if n == 0 { break }
                            done += n
                        } catch {
                            failure = error
                            break
                        }
                    }
                    initialized += done
                }
            })
        if let failure { throw failure }
    }
}

/// The files that were read from most recently, kept open; for any number of threads.
final class OpenFiles: Sendable {
    private struct State {
        var files: [ObjectKey: (file: OpenFile, used: UInt64)] = [:]
        var clock: UInt64 = 0
    }

    private let state = Monitor(State())
    private let capacity: Int

    /// Keeps at most `capacity` files open.
    init(capacity: Int) {
        self.capacity = capacity
    }

    /// The open file of `key`, opened by `open` when it is not among those kept.
    func file(
        _ key: ObjectKey, _ open: () throws(SystemError) -> Descriptor
    ) throws(SystemError) -> OpenFile {
        let kept = state.with { state -> OpenFile? in
            guard let entry = state.files[key] else { return nil }
            state.clock += 1
            state.files[key] = (entry.file, state.clock)
            return entry.file
        }
        if let kept, kept.isLinked { return kept }
        let file = OpenFile(try open())
        state.with { state in
            state.clock += 1
            state.files[key] = (file, state.clock)
            guard state.files.count > capacity,
                let oldest = state.files.min(by: { $0.value.used < $1.value.used })
            else { return }
            state.files[oldest.key] = nil
        }
        return file
    }

    /// Closes the file of `key` once nobody reads from it.
    func forget(_ key: ObjectKey) {
        state.with { $0.files[key] = nil }
    }
}
