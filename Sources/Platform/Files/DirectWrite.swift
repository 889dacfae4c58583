internal import CLinux
internal import Glibc

extension Descriptor {
    /// From this size on `writeDirect` goes past the page cache.
    private static let directFrom = 1 << 20
    /// What O_DIRECT asks of addresses, lengths and offsets is at most this on Linux's file
    /// systems.
    private static let directAlignment = 4096

    /// Writes all of `bytes` at the position of a new file; large ones past the page cache
    /// (O_DIRECT), where the file system can.
    ///
    /// What is written once and seldom read again would push out what the modules need, and
    /// filling the cache costs more than the copy made here to have the bytes aligned.
    package func writeDirect(_ bytes: Span<UInt8>) throws(SystemError) {
        guard bytes.count >= Descriptor.directFrom, cl_set_direct(raw, 1) == 0 else {
            return try write(bytes)
        }
        let size = Descriptor.directFrom
        let block = UnsafeMutableRawBufferPointer.allocate(
            byteCount: size, alignment: Descriptor.directAlignment)
        defer { unsafe block.deallocate() }
        let end = bytes.count - bytes.count % Descriptor.directAlignment
        var done = 0
        while done < end {
            let count = min(size, end - done)
            let (n, code) = unsafe bytes.withUnsafeBytes { source -> (Int, Int32) in
                unsafe block.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: source[done..<(done + count)]))
                let n = unsafe Glibc.write(raw, block.baseAddress, count)
                return (n, n < 0 ? errno : 0)
            }
            if n >= 0 {
                done += n
                // Half a block is the end of what can go this way.
                if !n.isMultiple(of: Descriptor.directAlignment) { break }
            } else if code == EINVAL {
                break
            } else if code != EINTR {
                throw SystemError(code, "write")
            }
        }
        guard cl_set_direct(raw, 0) == 0 else { throw SystemError(errno, "fcntl") }
        try write(bytes.extracting(done...))
    }
}
