internal import ContentStore
internal import Dispatcher
internal import Platform

/// What the keep rules say about one module's snapshots.
struct PrunePlan {
    var module: String
    /// Whether any group of keep rules has the module; without, everything stays.
    var hasRules: Bool
    /// The newest first.
    var decisions: [RetentionDecision]

    /// The snapshots that go, the oldest first.
    var doomed: [Digest] { decisions.reversed().filter { !$0.isKept }.map(\.snapshot.id) }
}

/// Removes the snapshots that no keep rule keeps.
///
/// Only snapshots go; the space that they leave is found by `cistern gc`. Each removal is on its
/// own, so that a kill between two of them leaves nothing half done.
struct Pruner {
    /// After so many removals the rules are asked again about the snapshots that are there now.
    private static let removalsPerLook = 32

    private let handle: StoreHandle
    private let configuration: Configuration
    private let trustsClock: Bool

    init(
        _ handle: StoreHandle, _ configuration: Configuration, trustsClock: Bool = false
    ) {
        self.handle = handle
        self.configuration = configuration
        self.trustsClock = trustsClock
    }

    /// What would become of the snapshots of `modules`.
    ///
    /// Snapshots that Cistern did not make of a module, such as those of restic, are nobody's here
    /// and stay.
    ///
    /// - Throws: an `unhealthy` failure when something would go and the clock cannot be believed.
    func plan(_ modules: [String]) throws(Failure) -> [PrunePlan] {
        let all = try handle.store.snapshots()
        let history = all.map { RetentionSnapshot(id: $0.id, time: $0.snapshot.time) }
        let policies = modules.map(configuration.retention(for:))
        let mirrored =
            policies.contains { $0?.keep.contains(.notMirrored) == true }
            ? self.mirrored() : []
        var plans: [PrunePlan] = []
        for (module, policy) in zip(modules, policies) {
            let own = snapshots(of: module, in: all, mirrored)
            let decisions = (policy ?? RetentionPolicy(keep: [])).decide(own)
            if decisions.contains(where: { !$0.isKept }) {
                try RetentionClock.check(
                    own, among: history, now: SystemClock().now(), reach: policy?.reach,
                    trusted: trustsClock)
            }
            plans.append(
                PrunePlan(module: module, hasRules: policy != nil, decisions: decisions))
        }
        return plans
    }

    /// Removes the snapshots that go by `plan` and by what the rules say of those that are there
    /// now.
    ///
    /// - Returns: how many were removed.
    func remove(_ plan: PrunePlan, each: (Digest) throws -> Void) throws -> Int {
        var count = 0
        var doomed = plan.doomed[...]
        while !doomed.isEmpty {
            // Others may have removed what the rest was held against.
            let now = Set(try self.plan([plan.module]).flatMap(\.doomed))
            for id in doomed.prefix(Pruner.removalsPerLook) where now.contains(id) {
                try each(id)
                try handle.checkLock()
                try handle.store.removeSnapshot(id)
                count += 1
            }
            doomed = doomed.dropFirst(Pruner.removalsPerLook)
        }
        return count
    }

    private func snapshots(
        of module: String, in all: [StoredSnapshot], _ mirrored: Set<Digest>
    ) -> [RetentionSnapshot] {
        let own = all.filter { $0.snapshot.module == module }
        return own.map { stored in
            RetentionSnapshot(
                id: stored.id, time: stored.snapshot.time, tags: stored.snapshot.tags,
                isMirrored: mirrored.contains(stored.id))
        }
    }

    /// The snapshots that every mirror has; while one of them cannot be asked, none.
    ///
    /// A mirror gets a snapshot after all that it refers to.
    private func mirrored() -> Set<Digest> {
        var common: Set<Digest>?
        let mirrors = StoreMirrors.reachable(configuration)
        guard mirrors.count == configuration.store.mirrors.count else {
            Print.note("not every mirror is there, so nothing counts as mirrored")
            return []
        }
        for mirror in mirrors {
            var found: Set<Digest> = []
            do throws(BackendError) {
                try mirror.list(.snapshot) { id, _ in found.insert(id) }
            } catch {
                Print.note(
                    "\(mirror.location) cannot be asked, so nothing counts as mirrored: \(error)")
                return []
            }
            common = common?.intersection(found) ?? found
        }
        return common ?? []
    }
}
