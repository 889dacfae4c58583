internal import FoundationEssentials
package import Platform

/// What this host remembers of a mirror: when it was complete, and how the last attempt ended.
///
/// Nothing is copied or left out by it: it is what people are told.
package struct MirrorRecord: Sendable, Codable, Equatable {
    /// The place, without secrets.
    package var location: String
    /// Whether it was made: one that is gone is then a disk that is not mounted.
    package var isMade: Bool?
    /// When the copying began that ended with a complete mirror, in seconds since the epoch.
    package var completed: Int64?
    /// Since when the mirror has lacked something that the store has.
    package var lagging: Int64?
    /// What it lacked at the end of the last attempt.
    package var missingObjects: Int?
    package var missingBytes: UInt64?
    /// When it was last tried, and why that failed.
    package var attempted: Int64?
    package var failure: String?

    package init(location: String) { self.location = location }

    /// The record after an attempt that began at `time` and ended with `result`.
    package mutating func note(_ result: MirrorResult, at time: Int64) {
        attempted = time
        failure = nil
        missingObjects = result.missing.total.objects
        missingBytes = result.missing.total.bytes
        if result.isComplete {
            completed = time
            lagging = nil
        } else {
            lagging = lagging ?? completed ?? time
        }
    }

    /// The record after an attempt that failed: what is missing is not known any more, but for what
    /// was known before.
    package mutating func note(_ error: Failure, at time: Int64) {
        attempted = time
        failure = error.description
        lagging = lagging ?? completed ?? time
    }

    // MARK: On disk

    /// The file of the mirror at `location` in `folder`, and the lock beside it.
    package static func path(_ location: String, in folder: String) -> String {
        let bytes = Array(location.utf8)
        return "\(folder)/\(SHA256Hasher.hash(bytes.span).description.prefix(16))"
    }

    /// The record of the mirror at `location`; a new one when there is none that can be read.
    package static func load(_ location: String, in folder: String) -> MirrorRecord {
        guard let bytes = try? AtomicFile.read(path(location, in: folder) + ".json"),
            let record = try? JSONDecoder().decode(MirrorRecord.self, from: Data(bytes)),
            record.location == location
        else { return MirrorRecord(location: location) }
        return record
    }

    /// Writes the record.
    package func save(in folder: String) throws(Failure) {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            let bytes = Array(try encoder.encode(self))
            try AtomicFile.makeDirectories(folder)
            try AtomicFile.write(
                bytes.span, to: MirrorRecord.path(location, in: folder) + ".json")
        } catch {
            throw Failure(
                .temporary, "the record of mirror \(location) cannot be written",
                cause: "\(error)")
        }
    }
}
