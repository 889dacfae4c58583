package import Platform

extension Backend {
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
