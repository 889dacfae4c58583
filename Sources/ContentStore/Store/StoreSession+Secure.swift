package import Platform

extension StoreSession {
    /// Makes sure that what a snapshot is about to rely on is in index files: packs that others
    /// have counted out since the session began are named again.
    ///
    /// Looks at the store's index once; when nothing was counted out, that is all. It may name
    /// only what was usable when the session began, because those who remove packs wait for
    /// sessions that were there before, and for no others.
    ///
    /// - Parameter generation: the index's generation when the work began: while it stands, all
    ///   that was found in the store still is.
    /// - Returns: how many packs were named again.
    @discardableResult
    package func secure(
        _ tree: Digest, since generation: Int64, tick: () throws -> Void = {}
    ) throws -> Int {
        try store.syncIndexFiles()
        guard try store.index.generation() != generation else { return 0 }
        let unlisted = try store.index.unlistedPacks().subtracting(unlistedBefore.get())
        guard !unlisted.isEmpty else { return 0 }
        let live = try store.index.liveSet(tick: tick)
        do {
            _ = try TreeMark.walk([tree], store: store, live: live, tick: tick)
        } catch let failure as Failure where failure.kind == .store {
            // Damage from before: what can be walked is secured all the same.
        }
        let survey = try PackSurvey(
            store.index, live: live.referred(), youngSince: .max, tick: tick)
        let packs = try store.index.packs(
            numbered: survey.needed.intersection(unlisted).sorted())
        guard !packs.isEmpty else { return 0 }
        try confirmLock()
        let unnamed = try store.nameAgain(packs.map(\.id))
        CrashPoint.reached("packs-named-again")
        if !unnamed.isEmpty {
            // The same content may have been in another one.
            let left = try PackSurvey(
                store.index, live: live.referred(), youngSince: .max, tick: tick)
            guard left.needed.isDisjoint(with: packs.map(\.number)) else {
                throw Failure(
                    .store, "content that was in the store when this began is gone from it",
                    cause: "pack \(unnamed[0].id.short) is gone or damaged",
                    hint: "Run again: it is stored anew from the module's files.")
            }
        }
        return packs.count - unnamed.count
    }
}
