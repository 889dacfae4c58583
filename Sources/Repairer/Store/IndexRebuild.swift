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

    /// Whether there are packs in no index file, and a snapshot refers to something that is in none.
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
    /// - Returns: of how many packs nobody knows what they hold.
    private func adoptUnlisted(knownFrom files: Set<Digest>) throws -> Int {
        var packs: [Digest: Int?] = [:]
        // Also those that are damaged or missing: it must be known what they cost.
        for pack in try store.index.packs(listedOnlyIn: files) { packs[pack.id] = pack.number }
        let unlisted = try store.index.unlistedPacks(limit: StoreRepair.unlistedLimit)
        for id in unlisted.first where packs[id] == nil { packs[id] = .some(nil) }
        var adopted = 0
        var unknown = unlisted.count - unlisted.first.count
        for (id, number) in packs.sorted(by: { $0.key < $1.key }) {
            try Interruption.check()
            var entries = try opener.header(of: id, at: primary.backend)
            // Only a listing read before the damage can say where the blobs are.
            if entries == nil, let number { entries = try store.index.entries(ofPack: number) }
            if entries == nil { unknown += 1 }
            guard let entries, !entries.isEmpty else { continue }
            adopted += 1
            if !options.dryRun { try store.index.adopt(id, entries: entries, session: name) }
        }
        guard adopted > 0 else { return unknown }
        tell(
            .reindexed, files.first.map { ObjectKey(.index, $0) } ?? .config,
            at: primary.backend, "\(adopted) packs into a new index file, by their headers")
        return unknown
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
