internal import Platform

/// The names of a place's objects.
struct PlaceContents {
    private(set) var ids: [ObjectKind: [Digest: UInt64]] = [:]

    /// What an obliteration cares about: keys, config and locks say nothing of content.
    static let kinds: [ObjectKind] = [.snapshot, .index, .pack]

    init(_ place: any Backend) throws(Failure) {
        for kind in PlaceContents.kinds {
            var found: [Digest: UInt64] = [:]
            try place.failing { backend throws(BackendError) in
                try backend.list(kind) { id, size in found[id] = size }
            }
            ids[kind] = found
        }
    }

    func has(_ key: ObjectKey) -> Bool {
        guard let id = key.id else { return true }
        return ids[key.kind]?[id] != nil
    }
}

extension Obliterator {
    /// Removes from a mirror what is not in the store any more, but for packs with content that the
    /// store has lost.
    func clean(_ place: any Backend, _ store: PlaceContents) throws {
        let there = try PlaceContents(place)
        let sealer = Sealer(key: self.store.key)
        let removed = Set(result.note.packs)
        var gone: [ObjectKey] = []
        for kind in PlaceContents.kinds {
            for (id, size) in (there.ids[kind] ?? [:]).sorted(by: { $0.key < $1.key }) {
                let key = ObjectKey(kind, id)
                if store.has(key) { continue }
                switch kind {
                case .pack where !removed.contains("\(id)"):
                    if try isSuperfluous(pack: id, size, place, sealer) { gone.append(key) }
                case .snapshot where !result.note.snapshots.contains("\(id)"):
                    if try isOfModule(snapshot: id, place) { gone.append(key) }
                default: gone.append(key)
                }
            }
        }
        try remove(gone, from: place)
    }

    private func isSuperfluous(
        pack: Digest, _ size: UInt64, _ place: any Backend, _ sealer: Sealer
    ) throws -> Bool {
        let entries: [PackEntry]
        do throws(Failure) {
            entries = try PackHeader.decode(size: size, sealer: sealer) {
                range throws(Failure) in
                var bytes: [UInt8] = []
                try place.failing { backend throws(BackendError) in
                    try backend.read(ObjectKey(.pack, pack), range, into: &bytes)
                }
                return bytes
            }
        } catch {
            guard error.kind == .store else { throw error }
            result.problems.append(
                "pack \(pack.short) at \(place.location) cannot be read and stays: \(error)")
            return false
        }
        if try isSuperfluous(entries) { return true }
        result.problems.append(
            "pack \(pack.short) at \(place.location) stays: it may be the last copy of what "
                + "others need")
        return false
    }

    /// A snapshot that only a mirror has: the module's own goes, another's may be its last copy.
    private func isOfModule(snapshot id: Digest, _ place: any Backend) throws -> Bool {
        let bytes = try place.failing { backend throws(BackendError) in
            try backend.get(ObjectKey(.snapshot, id), limit: 16 << 20)
        }
        do throws(Failure) {
            let json = try UnpackedFile.open(
                bytes.span, expected: id, sealer: Sealer(key: store.key))
            return try Snapshot.decode(json).paths == ["/\(module)"]
        } catch {
            result.problems.append(
                "snapshot \(id.short) at \(place.location) cannot be read and stays: \(error)")
            return false
        }
    }

    /// Removes old versions of what is gone.
    func removeVersions(_ place: any Backend, _ store: PlaceContents) throws {
        guard let versioned = place.versioned else { return }
        for kind in PlaceContents.kinds {
            let found = try versions(versioned, kind, notIn: store)
            var rest = found[...]
            while !rest.isEmpty {
                try session.confirmLock()
                let batch = Array(rest.prefix(500))
                rest = rest.dropFirst(batch.count)
                try versioned.failing { backend throws(BackendError) in
                    try backend.removeObjectVersions(batch)
                }
            }
        }
    }

    /// Versions that no reader of the store sees: of objects that are gone.
    private func versions(
        _ place: any VersionedBackend, _ kind: ObjectKind, notIn store: PlaceContents
    ) throws(Failure) -> [ObjectVersion] {
        let current = try PlaceContents(place)
        var found: [ObjectVersion] = []
        try place.failing { backend throws(BackendError) in
            try backend.objectVersions(kind) { version in
                // What a mirror still has was left there for a reason.
                if !store.has(version.key) && !current.has(version.key) { found.append(version) }
            }
        }
        return found
    }

    /// Lists a place again and notes what is left.
    func prove(_ place: any Backend, _ store: PlaceContents) throws {
        let there = try PlaceContents(place)
        var summary = ObliterationResult.Place(location: place.location)
        summary.snapshots = there.ids[.snapshot]?.count ?? 0
        summary.indexFiles = there.ids[.index]?.count ?? 0
        summary.packs = there.ids[.pack]?.count ?? 0
        for id in result.note.snapshots + result.note.packs {
            guard let digest = Digest(hex: id) else { continue }
            if there.has(ObjectKey(.pack, digest)) || there.has(ObjectKey(.snapshot, digest)) {
                result.problems.append("\(id) is still at \(place.location)")
            }
        }
        if let versioned = place.versioned {
            summary.isVersioned = true
            var left = 0
            for kind in PlaceContents.kinds {
                left += try versions(versioned, kind, notIn: store).count
            }
            if left > 0 {
                result.problems.append("\(left) old versions are left at \(place.location)")
            }
        }
        result.places.append(summary)
    }
}
