internal import CLinux
internal import Glibc

/// Writes new files from front to back, with holes for long runs of zeros; large ones past the
/// page cache, when asked for.
///
/// Through the page cache each byte is copied once more and written back by the kernel's own
/// threads, which costs more processor time than to decompress and hash it, and pushes out what
/// others have there. Where the file system cannot do without the cache (O_DIRECT of open(2))
/// the cache is used. One file after the other; not for use by two threads at once.
@safe package final class FileWriter {
    /// Bytes of one write, and of the buffer.
    package static let size = 1 << 20
    /// No device has larger blocks, and the memory has to be aligned alike.
    private static let alignment = 4096
    /// Holes are kept in steps of this size, the block size of most file systems and more.
    private static let holeSize = 64 << 10

    private let buffer = UnsafeMutableRawPointer.allocate(
        byteCount: FileWriter.size, alignment: FileWriter.alignment)
    private var filled = 0
    /// Where in the file the buffer's first byte belongs.
    private var offset: UInt64 = 0
    /// Where the last write ended: how long the file is.
    private var end: UInt64 = 0
    private var isDirect = false

    package init() {}

    deinit {
        unsafe buffer.deallocate()
    }

    /// Begins with an empty open file, which all calls until `finish` are given.
    ///
    /// - Parameter direct: write past the page cache.
    package func begin(_ file: borrowing Descriptor, direct: Bool) {
        filled = 0
        offset = 0
        end = 0
        isDirect = direct && cl_set_direct(file.raw, 1) == 0
    }

    /// Adds `bytes` at the end of the file.
    package func append(
        _ bytes: Span<UInt8>, to file: borrowing Descriptor
    ) throws(SystemError) {
        var done = 0
        while done < bytes.count {
            let count = min(FileWriter.size - filled, bytes.count - done)
            unsafe bytes.extracting(done..<(done + count)).withUnsafeBytes { source in
                guard let base = source.baseAddress else { return }
                unsafe (buffer + filled).copyMemory(from: base, byteCount: count)
            }
            filled += count
            done += count
            guard filled == FileWriter.size else { return }
            try flush(filled, to: file)
            offset += UInt64(filled)
            filled = 0
        }
    }

    /// Writes what is left; returns the file's length in bytes.
    package func finish(_ file: borrowing Descriptor) throws(SystemError) -> UInt64 {
        // Devices take whole blocks only.
        let whole = isDirect ? filled - filled % FileWriter.alignment : filled
        try flush(whole, to: file)
        if whole < filled {
            isDirect = cl_set_direct(file.raw, 0) != 0
            try write(whole..<filled, to: file)
        }
        let length = offset + UInt64(filled)
        // A hole at the end is not written by anything.
        if end != length { try file.truncate(to: length) }
        return length
    }

    /// Writes the first `count` bytes of the buffer but for its holes.
    private func flush(_ count: Int, to file: borrowing Descriptor) throws(SystemError) {
        var start = 0
        var at = 0
        while at < count {
            let next = min(at + FileWriter.holeSize, count)
            if next - at == FileWriter.holeSize && isZero(at..<next) {
                try write(start..<at, to: file)
                start = next
            }
            at = next
        }
        try write(start..<count, to: file)
    }

    private func write(
        _ range: Range<Int>, to file: borrowing Descriptor
    ) throws(SystemError) {
        guard !range.isEmpty else { return }
        let bytes = unsafe UnsafeBufferPointer(
            start: buffer.assumingMemoryBound(to: UInt8.self) + range.lowerBound,
            count: range.count)
        let place = offset + UInt64(range.lowerBound)
        do throws(SystemError) {
            try file.write(unsafe bytes.span, at: place)
        } catch {
            // The device wants another alignment, or took a part that ends within a block.
            guard error.code == Errno.invalid, isDirect else { throw error }
            isDirect = cl_set_direct(file.raw, 0) != 0
            try file.write(unsafe bytes.span, at: place)
        }
        end = place + UInt64(range.count)
    }

    private func isZero(_ range: Range<Int>) -> Bool {
        let start = unsafe buffer + range.lowerBound
        // The first eight bytes tell of nearly all that is no hole; else all equal those before.
        return unsafe start.load(as: UInt64.self) == 0
            && memcmp(start, start + 8, range.count - 8) == 0
    }
}
