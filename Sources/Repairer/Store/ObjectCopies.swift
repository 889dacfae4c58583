internal import ContentStore
internal import Platform

/// An object's bytes in a file without a name, proven by their SHA-256.
final class SpooledObject {
    let file: Descriptor
    private(set) var size: UInt64 = 0

    init(in folder: String) throws(SystemError) {
        file = try Descriptor.temporary(in: folder)
    }

    func append(_ part: Span<UInt8>) throws(SystemError) {
        try file.write(part, at: size)
        size += UInt64(part.count)
    }
}

/// Fetches whole objects, and puts them to a place where they are damaged or missing.
struct ObjectCopies {
    let spoolDirectory: String

    /// The object as `place` has it; nil when it has not, or not as its name says.
    ///
    /// - Parameter name: the wrong name that it has there.
    /// - Throws: `Failure` when the place or the spool cannot be used.
    func fetch(
        _ key: ObjectKey, as name: ObjectKey? = nil, from place: any Backend
    ) throws(Failure) -> SpooledObject? {
        let name = name ?? key
        guard let id = key.id,
            let size = try place.failing({ place throws(BackendError) in try place.size(name) })
        else { return nil }
        let spool: SpooledObject
        do throws(SystemError) {
            spool = try SpooledObject(in: spoolDirectory)
        } catch {
            throw ObjectCopies.spoolFailure(error, spoolDirectory)
        }
        let folder = spoolDirectory
        do throws(ObjectProblem) {
            let sum = try ObjectSum(place: place).read(name, size: size) {
                part throws(ObjectProblem) in
                do throws(SystemError) {
                    try spool.append(part)
                } catch {
                    throw .unknown(ObjectCopies.spoolFailure(error, folder))
                }
            }
            return sum == id ? spool : nil
        } catch {
            if case .unknown(let failure) = error { throw failure }
            return nil
        }
    }

    /// Puts the object in the place of the damaged one, and reads it back.
    ///
    /// Objects are replaced whole or not at all, so that a kill leaves the damaged or the good one.
    ///
    /// - Throws: `Failure` when it cannot be written, or comes back wrong.
    func put(
        _ key: ObjectKey, _ object: SpooledObject, to place: any Backend
    ) throws(Failure) {
        CrashPoint.reached("repair-before-put")
        do throws(BackendError) {
            try place.put(key, from: object.file, size: object.size)
        } catch {
            throw error.failure(at: place.location)
        }
        CrashPoint.reached("repair-object-put")
        guard try isGood(key, at: place) else {
            throw Failure(
                .store, "\(key) was written to \(place.location) and reads back damaged",
                hint: "Look at its disk before anything else is written there")
        }
    }

    /// Whether the place has the object as its name says.
    func isGood(_ key: ObjectKey, at place: any Backend) throws(Failure) -> Bool {
        guard let sum = try sum(key, at: place) else { return false }
        return sum == key.id
    }

    /// The SHA-256 of what the place has under a name; nil when it cannot be read.
    func sum(_ key: ObjectKey, at place: any Backend) throws(Failure) -> Digest? {
        guard let size = try place.failing({ place throws(BackendError) in try place.size(key) })
        else { return nil }
        do throws(ObjectProblem) {
            return try ObjectSum(place: place).sum(key, size: size)
        } catch {
            if case .unknown(let failure) = error { throw failure }
            return nil
        }
    }

    private static func spoolFailure(_ error: SystemError, _ folder: String) -> Failure {
        Failure(
            .temporary, "a file in \(folder) cannot be used", cause: "\(error)",
            hint: "Free space there and run again")
    }
}
