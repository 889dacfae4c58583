internal import Platform

/// Copies single objects to a mirror, each compared with its name on the way.
///
/// Not for use by two threads at once.
final class ObjectCopier {
    /// Objects up to this size are copied through memory; restic's packs are smaller by far.
    private static let memoryLimit: UInt64 = 24 << 20
    private static let pieceSize: UInt64 = 8 << 20

    /// What became of an object.
    enum Outcome: Sendable, Equatable {
        /// `place`: 0 for the store itself, n for its n-th other mirror.
        case copied(bytes: UInt64, place: Int)
        /// The mirror has it good, and no other place.
        case goodThere
        /// It was removed from the store since the listing.
        case vanished
        /// No place has it as its name says.
        case lost(cause: String)
    }

    /// The error of a place that is out; the copying ends with it.
    struct PlaceFailure: Error {
        var location: String
        var error: BackendError
    }

    private let sources: [any Backend]
    private let target: any Backend
    private let spoolDirectory: String
    private let hasher = SHA256Hasher()
    private var buffer: [UInt8] = []

    /// Copies to `target` from the first of `sources` that has an object good.
    init(sources: [any Backend], target: any Backend, spoolDirectory: String) {
        self.sources = sources
        self.target = target
        self.spoolDirectory = spoolDirectory
    }

    /// Copies `item`; its size is what the store's listing says.
    ///
    /// - Parameter isNamed: an index file names the object, so that its absence is a loss.
    /// - Throws: `PlaceFailure` when the mirror, or the store itself, is out.
    func copy(_ item: MirrorItem, isNamed: Bool = false) throws -> Outcome {
        var problems: [String] = []
        for (place, source) in sources.enumerated() {
            do {
                // The store's own copy twice: a transfer may spoil what is well.
                for _ in 0..<(place == 0 ? 2 : 1) {
                    let size = place == 0 && !isNamed ? item.size : try source.size(item.key)
                    guard let size else { throw BackendError.missing(item.key) }
                    guard try copy(item.key, size, from: source) else { continue }
                    return .copied(bytes: size, place: place)
                }
                problems.append("\(source.location): its SHA-256 is not its name")
            } catch BackendError.missing {
                // Removed on purpose: mirrors keep it for a while, and nobody needs it.
                if place == 0 && !isNamed { return .vanished }
                problems.append("\(source.location): it is missing")
            } catch let error as BackendError {
                if place == 0, case .temporary = error {
                    throw PlaceFailure(location: source.location, error: error)
                }
                problems.append(error.failure(at: source.location).description)
            }
        }
        // A pack of another size there need not be the one that is damaged.
        if (try? isGood(item.key, in: target)) == true { return .goodThere }
        return .lost(cause: problems.joined(separator: "; "))
    }

    private func isGood(_ key: ObjectKey, in place: any Backend) throws -> Bool {
        guard let size = try place.size(key) else { return false }
        return try read(key, size, from: place) { _, _ in }
    }

    /// False when what was read is not what the name says.
    private func copy(
        _ key: ObjectKey, _ size: UInt64, from source: any Backend
    ) throws -> Bool {
        guard size <= ObjectCopier.memoryLimit else {
            return try copyLarge(key, size, from: source)
        }
        var bytes = take(&buffer)
        defer { buffer = bytes }
        if key.kind == .pack {
            bytes.reserveCapacity(Int(size))
            try source.read(key, 0..<size, into: &bytes)
        } else {
            bytes = try source.get(key, limit: Int(size))
        }
        hasher.update(bytes.span)
        guard hasher.finish() == key.id else { return false }
        do throws(BackendError) {
            try target.put(key, bytes.span)
        } catch {
            throw PlaceFailure(location: target.location, error: error)
        }
        return true
    }

    /// By a spool file, because the bytes count only once the last of them is known.
    private func copyLarge(
        _ key: ObjectKey, _ size: UInt64, from source: any Backend
    ) throws -> Bool {
        let spool = try Descriptor.temporary(in: spoolDirectory)
        let isRight = try read(key, size, from: source) { bytes, at throws(SystemError) in
            try spool.write(bytes, at: at)
        }
        guard isRight else { return false }
        do throws(BackendError) {
            try target.put(key, from: spool, size: size)
        } catch {
            throw PlaceFailure(location: target.location, error: error)
        }
        return true
    }

    /// Reads an object piece by piece; whether it was what its name says.
    private func read(
        _ key: ObjectKey, _ size: UInt64, from source: any Backend,
        _ each: (Span<UInt8>, _ at: UInt64) throws(SystemError) -> Void
    ) throws -> Bool {
        let hasher = SHA256Hasher()
        var bytes = take(&buffer)
        defer { buffer = bytes }
        var at: UInt64 = 0
        while at < size {
            bytes.removeAll(keepingCapacity: true)
            let end = min(size, at + ObjectCopier.pieceSize)
            try source.read(key, at..<end, into: &bytes)
            hasher.update(bytes.span)
            try each(bytes.span, at)
            at = end
        }
        return hasher.finish() == key.id
    }
}
