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
    /// Removes old versions of what is gone.
    func removeVersions(_ listed: PlaceContents) throws {
        guard let versioned = store.backend.versioned else { return }
        for kind in PlaceContents.kinds {
            let found = try versions(versioned, kind, notIn: listed)
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
        _ place: any VersionedBackend, _ kind: ObjectKind, notIn listed: PlaceContents
    ) throws(Failure) -> [ObjectVersion] {
        var found: [ObjectVersion] = []
        try place.failing { backend throws(BackendError) in
            try backend.objectVersions(kind) { version in
                if !listed.has(version.key) { found.append(version) }
            }
        }
        return found
    }

    /// Notes what is left, by the listing after all.
    func prove(_ there: PlaceContents) throws {
        let place = store.backend
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
                left += try versions(versioned, kind, notIn: there).count
            }
            if left > 0 {
                result.problems.append("\(left) old versions are left at \(place.location)")
            }
        }
        result.places.append(summary)
    }
}
