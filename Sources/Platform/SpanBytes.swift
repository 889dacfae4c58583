internal import Glibc

extension Array where Element == UInt8 {
    /// Appends a copy of `bytes`.
    package mutating func append(copying bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }
}

/// What the C library does many bytes at a time.
extension Span<UInt8> {
    /// Whether the bytes begin with `other`.
    package func starts(with other: Span<UInt8>) -> Bool {
        guard count >= other.count else { return false }
        return unsafe withUnsafeBytes { bytes in
            unsafe other.withUnsafeBytes { prefix in
                guard let a = bytes.baseAddress, let b = prefix.baseAddress else { return true }
                return unsafe memcmp(a, b, prefix.count) == 0
            }
        }
    }

    /// The first place of `byte` at or behind `start`; nil when there is none.
    package func firstIndex(of byte: UInt8, from start: Int) -> Int? {
        guard start < count else { return nil }
        return unsafe withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress,
                let found = unsafe memchr(base + start, Int32(byte), bytes.count - start)
            else { return nil }
            return unsafe base.distance(to: UnsafeRawPointer(found))
        }
    }
}
