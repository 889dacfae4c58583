internal import ContentStore
internal import Platform

extension StoreRepair {
    /// Objects that a place may lag behind and still be brought along here.
    private static let lagLimit = 1000

    /// Takes damaged packs out of use of which every blob has a good copy elsewhere, read back just
    /// now: first out of the index, then out of the store.
    ///
    /// An index file is written anew without them before the old one goes, each other pack complete
    /// in it. Others may rely on the old one meanwhile: they find the blob in both.
    func retire(
        _ packs: [Digest], _ entries: [Digest: [PackEntry]], _ leaving: Set<Digest>
    ) throws {
        var ready: [Digest] = []
        for pack in packs {
            let key = ObjectKey(.pack, pack)
            guard let blobs = entries[pack], !blobs.isEmpty else {
                try retireUnlisted(key, isSaved: false)
                continue
            }
            let missing = try options.dryRun ? 0 : missingCopies(blobs, otherThan: leaving)
            if missing > 0 {
                tell(
                    .left, key, at: primary.backend,
                    "\(missing) of its \(blobs.count) blobs have no good copy anywhere")
            } else if try store.index.pack(pack) == nil {
                try retireUnlisted(key, isSaved: true)
            } else {
                ready.append(pack)
            }
        }
        guard !ready.isEmpty, !options.dryRun else { return }
        try takeOutOfIndex(Set(ready), at: primary)
        try refresh()
        for pack in ready {
            // A file that came meanwhile may list it again: the next repair goes on.
            guard try store.index.pack(pack) == nil else { continue }
            let key = ObjectKey(.pack, pack)
            try remove(key, at: primary, reason: "damaged; its content is in other packs")
            tell(
                .retired, key, at: primary.backend,
                "all that it held is in other packs, and it is in the quarantine")
        }
    }

    /// How many blobs have no copy outside of `packs` that reads back good.
    private func missingCopies(
        _ entries: [PackEntry], otherThan packs: Set<Digest>
    ) throws(Failure) -> Int {
        var missing = 0
        for entry in entries {
            var isFound = false
            for location in try store.index.locations(entry.id, entry.type)
            where !packs.contains(location.pack) {
                let copy = PackEntry(
                    type: entry.type, id: entry.id, offset: location.offset,
                    storedLength: location.storedLength, plainLength: location.plainLength)
                let plain = try opener.content(
                    of: copy, in: location.pack, at: primary.backend)
                isFound = plain != nil
                if isFound { break }
            }
            if !isFound { missing += 1 }
        }
        return missing
    }

    private func takeOutOfIndex(_ packs: Set<Digest>, at place: StorePlace) throws {
        var files: Set<Digest> = []
        for pack in packs { files.formUnion(try store.index.files(listing: pack)) }
        for file in files.sorted() {
            try Interruption.check()
            try session.confirmLock()
            try rewrite(file, without: packs, at: place)
        }
    }

    private func rewrite(
        _ file: Digest, without packs: Set<Digest>, at place: StorePlace
    ) throws {
        let key = ObjectKey(.index, file)
        let sealer = Sealer(key: store.key)
        let bytes: [UInt8]
        do {
            bytes = try place.backend.get(key, limit: IndexFile.storedLimit)
        } catch BackendError.missing {
            // Another one has replaced it.
            return
        }
        let writer = IndexFileWriter()
        let marks = IndexFileWriter(.marks)
        try IndexFile.read(
            bytes.span, expected: file, sealer: sealer,
            each: { pack, entries in
                if !packs.contains(pack) { writer.append(pack: pack, entries) }
            }, marked: { marks.append($0) })
        for new in [writer, marks] where new.packCount > 0 {
            let file = new.finish(sealer: sealer)
            try place.backend.put(ObjectKey(.index, file.id), file.bytes.span)
            CrashPoint.reached("repair-index-put")
        }
        try place.backend.remove(key)
        CrashPoint.reached("repair-index-removed")
        try place.state.drop(key)
    }

    // MARK: Mirrors of what was retired

    /// Lets a mirror follow: what is damaged there and was retired at the first place goes, once
    /// the mirror has all that took its place.
    func followRetired(at index: Int) throws {
        let place = places[index]
        var retired: Set<Digest> = []
        for damage in try place.state.knownDamage() {
            guard let id = damage.key.id, damage.key.kind == .pack || damage.key.kind == .index
            else { continue }
            let size = try primary.backend.failing { backend throws(BackendError) in
                try backend.size(damage.key)
            }
            if damage.key.kind == .index, size == nil {
                retired.insert(id)
            } else if size == nil, try store.index.pack(id) == nil {
                retired.insert(id)
            }
        }
        guard !retired.isEmpty, !options.dryRun, try bringAlong(index) else { return }
        try removeOldIndexFiles(naming: retired, at: place)
        for damage in try place.state.knownDamage() {
            guard let id = damage.key.id, retired.contains(id) else { continue }
            try remove(damage.key, at: place, reason: damage.reason)
            tell(.retired, damage.key, at: place.backend, "as at the store's first place")
        }
    }

    /// Copies the packs and index files that the mirror lacks; false when that is the work of a
    /// mirror run.
    private func bringAlong(_ index: Int) throws -> Bool {
        for kind in [ObjectKind.pack, .index] {
            var here: Set<Digest> = []
            var lacking: [Digest] = []
            do throws(BackendError) {
                try places[index].backend.list(kind) { id, _ in here.insert(id) }
                try primary.backend.list(kind) { id, _ in
                    if !here.contains(id), lacking.count <= StoreRepair.lagLimit {
                        lacking.append(id)
                    }
                }
            } catch {
                throw error.failure(at: places[index].backend.location)
            }
            guard lacking.count <= StoreRepair.lagLimit else {
                tell(
                    .left, .config, at: places[index].backend,
                    "the mirror lags behind: mirror to it first, then repair again")
                return false
            }
            for id in lacking {
                let key = ObjectKey(kind, id)
                guard let object = try copies.fetch(key, from: primary.backend) else {
                    return false
                }
                try copies.put(key, object, to: places[index].backend)
            }
        }
        return true
    }

    /// Index files of the mirror that the first place has replaced, and that name what goes.
    private func removeOldIndexFiles(naming retired: Set<Digest>, at place: StorePlace) throws {
        var old: [Digest] = []
        var current: Set<Digest> = []
        do throws(BackendError) {
            try primary.backend.list(.index) { id, _ in current.insert(id) }
            try place.backend.list(.index) { id, _ in
                if !current.contains(id) { old.append(id) }
            }
        } catch {
            throw error.failure(at: place.backend.location)
        }
        for file in old {
            let key = ObjectKey(.index, file)
            let bytes = try place.backend.get(key, limit: IndexFile.storedLimit)
            var names = false
            var isCovered = true
            do throws(Failure) {
                try IndexFile.read(bytes.span, expected: file, sealer: Sealer(key: store.key)) {
                    pack, _ throws(Failure) in
                    if retired.contains(pack) {
                        names = true
                    } else if try store.index.pack(pack) == nil {
                        isCovered = false
                    }
                }
            } catch {
                guard error.kind == .store else { throw error }
                continue
            }
            if names && isCovered { try remove(key, at: place, reason: "replaced by a newer one") }
        }
    }
}
