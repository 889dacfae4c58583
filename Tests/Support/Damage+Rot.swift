internal import Foundation
internal import Platform

extension Damage {
    /// Flips one bit of the byte at `offset` so that no metadata tells of it, as bad memory does.
    ///
    /// Only on a tmpfs: a page that was first read through a writable shared mapping is writable
    /// without a further fault, and only faults set the times. Throws where the times do change.
    package static func rot(_ path: String, at offset: Int? = nil) throws {
        let file = try Descriptor.open(path, [.readWrite, .noFollow])
        let before = try file.metadata()
        let size = Int(before.size)
        let at = offset ?? size / 2
        guard at < size else { throw TestError("\(path) has no byte \(at)") }
        let base = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.raw, 0)
        guard let base, base != MAP_FAILED else {
            throw TestError("mmap \(path): \(Errno.text(errno))")
        }
        let byte = base.assumingMemoryBound(to: UInt8.self) + at
        // Read through a system call, which the optimiser cannot move behind the write.
        var value: UInt8 = 0
        let copied = withUnsafeMutablePointer(to: &value) { out in copyByRead(byte, out) }
        byte.pointee = value ^ 0x10
        munmap(base, size)
        let after = try file.metadata()
        guard copied, after.ctime == before.ctime, after.mtime == before.mtime else {
            throw TestError("\(path): the damage shows in its times; is it on a tmpfs?")
        }
    }

    /// Reads one byte at `source` through a pipe.
    private static func copyByRead(
        _ source: UnsafePointer<UInt8>, _ target: UnsafeMutablePointer<UInt8>
    ) -> Bool {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return false }
        defer { for end in ends { close(end) } }
        return write(ends[1], source, 1) == 1 && read(ends[0], target, 1) == 1
    }
}

extension TemporaryFolder {
    /// A folder in memory, on which content can rot unseen.
    package convenience init(inMemory name: String) throws {
        try self.init(name, in: "/dev/shm")
    }

    /// Whether there is a tmpfs for that.
    package static let hasMemory: Bool = access("/dev/shm", W_OK) == 0
}
