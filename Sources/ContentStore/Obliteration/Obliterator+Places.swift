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
    /// Asks for versions once, so that who may not list them is told before anything is removed.
    func checkRights() throws(Failure) {
        _ = try store.backend.askedForVersions()
    }

    /// Removes what killed writers left half written: nobody else writes now.
    ///
    /// - Returns: how many there were.
    @discardableResult
    func removeLeftovers() throws(Failure) -> Int {
        let now = Timestamp(seconds: store.clock.now().seconds + 1)
        return try store.backend.failing { backend throws(BackendError) in
            try backend.removeLeftovers(olderThan: now)
        }
    }

    /// Removes old versions of what is gone.
    func removeVersions(_ listed: PlaceContents) throws {
        guard let versioned = try store.backend.askedForVersions() else { return }
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
        if let versioned = try place.askedForVersions() {
            summary.versionsListed = true
            var left = 0
            for kind in PlaceContents.kinds {
                left += try versions(versioned, kind, notIn: there).count
            }
            if left > 0 {
                result.problems.append("\(left) old versions are left at \(place.location)")
            }
        } else {
            summary.versionsUnknown = place.versioned != nil
        }
        let halves = try removeLeftovers()
        if halves > 0 {
            result.problems.append("\(halves) half-written files came to \(place.location)")
        }
        result.places.append(summary)
    }
}
