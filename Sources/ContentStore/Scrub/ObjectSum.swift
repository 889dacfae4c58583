package import Platform

/// How reading an object of a place ended that did not give its bytes.
package enum ObjectProblem: Error, Sendable {
    /// It is not there.
    case gone
    /// It is there, and its bytes cannot be had.
    case damaged(String)
    /// The place could not be asked, which says nothing about the object.
    case unknown(Failure)

    /// Sorts an error of `place`.
    package init(_ error: BackendError, at place: any Backend) {
        switch error {
        case .missing: self = .gone
        case .damaged(_, let cause): self = .damaged(cause)
        case .permanent(let cause) where ObjectProblem.isDamage(cause.code):
            self = .damaged("it cannot be read: \(cause.reason)")
        default:
            var failure = error.failure(at: place.location)
            // With no descriptors or memory left, everything would look damaged.
            switch error {
            case .permanent, .refused: failure.kind = .temporary
            default: break
            }
            self = .unknown(failure)
        }
    }

    /// Whether an error is about the very file that was read.
    static func isDamage(_ code: Int32) -> Bool {
        [Errno.inputOutput, Errno.access, Errno.permission].contains(code)
    }
}

/// How much is read from a place at once.
enum ReadStep {
    /// Large enough for a disk and small enough for a processor's cache, or few requests a pack.
    static func bytes(of place: any Backend) -> Int { place.isLocal ? 1 << 20 : 8 << 20 }
}

/// Hashes objects of a place as they are stored, with buffers that are reused.
///
/// Not for use by two threads at once.
package final class ObjectSum {
    private let place: any Backend
    private let step: UInt64
    private let hasher = SHA256Hasher()
    private var buffer: [UInt8] = []

    package init(place: any Backend) {
        self.place = place
        step = UInt64(ReadStep.bytes(of: place))
    }

    /// The SHA-256 of an object of `size` bytes.
    package func sum(_ key: ObjectKey, size: UInt64) throws(ObjectProblem) -> Digest {
        try read(key, size: size) { _ in }
    }

    /// As `sum`, and hands every part to `each` in order.
    package func read(
        _ key: ObjectKey, size: UInt64, _ each: (Span<UInt8>) throws(ObjectProblem) -> Void
    ) throws(ObjectProblem) -> Digest {
        var buffer = take(&self.buffer)
        defer {
            self.buffer = buffer
            _ = hasher.finish()
        }
        var at: UInt64 = 0
        while at < size {
            let end = min(size, at + step)
            buffer.removeAll(keepingCapacity: true)
            do throws(BackendError) {
                try place.read(key, at..<end, into: &buffer)
            } catch {
                throw ObjectProblem(error, at: place)
            }
            hasher.update(buffer.span)
            try each(buffer.span)
            at = end
        }
        return hasher.finish()
    }
}
