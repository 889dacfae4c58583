internal import ContentStore
internal import Platform

extension StoreRepair {
    /// How many packs without an index entry are looked at in one repair.
    private static let unlistedLimit = 1_000_000

    /// Lists packs again whose index file is damaged or gone, by their own headers, and takes the
    /// damaged files out of the store.
    func rebuildIndex() throws {
        var damaged: [KnownDamage] = []
        for damage in try primary.state.knownDamage() where damage.key.kind == .index {
            // In a dry run, what another place gives back is not there yet.
            if try options.dryRun && hasGoodCopy(damage.key) { continue }
            damaged.append(damage)
        }
        let files = Set(damaged.compactMap(\.key.id))
        guard try !files.isEmpty || missesContent() else { return }
        let unknown = try adoptUnlisted(knownFrom: files)
        if !options.dryRun {
            try session.writeIndex()
            CrashPoint.reached("repair-index-written")
        }
        let read = try store.index.knownIndexFiles()
        for damage in damaged where !damage.isGone {
            if unknown > 0, let id = damage.key.id, !read.contains(id) {
                // Nobody knows what it lists: perhaps these.
                tell(
                    .left, damage.key, at: primary.backend,
                    "it may list \(unknown) packs whose own headers are damaged")
                continue
            }
            if try copies.isGood(damage.key, at: primary.backend) {
                // Not rotted: it says that the key is wrong rather than the file.
                tell(
                    .left, damage.key, at: primary.backend,
                    "it is what its name says, and does not open")
                continue
            }
            guard !options.dryRun else {
                tell(.reindexed, damage.key, at: primary.backend, "would be made anew")
                continue
            }
            try remove(damage.key, at: primary, reason: damage.reason)
            tell(
                .reindexed, damage.key, at: primary.backend,
                "its packs are in a new index file, and it is in the quarantine")
        }
        try refresh()
    }

    private func hasGoodCopy(_ key: ObjectKey) throws(Failure) -> Bool {
        for place in places.dropFirst() where try copies.isGood(key, at: place.backend) {
            return true
        }
        return false
    }

    /// Whether there are packs in no index file, and a snapshot refers to what is in none.
    func missesContent() throws -> Bool {
        struct Found: Error {}
        let unlisted = try store.index.unlistedPacks(limit: 1).count
        guard unlisted > 0 else { return false }
        do {
            try DamagedContent(store: store).find { _ in throw Found() }
            return false
        } catch is Found {
            return true
        }
    }

    /// Lists the packs that only `files` list, and those that no file lists.
    ///
    /// - Returns: how many packs there are of which nobody knows what they hold.
    private func adoptUnlisted(knownFrom files: Set<Digest>) throws -> Int {
        var known: [Digest: IndexedPack] = [:]
        for pack in try store.index.packs(listedOnlyIn: files) { known[pack.id] = pack }
        let unlisted = try store.index.unlistedPacks(limit: StoreRepair.unlistedLimit)
        // Only a read of the index file before the damage can say what these hold.
        var silent: [IndexedPack] = []
        var adopted = 0
        var unknown = unlisted.count - unlisted.first.count
        for id in Set(known.keys).union(unlisted.first).sorted() {
            try Interruption.check()
            let pack = known[id]
            let header =
                pack?.present ?? true ? try opener.header(of: id, at: primary.backend) : nil
            if let header {
                guard !header.isEmpty else { continue }
                adopted += 1
                if !options.dryRun { try store.index.adopt(id, entries: header, session: name) }
            } else if let pack {
                silent.append(pack)
            } else {
                unknown += 1
            }
        }
        if !options.dryRun { try listAgain(silent) }
        guard adopted + silent.count > 0 else { return unknown }
        tell(
            .reindexed, files.first.map { ObjectKey(.index, $0) } ?? .config,
            at: primary.backend,
            "\(adopted) packs into a new index file, by their headers"
                + (silent.isEmpty ? "" : ", and \(silent.count) by what was read of it before"))
        return unknown
    }

    /// How many packs are listed again at once, and how many blobs an index file has.
    private static let silentPart = 1024
    private static let indexFileBlobs = 50_000

    /// Names damaged and missing packs in new index files, as the damaged one did: what they cost
    /// must be known.
    ///
    /// Not by the journal, as if they had been uploaded just now: nobody is to rely on them.
    private func listAgain(_ packs: [IndexedPack]) throws {
        let sealer = Sealer(key: store.key)
        let writer = IndexFileWriter()
        func finish() throws {
            guard writer.packCount > 0 else { return }
            let file = writer.finish(sealer: sealer)
            try session.confirmLock()
            try primary.backend.put(ObjectKey(.index, file.id), file.bytes.span)
            CrashPoint.reached("repair-silent-listed")
        }
        var rest = packs[...]
        while !rest.isEmpty {
            try Interruption.check()
            let part = rest.prefix(StoreRepair.silentPart)
            rest = rest.dropFirst(StoreRepair.silentPart)
            let entries = try store.index.entries(ofPacks: Set(part.map(\.number)))
            for pack in part {
                guard let entries = entries[pack.number] else { continue }
                writer.append(pack: pack.id, entries)
                if writer.blobCount >= StoreRepair.indexFileBlobs { try finish() }
            }
        }
        try finish()
    }

    /// Takes a damaged object out of a place, after its bytes are in the quarantine.
    func remove(_ key: ObjectKey, at place: StorePlace, reason: String) throws(Failure) {
        try session.confirmLock()
        try quarantine.keep(key, at: place.backend, reason: reason)
        do throws(BackendError) {
            try place.backend.remove(key)
        } catch {
            throw error.failure(at: place.backend.location)
        }
        CrashPoint.reached("repair-removed")
        try place.state.drop(key)
    }
}
