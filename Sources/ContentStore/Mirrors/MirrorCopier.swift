package import Platform

/// Brings a mirror up to date: copies to it, object by object, what it lacks of the store.
///
/// The mirror is a repository of its own that anybody may use at any moment, whenever this is cut
/// off: packs are copied before the index files that name them, index files before the snapshots
/// that need them. What is to be copied is found by listing both places, snapshots first, so that
/// all that a listed snapshot relies on is in the later listings; nothing else has to be remembered
/// to go on after a kill. Nothing is ever removed from a mirror.
package final class MirrorCopier {
    /// Listings are taken again when something vanished between listing and copying, this often.
    private static let rounds = 5

    let store: Store
    let target: any Backend
    let sources: [any Backend]
    private let threads: Int
    private let progress: (ObjectCount) -> Void
    var result = MirrorResult()

    /// What was done, and what is missing still.
    package var outcome: MirrorResult { result }

    /// Copies from `store`, and from those of its other mirrors that have what it lost, to
    /// `target`.
    ///
    /// - Parameter progress: told after each object what was copied so far.
    package init(
        store: Store, target: any Backend, threads: Int = 4,
        progress: @escaping (ObjectCount) -> Void = { _ in }
    ) {
        self.store = store
        self.target = target
        self.threads = threads
        self.progress = progress
        sources = store.copies.filter { $0 !== target }
    }

    /// Copies until the mirror has what the store has.
    ///
    /// Keys and config have to be there already (`prepare`), and both places locked.
    ///
    /// - Throws: `Failure` when the mirror or the store cannot be reached, or a stop was asked for;
    ///   what was copied until then stays. What no place has is in the result.
    package func copy() throws(Failure) {
        for round in 1...MirrorCopier.rounds {
            let plan = try MirrorPlan.make(from: store.backend, to: target)
            result.missing = plan.lag
            result.forgetLost(except: .key)
            let vanished = try copy(plan)
            if vanished == 0 { return }
            if round == MirrorCopier.rounds {
                result.notes.append(
                    "\(vanished) objects vanished from the store while they were copied")
            }
        }
    }

    /// What the mirror lacks now, by the listings alone.
    package func lag() throws(Failure) -> MirrorLag {
        try MirrorPlan.make(from: store.backend, to: target).lag
    }

    /// Returns how many objects were gone when their turn came.
    private func copy(_ plan: MirrorPlan) throws(Failure) -> Int {
        var vanished = try copy(plan.packs)
        // Packs that only index files know of, because the store has lost them.
        var have = plan.targetPacks
        for item in plan.packs { have.insert(item.id) }
        var wanted: [MirrorItem] = []
        var seen = Set<Digest>()
        for item in plan.indexFiles {
            for (pack, size) in try packs(namedBy: item) where !have.contains(pack) {
                guard seen.insert(pack).inserted else { continue }
                wanted.append(MirrorItem(kind: .pack, id: pack, size: size))
            }
        }
        _ = try copy(wanted, areNamed: true)
        vanished += try copy(plan.indexFiles)
        // Only what is indexed there may be relied upon by a snapshot there.
        if vanished > 0 { return vanished }
        return try copy(plan.snapshots)
    }

    /// The packs that an index file of the store names, with their sizes; none when nobody can read
    /// it.
    private func packs(namedBy item: MirrorItem) throws(Failure) -> [(Digest, UInt64)] {
        var packs: [(Digest, UInt64)] = []
        do throws(BackendError) {
            let bytes = try store.get(item.key, limit: Store.indexFileLimit)
            do throws(Failure) {
                try IndexFile.read(
                    bytes.span, expected: item.id, sealer: Sealer(key: store.key)
                ) { pack, entries in
                    packs.append((pack, PackHeader.expectedSize(entries)))
                }
            } catch {
                // Copying it finds the same, and tells.
                return []
            }
        } catch {
            switch error {
            case .missing, .damaged: return []
            case .temporary, .permanent, .refused, .exists:
                throw error.failure(at: store.backend.location)
            }
        }
        return packs
    }

    /// Copies `items` on all threads, in no order.
    private func copy(_ items: [MirrorItem], areNamed: Bool = false) throws(Failure) -> Int {
        var rest = items[...]
        var vanished = 0
        let (sources, target, spool) = (sources, target, store.spoolDirectory)
        do {
            try orderedMap(
                threads: min(threads, max(1, items.count)), window: threads * 2, name: "mirror",
                makeWorker: { _ in
                    let copier = ObjectCopier(
                        sources: sources, target: target, spoolDirectory: spool)
                    return { (_: Int, item: MirrorItem) in
                        let outcome = try copier.copy(item, isNamed: areNamed)
                        MirrorCopier.reached(item.kind)
                        return (item, outcome)
                    }
                },
                next: {
                    try Interruption.check()
                    return rest.popFirst()
                },
                collect: { _, done in
                    if count(done.0, done.1, isNamed: areNamed) { vanished += 1 }
                })
        } catch let failure as ObjectCopier.PlaceFailure {
            throw failure.error.failure(at: failure.location)
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(
                .temporary, "the mirror \(target.location) cannot be brought up to date",
                cause: "\(error)")
        }
        return vanished
    }

    private static func reached(_ kind: ObjectKind) {
        switch kind {
        case .pack: CrashPoint.reached("mirror-pack-put")
        case .index: CrashPoint.reached("mirror-index-put")
        case .snapshot: CrashPoint.reached("mirror-snapshot-put")
        case .key, .config, .lock: break
        }
    }

    /// Counts what became of an object; true when it has vanished.
    private func count(
        _ item: MirrorItem, _ outcome: ObjectCopier.Outcome, isNamed: Bool
    ) -> Bool {
        switch outcome {
        case .copied(let bytes, let place):
            result.copied[item.kind].add(bytes)
            if place > 0 { result.fromOthers += 1 }
            progress(result.copied.total)
        case .lost(let cause):
            result.add(lost: item.key, cause)
            // It stays missing.
            return false
        case .vanished:
            return true
        case .goodThere:
            result.betterHere += 1
        }
        if !isNamed { result.missing[item.kind].remove(item.size) }
        return false
    }
}
