internal import FoundationEssentials
package import Platform

/// What an obliteration is about to do, kept in a file until it is proven to be done: so that after
/// a crash it is finished, and its receipt names all that was removed.
package struct ObliterationNote: Codable, Sendable, Equatable {
    /// Content that stays because another module has it too.
    package struct Kept: Codable, Sendable, Equatable {
        /// The other module, or the paths of a snapshot that is no module's.
        package var module: String
        package var blobs: Int

        package init(module: String, blobs: Int) {
            self.module = module
            self.blobs = blobs
        }
    }

    package var module: String
    /// The store's id.
    package var store: String
    /// Seconds since the epoch.
    package var started: Int64
    /// The ids of the module's snapshots.
    package var snapshots: [String] = []
    /// The ids of packs that were removed or are about to be.
    package var packs: [String] = []
    /// Bytes of these packs, at all places.
    package var bytes: UInt64 = 0
    /// What the others have of the module's content; nil as long as it was not looked at.
    package var kept: [Kept]?
    /// Of a module with a store of its own: the places that were found to have nothing any more.
    package var emptied: [String]?

    package init(module: String, store: String, started: Int64) {
        self.module = module
        self.store = store
        self.started = started
    }

    /// The longest note that is read, in bytes.
    private static let limit = 1 << 30

    /// Reads the note in `path`; nil when there is none.
    package static func load(_ path: String) throws(Failure) -> ObliterationNote? {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try AtomicFile.read(path, limit: limit)
        } catch {
            if error.code == Errno.noEntry { return nil }
            throw Failure(.module, "\(path) cannot be read", cause: error.description)
        }
        do {
            return try JSONDecoder().decode(ObliterationNote.self, from: Data(bytes))
        } catch {
            throw Failure(
                .module, "\(path) is damaged", cause: "\(error)",
                hint: "It only lists what was removed so far: move it away and run again")
        }
    }

    /// Writes the note, durably.
    package func save(_ path: String) throws(Failure) {
        do {
            try AtomicFile.makeDirectories(Path.folder(of: path))
            let bytes = [UInt8](try JSONEncoder().encode(self))
            try AtomicFile.write(bytes.span, to: path)
        } catch {
            throw Failure(.module, "\(path) cannot be written", cause: "\(error)")
        }
    }
}

/// What an obliteration removed and kept, and what it looked at in the end to be sure.
package struct ObliterationResult: Sendable {
    package var note: ObliterationNote
    /// Packs that were rewritten because others use a part of them.
    package var rewrittenPacks = 0
    /// What is left of the module's content at the end: has to be nothing.
    package var problems: [String] = []
    /// What each place was listed to have in the end.
    package var places: [Place] = []
    /// The blobs of the index in the end; every one is in use by a snapshot.
    package var blobs = 0

    package init(note: ObliterationNote) { self.note = note }

    /// A place after all.
    package struct Place: Sendable, Codable, Equatable {
        package var location: String
        package var snapshots = 0
        package var indexFiles = 0
        package var packs = 0
        /// Whether it keeps versions, which were looked at too.
        package var versionsListed = false
        /// Whether it may keep versions without having a list of them: nobody has looked.
        package var versionsUnknown = false

        package init(location: String) { self.location = location }
    }

    /// Adds what was done at a mirror.
    package mutating func add(_ mirror: ObliterationResult) {
        let snapshots = Set(note.snapshots)
        note.snapshots += mirror.note.snapshots.filter { !snapshots.contains($0) }
        let packs = Set(note.packs)
        note.packs += mirror.note.packs.filter { !packs.contains($0) }
        note.bytes += mirror.note.bytes
        rewrittenPacks += mirror.rewrittenPacks
        let names = mirror.places.map(\.location).joined(separator: ", ")
        problems += mirror.problems.map { "\($0) (\(names))" }
        places += mirror.places
    }

    /// Whether it is proven that nothing is left.
    package var isProven: Bool { problems.isEmpty }
}
