internal import ContentStore
internal import Platform

extension StoreRepair {
    /// Gives every blob that a damaged pack held a copy in a new pack, as far as the pack itself,
    /// its copies at other places or another repository still have it.
    ///
    /// - Parameter leaving: all packs that are to go: nothing in them counts.
    func salvage(
        _ packs: [Digest], _ entries: [Digest: [PackEntry]], _ leaving: Set<Digest>
    ) throws {
        for pack in packs {
            var saved = 0
            var lost = 0
            for entry in entries[pack] ?? [] {
                try Interruption.check()
                if try hasUsableCopy(entry.id, entry.type, otherThan: leaving) { continue }
                if let plain = try content(of: entry, in: pack) {
                    try put(plain, entry.id, entry.type, leaving)
                    saved += 1
                } else if try fromSources(entry.id, entry.type, leaving) {
                    saved += 1
                } else {
                    lost += 1
                    // In an index file that was made anew it looks as good as the others, and
                    // nobody would look for it in files.
                    if !options.dryRun { try store.index.markBad(entry.id, entry.type, in: pack) }
                }
            }
            guard saved > 0 else { continue }
            let key = ObjectKey(.pack, pack)
            tell(
                .stored, key, at: primary.backend,
                "\(saved) blobs of \(key) into new packs"
                    + (lost > 0 ? ", \(lost) are damaged" : ""))
        }
        try flush()
    }

    /// Whether the index has another copy than in the packs that are to go; retiring reads it.
    func hasUsableCopy(
        _ id: Digest, _ type: BlobType, otherThan packs: Set<Digest>
    ) throws(Failure) -> Bool {
        try store.index.locations(id, type).contains { !packs.contains($0.pack) }
    }

    private func content(of entry: PackEntry, in pack: Digest) throws(Failure) -> [UInt8]? {
        for place in places {
            if let plain = try opener.content(of: entry, in: pack, at: place.backend) {
                return plain
            }
        }
        return nil
    }

    private func fromSources(
        _ id: Digest, _ type: BlobType, _ leaving: Set<Digest>
    ) throws(Failure) -> Bool {
        for source in options.sources {
            var plain: [UInt8] = []
            do throws(Failure) {
                try BlobReader(store: source).read(id, type, into: &plain)
            } catch {
                // It does not have the blob, or not well: that is what others are asked for.
                continue
            }
            try put(plain, id, type, leaving)
            return true
        }
        return false
    }

    /// Stores content that was found to be the blob `id`.
    func put(
        _ plain: [UInt8], _ id: Digest, _ type: BlobType, _ leaving: Set<Digest>
    ) throws(Failure) {
        result.stored += 1
        guard !options.dryRun else { return }
        let stored = try sink.store(plain.span, type, batch: 0, otherThan: leaving)
        guard stored.id == id else { throw Failure(.bug, "a blob was stored as another one") }
    }

    func flush() throws(Failure) {
        guard !options.dryRun else { return }
        try sink.flush()
        try session.drain()
    }

    // MARK: What snapshots miss

    /// Looks for what snapshots refer to and nobody in the store has, in other repositories and in
    /// files.
    ///
    /// - Returns: whether a tree was found, so that there is more to see.
    func storeMissing(otherThan leaving: Set<Digest>) throws -> Bool {
        var trees = 0
        var tried: Set<Digest> = []
        let files = ContentFiles(store: store, options: options)
        try DamagedContent(store: store).find { path in
            if let tree = path.tree {
                guard tried.insert(tree).inserted else { return }
                if try fromSources(tree, .tree, leaving) { trees += 1 }
                return
            }
            for index in path.missing {
                let id = path.content[index]
                guard tried.insert(id).inserted else { continue }
                if try fromSources(id, .data, leaving) {
                    found(id, "from another repository")
                } else if let (plain, file) = try files.content(index, of: path) {
                    try put(plain, id, .data, leaving)
                    found(id, "from \(file)")
                }
            }
        }
        try flush()
        // In a dry run what was found is not there to be read.
        return trees > 0 && !options.dryRun
    }

    private func found(_ id: Digest, _ from: String) {
        guard result.stored <= 1000 else { return }
        tell(
            .stored, ObjectKey(.pack, id), at: primary.backend, from: from,
            "blob \(id.short) \(from)")
    }
}
