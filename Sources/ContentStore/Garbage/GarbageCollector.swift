internal import Platform

/// Gives back the space of what no snapshot refers to, beside running writers.
///
/// In two phases. A pack that has to go is first *marked*: new index files leave it out and name it
/// under `packs_to_delete`. Whoever loads the index from then on does not rely on it. Those who may
/// have loaded it before hold a lock, and are noted: only when all of them have gone, the grace
/// period is over, and no snapshot that is there then needs the pack, is it removed.
///
/// Everything that the next run has to know is in the store, but for who held a lock when.
package final class GarbageCollector {
    let store: Store
    let session: StoreSession
    let options: GarbageOptions
    var report = GarbageReport()
    private let started = monotonicSeconds()
    private var now: Int64 { store.clock.now().seconds }
    /// Snapshots that were walked.
    private var walked = Set<Digest>()
    private var live: LiveSet

    /// - Parameter session: the caller holds a shared lock on its store, as `LockFile.collector`
    ///   unless this is a dry run.
    package init(session: StoreSession, options: GarbageOptions) throws {
        store = session.store
        self.session = session
        self.options = options
        live = LiveSet.Builder(count: 0).finish()
    }

    /// Collects.
    ///
    /// - Throws: a `store` failure when a snapshot, a tree or an index file cannot be read: nobody
    ///   knows then what is needed, and nothing is removed.
    package func run() throws -> GarbageReport {
        try store.refresh(session: session.name)
        if !options.dryRun { try session.writeIndex() }
        let census = try observe()
        // The order matters: locks, then snapshots, then the index. Whoever is not among the locks
        // has written his snapshot, and it refers to what the index has.
        try lookAtSnapshots(first: true)
        var survey = try survey()
        describe(survey)
        try checkNotEmptied(survey)
        var forgotten = try sweep(survey, census)
        if census.foreign.isEmpty {
            try collect(&survey, &forgotten)
        } else {
            report.foreign = census.foreign.map(\.lock.holder)
            report.leftBytes = GarbagePlan(survey.uses, limits: options.limits).leftBytes
        }
        try forget(forgotten)
        if !options.dryRun { try store.index.forgetGonePacks() }
        return report
    }

    // MARK: Looking

    /// Who holds a lock, listed after the marks that are known; notes it for marks that are new.
    private func observe() throws(Failure) -> LockCensus {
        let marks = try store.index.marks()
        let census = try store.lockCensus()
        if !options.dryRun {
            try store.index.forgetObservations()
            try store.index.observe(
                marks.filter { $0.observation == nil }, at: now, holders: census.holders)
            CrashPoint.reached("gc-observed")
        }
        return census
    }

    /// Walks the snapshots that were not walked yet; true when there were any.
    @discardableResult
    private func lookAtSnapshots(first: Bool) throws -> Bool {
        let snapshots = try store.snapshots()
        try store.syncIndexFiles()
        if first { live = try store.index.liveSet(tick: Interruption.check) }
        let new = snapshots.filter { !walked.contains($0.id) }
        if first { report.snapshots = snapshots.count }
        guard !new.isEmpty else { return false }
        let result = try TreeMark.walk(
            new.map(\.snapshot.tree), store: store, live: live, tick: Interruption.check)
        walked.formUnion(new.map(\.id))
        report.trees += result.trees
        if first { report.lostBlobs = result.missing.count }
        return true
    }

    private func survey(leaving: [Int] = []) throws -> PackSurvey {
        try PackSurvey(
            store.index, live: live.referred(), youngSince: now - options.grace + 1,
            leaving: leaving, tick: Interruption.check)
    }

    /// A store that has packs and not one snapshot looks like one whose snapshots were lost.
    private func checkNotEmptied(_ survey: PackSurvey) throws {
        guard report.snapshots == 0, !options.mayEmpty else { return }
        let old = survey.uses.count { !$0.isYoung }
        let others = try store.index.marks().count + store.index.orphans().count
        guard old + others > 0 else { return }
        throw Failure(
            .unhealthy, "nothing is collected: the store \(store.backend.location) has no snapshot",
            cause: "all of it would go, \(old + others) packs",
            hint: "If all that was stored is to go, say --empty.")
    }

    private func describe(_ survey: PackSurvey) {
        report.listed = GarbageReport.Amount(packs: survey.count, bytes: survey.bytes)
        report.blobs = live.count
        report.liveBlobs = live.referred().count
        report.lostBlobs += survey.lost
    }

    // MARK: Removing what was marked

    /// Names again what is needed and removes what is ripe.
    ///
    /// - Parameter census: who held a lock before the snapshots of `survey` were listed.
    /// - Returns: the packs whose marks are of no use any more.
    private func sweep(_ survey: PackSurvey, _ census: LockCensus) throws -> [Int] {
        var recover: [Digest: Int] = [:]
        var delete: [(mark: KnownMark, size: UInt64)] = []
        var forgotten: [Int] = []
        for mark in try store.index.marks() {
            let size = try store.index.listedSize(mark.id)
            if survey.needed.contains(mark.number) {
                recover[mark.id] = mark.number
                if let size { report.recovered.add(size) }
                continue
            }
            guard let size else {
                // Somebody has removed it.
                forgotten.append(mark.number)
                continue
            }
            guard let observation = mark.observation else {
                report.wait(.notBefore(now + options.grace), size)
                continue
            }
            let ripeness = Ripeness.judge(
                times: mark.times, observation: observation, present: census.holders, now: now,
                grace: options.grace)
            if ripeness == .ripe {
                delete.append((mark, size))
            } else {
                report.wait(ripeness, size)
            }
        }
        for (_, size) in delete { report.deleted.add(size) }
        if options.dryRun { return [] }
        // What is gone by now is of no use, and what it held may be in another one of them.
        forgotten += try nameAgain(recover.keys.sorted()).compactMap { recover[$0] }
        try remove(delete.map(\.mark.id))
        return forgotten + delete.map(\.mark.number)
    }

    /// Names packs again, and tells of those that are damaged.
    ///
    /// - Returns: those that are gone.
    private func nameAgain(_ packs: [Digest]) throws(Failure) -> [Digest] {
        if packs.isEmpty { return [] }
        var gone: [Digest] = []
        for pack in try store.nameAgain(packs) {
            if let damage = pack.damage {
                report.problems.append("pack \(pack.id.short) is needed: \(damage)")
            } else {
                gone.append(pack.id)
            }
        }
        return gone
    }

    /// Objects that are removed with one call.
    private static let removalBatch = 500

    private func remove(_ packs: [Digest]) throws {
        var rest = packs[...]
        while !rest.isEmpty {
            try Interruption.check()
            try session.confirmLock()
            let batch = rest.prefix(GarbageCollector.removalBatch)
            rest = rest.dropFirst(batch.count)
            try store.backend.failing { backend throws(BackendError) in
                try backend.remove(batch.map { ObjectKey(.pack, $0) })
            }
            CrashPoint.reached("gc-packs-removed")
            try store.index.unlist(Array(batch))
        }
    }

    private func forget(_ packs: [Int]) throws {
        if options.dryRun { return }
        let day = Int64(86400)
        let void = try store.index.packsWithVoidMarks(
            before: (now - max(options.grace, day)) * 1_000_000_000)
        guard !(packs + void).isEmpty else { return }
        _ = try swap().mark([], forgotten: packs + void)
        try store.syncIndexFiles()
    }

    private func swap() -> IndexSwap {
        IndexSwap(store: store, confirmLock: session.confirmLock)
    }

    // MARK: Marking

    private func collect(_ survey: inout PackSurvey, _ forgotten: inout [Int]) throws {
        let plan = GarbagePlan(survey.uses, limits: options.limits)
        let orphans = try orphans()
        report.leftBytes = plan.leftBytes
        report.young = GarbageReport.Amount(packs: plan.young, bytes: plan.youngBytes)
        let dead = try store.index.packs(numbered: plan.dead)
        if options.dryRun {
            for pack in dead { report.dead.add(pack.size) }
            for pack in try store.index.packs(numbered: plan.repack) {
                report.repacked.add(pack.size)
            }
            report.copiedBytes = plan.copyBytes
            return
        }
        let copied = try repack(plan, dead, several: survey.several)
        var dropped = dead + copied
        guard !dropped.isEmpty || !orphans.isEmpty else { return }
        // What was written while this looked and copied may rely on what was to go.
        let census = try store.lockCensus()
        guard census.foreign.isEmpty else {
            report.foreign = census.foreign.map(\.lock.holder)
            return
        }
        let isNew = try lookAtSnapshots(first: false)
        if isNew || !report.problems.isEmpty || !copied.isEmpty {
            survey = try self.survey(leaving: copied.map(\.number))
            let used = Set(survey.uses.lazy.filter { $0.live > 0 }.map(\.number))
            dropped.removeAll { used.contains($0.number) }
        }
        try mark(dropped, copied, orphans, &forgotten)
        try secure(dropped.map(\.id))
        if options.grace == 0 { forgotten += try sweepAgain() }
    }

    private func repack(
        _ plan: GarbagePlan, _ dead: [IndexedPack], several: LiveSet.Subset
    ) throws -> [IndexedPack] {
        guard !plan.repack.isEmpty else { return [] }
        // In the order of the old packs, so that what was stored together stays together.
        let packs = try store.index.packs(numbered: plan.repack.sorted())
        let repacker = Repacker(
            session: session, live: live.referred(), several: several,
            going: Set((dead + packs).map(\.id)))
        let result = try repacker.run(packs) {
            try Interruption.check()
            guard let limit = options.maxDuration else { return true }
            return monotonicSeconds() - started < limit
        }
        report.copiedBytes = result.copiedBytes
        report.isCut = result.isCut
        for (pack, failure) in result.problems {
            report.problems.append("pack \(pack.short): \(failure)")
        }
        return result.done
    }

    private func mark(
        _ dropped: [IndexedPack], _ copied: [IndexedPack], _ orphans: [MarkedPack],
        _ forgotten: inout [Int]
    ) throws {
        _ = try swap().mark(dropped, orphans: orphans, forgotten: forgotten)
        forgotten = []
        let copies = Set(copied.map(\.number))
        for pack in dropped {
            if copies.contains(pack.number) {
                report.repacked.add(pack.size)
            } else {
                report.dead.add(pack.size)
            }
        }
        for pack in orphans {
            report.orphans.add(try store.index.listedSize(pack.id) ?? 0)
        }
    }

    /// After a swap: notes who is there, and names again what somebody may need at once.
    private func secure(_ dropped: [Digest]) throws {
        try store.syncIndexFiles()
        let census = try observe()
        if !census.foreign.isEmpty {
            // Its index is perhaps from before the swap, and it does not look again.
            report.foreign = census.foreign.map(\.lock.holder)
            let marked = Set(try store.index.marks().map(\.id))
            _ = try nameAgain(dropped.filter { marked.contains($0) })
            return
        }
        guard try lookAtSnapshots(first: false) else { return }
        let needed = try survey().needed
        let again = try store.index.marks().filter { needed.contains($0.number) }
        for mark in again { report.recovered.add(try store.index.listedSize(mark.id) ?? 0) }
        _ = try nameAgain(again.map(\.id))
    }

    private func sweepAgain() throws -> [Int] {
        let census = try store.lockCensus()
        try lookAtSnapshots(first: false)
        report.waiting = []
        return try sweep(survey(), census)
    }

    /// Packs that no index file lists or marks, with their blobs.
    ///
    /// Left by writers that were killed; while anybody on another host writes, it may be his.
    private func orphans() throws -> [MarkedPack] {
        let found = try store.index.orphans()
        guard !found.isEmpty, !options.dryRun else {
            for orphan in found { report.orphans.add(orphan.size) }
            return []
        }
        let census = try store.lockCensus()
        let others = census.holders.filter { $0.hostname != store.holder.hostname }
        guard others.isEmpty else {
            for orphan in found { report.wait(.held(others.sorted()), orphan.size) }
            return []
        }
        let sealer = Sealer(key: store.key)
        let view = live.referred()
        var result: [MarkedPack] = []
        var adopted: [Digest] = []
        let time = store.clock.now()
        for orphan in found {
            let entries = try entries(of: orphan, sealer)
            let isNeeded = try entries.contains { entry throws(Failure) in
                guard view.contains(entry.id) else { return false }
                return try !store.index.contains(entry.id, entry.type)
            }
            if isNeeded {
                adopted.append(orphan.id)
                report.recovered.add(orphan.size)
            } else {
                result.append(MarkedPack(id: orphan.id, time: time, entries: entries))
            }
        }
        _ = try nameAgain(adopted)
        return result
    }

    /// The blobs of a pack by its header; none when it has no good one.
    private func entries(
        of orphan: (id: Digest, size: UInt64), _ sealer: Sealer
    ) throws(Failure) -> [PackEntry] {
        do throws(Failure) {
            return try store.header(of: orphan.id, size: orphan.size, sealer: sealer)
        } catch {
            guard error.kind == .store else { throw error }
            return []
        }
    }
}
