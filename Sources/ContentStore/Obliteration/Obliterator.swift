internal import Platform

/// Removes a module's snapshots, and then everything in the store that no snapshot refers to, at
/// once: so that what only the module had is gone, also what its forgotten snapshots and killed
/// runs left.
///
/// A mirror is a store of its own here: it may have snapshots that the store has not any more.
///
/// Under restic's exclusive lock: nobody else writes, so nothing is marked and nothing waits.
/// Whoever dies leaves the note, and running again finishes the work.
package final class Obliterator {
    let store: Store
    let session: StoreSession
    let module: String
    let notePath: String
    var result: ObliterationResult
    private let live: LiveSet

    /// - Parameters:
    ///   - session: the caller holds an exclusive lock on its store and has refreshed its index.
    ///   - notePath: where the note of the intention is kept until the caller removes it.
    package init(_ module: String, session: StoreSession, notePath: String) throws {
        self.module = module
        self.session = session
        self.notePath = notePath
        store = session.store
        let note =
            try ObliterationNote.load(notePath)
            ?? ObliterationNote(
                module: module, store: "\(store.id)", started: store.clock.now().seconds)
        result = ObliterationResult(note: note)
        try session.writeIndex()
        live = try store.index.liveSet(tick: Interruption.check)
    }

    /// Does it.
    ///
    /// - Throws: a `store` failure when a snapshot or tree of another module cannot be read: nobody
    ///   knows then what is the module's alone, and nothing is removed.
    package func run() throws -> ObliterationResult {
        try checkRights()
        let snapshots = try store.snapshots()
        let mine = snapshots.filter { $0.snapshot.module == module }
        let others = snapshots.filter { $0.snapshot.module != module }
        try look(mine, others)
        let known = Set(result.note.snapshots)
        result.note.snapshots += mine.map(\.id.description).filter { !known.contains($0) }
        try save()
        CrashPoint.reached("obliterate-noted")
        for snapshot in mine {
            try store.index.noteRemoval(ObjectKey(.snapshot, snapshot.id))
            try remove([ObjectKey(.snapshot, snapshot.id)], from: store.backend)
            CrashPoint.reached("obliterate-snapshot-removed")
        }
        try rewrite()
        try removeUnlisted()
        try store.index.forgetGonePacks()
        _ = try store.snapshots()
        try removeLeftovers()
        let listed = try PlaceContents(store.backend)
        try removeVersions(listed)
        CrashPoint.reached("obliterate-cleaned")
        try prove()
        return result
    }

    private func save() throws(Failure) { try result.note.save(notePath) }

    // MARK: Looking

    /// Finds what the other snapshots refer to, and what of it the module has too.
    private func look(_ mine: [StoredSnapshot], _ others: [StoredSnapshot]) throws {
        var own: LiveSet.Subset?
        if !mine.isEmpty && result.note.kept == nil {
            do {
                _ = try TreeMark.walk(
                    mine.map(\.snapshot.tree), store: store, live: live, tick: Interruption.check)
                own = live.referred()
            } catch let failure as Failure where failure.kind == .store {
                // Damaged, or half removed: what it shares cannot be told then.
            }
            live.clear()
        }
        let groups = Dictionary(grouping: others) { Obliterator.name($0.snapshot) }
        var kept: [ObliterationNote.Kept] = []
        var before = live.referred()
        for name in groups.keys.sorted() {
            _ = try TreeMark.walk(
                (groups[name] ?? []).map(\.snapshot.tree), store: store, live: live,
                tick: Interruption.check)
            guard let own else { continue }
            let now = live.referred()
            let shared = now.count(own, without: before)
            if shared > 0 { kept.append(.init(module: name, blobs: shared)) }
            before = now
        }
        if own != nil { result.note.kept = kept }
    }

    private static func name(_ snapshot: Snapshot) -> String {
        snapshot.module ?? snapshot.paths.joined(separator: " ")
    }

    // MARK: Removing

    /// Copies what others need out of packs that are partly garbage, and takes all garbage out of
    /// the index.
    private func rewrite() throws {
        let view = live.referred()
        let survey = try PackSurvey(
            store.index, live: view, youngSince: .max, tick: Interruption.check)
        let needed = try store.index.packs(numbered: survey.needed.sorted())
        if !needed.isEmpty { try store.nameAgain(needed.map(\.id)) }
        let plan = GarbagePlan(survey.uses, limits: GarbageLimits(maxUnused: 0))
        let dead = try store.index.packs(numbered: plan.dead)
        let packs = try store.index.packs(numbered: plan.repack.sorted())
        let repacker = Repacker(
            session: session, live: view, several: survey.several,
            going: Set((dead + packs).map(\.id)))
        let copied = try repacker.run(packs) {
            try Interruption.check()
            return true
        }
        result.rewrittenPacks = copied.done.count
        for (pack, failure) in copied.problems {
            result.problems.append("pack \(pack.short) is damaged and stays: \(failure)")
        }
        CrashPoint.reached("obliterate-copied")
        var dropped = dead + copied.done
        if !copied.problems.isEmpty {
            // A damaged copy may make another one needed that was to go.
            let again = try PackSurvey(
                store.index, live: view, youngSince: .max, tick: Interruption.check)
            let used = Set(again.uses.lazy.filter { $0.live > 0 }.map(\.number))
            dropped.removeAll { used.contains($0.number) }
        }
        _ = try IndexSwap(store: store, confirmLock: session.confirmLock)
            .mark(dropped, forgotten: store.index.packsWithMarks(), keepingMarks: false)
        CrashPoint.reached("obliterate-index-swapped")
        try store.refresh(session: session.name)
    }

    private func removeUnlisted() throws {
        let survey = try PackSurvey(
            store.index, live: live.referred(), youngSince: .max, tick: Interruption.check)
        for pack in try store.index.packs(numbered: survey.needed.sorted())
        where try store.index.listedSize(pack.id) != nil {
            throw Failure(
                .store, "pack \(pack.id.short) is needed by another module and is in no index file",
                hint: "Its header is damaged: `cistern store check --repair` mends what can be.")
        }
        let unlisted = try store.index.orphans()
        let known = Set(result.note.packs)
        for pack in unlisted where !known.contains("\(pack.id)") {
            result.note.packs.append("\(pack.id)")
            result.note.bytes += pack.size
        }
        try save()
        CrashPoint.reached("obliterate-packs-noted")
        try remove(unlisted.map { ObjectKey(.pack, $0.id) }, from: store.backend)
        try store.refresh(session: session.name)
    }

    /// Objects that are removed with one call.
    private static let batch = 500

    func remove(_ keys: [ObjectKey], from place: any Backend) throws {
        var rest = keys[...]
        while !rest.isEmpty {
            try Interruption.check()
            try session.confirmLock()
            let batch = Array(rest.prefix(Obliterator.batch))
            rest = rest.dropFirst(batch.count)
            try place.failing { backend throws(BackendError) in try backend.remove(batch) }
            CrashPoint.reached("obliterate-removed")
        }
    }

    // MARK: The end

    /// Lists and walks everything again.
    private func prove() throws {
        let all = try store.index.liveSet(tick: Interruption.check)
        let left = try store.snapshots()
        _ = try TreeMark.walk(
            left.map(\.snapshot.tree), store: store, live: all, tick: Interruption.check)
        result.blobs = all.count
        let unused = all.count - all.referred().count
        if unused > 0 { result.problems.append("\(unused) blobs that no snapshot uses are left") }
        if left.contains(where: { $0.snapshot.module == module }) {
            result.problems.append("there is a snapshot of the module")
        }
        let listed = try PlaceContents(store.backend)
        let unlisted = try store.index.orphans().count
        if unlisted > 0 { result.problems.append("\(unlisted) packs in no index file are left") }
        try prove(listed)
    }
}
