package import Platform

extension FileMetadata {
    /// Makes the next run read the file again when it changed so shortly before it was read that
    /// a later change could carry the same time: file systems stamp with the tick of the kernel's
    /// clock, a few milliseconds, or in whole seconds, two on FAT.
    ///
    /// - Parameter read: when reading began.
    package mutating func distrustIfRecent(_ read: Timestamp) {
        let age = read.nanosecondsSinceEpoch - ctime.nanosecondsSinceEpoch
        guard age < (ctime.nanoseconds == 0 ? 2_000_000_000 : 50_000_000) else { return }
        ctime = Timestamp(nanosecondsSinceEpoch: ctime.nanosecondsSinceEpoch - 1)
    }
}
