package import Platform

extension Backend {
    /// Whether it is a folder of this machine: others cost a way over a network for each call.
    package var isLocal: Bool { location.hasPrefix("file:") }

    /// How many threads read objects and work on them: on a network some of them always wait.
    package var readerThreads: Int { isLocal ? processorCount : max(processorCount, 4) }

    /// Has the next read of an object ask the place itself: for what looks damaged.
    package func forgetCached(_ key: ObjectKey) {
        if key.kind == .pack, let pack = key.id { (self as? BlockCache)?.forget(pack) }
    }

    /// The file's bytes in memory: for backends that keep objects there anyway.
    package func put(
        _ key: ObjectKey, from file: borrowing Descriptor, size: UInt64
    ) throws(BackendError) {
        var bytes: [UInt8] = []
        do throws(SystemError) {
            try file.seek(to: 0)
            let n = try file.read(appending: &bytes, upTo: Int(size))
            guard n == Int(size) else {
                throw SystemError(Errno.inputOutput, "read", "spool file of \(key)")
            }
        } catch {
            throw .permanent(error)
        }
        try put(key, bytes.span)
    }
}
