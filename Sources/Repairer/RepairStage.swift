package import ContentStore
package import JobTable
package import Manifest
package import Platform
package import Stages

/// The repair: restores what is bad in the module from the store, and puts content that the store
/// has lost back from the module.
///
/// Every result comes from a new check.
package final class RepairStage: Stage {
    package let name = "repair"
    private let root: String
    private let state: ModuleState
    private let store: Store
    private let policy: RepairPolicy
    private let quarantine: Quarantine
    private let session: StoreSession
    private let baseline: Baseline?
    private let links = RestoredLinks()
    private let budget: Monitor<UInt64>
    private let allowed: UInt64
    private let sinks = Monitor<[BlobSink]>([])

    /// - Parameters:
    ///   - session: what is put back into the store goes through it; the caller holds the lock.
    ///   - checked: the statistics of a finished check list, when there is one: a repair that
    ///     would break the limit then does not even begin.
    package init(
        root: String, state: ModuleState, store: Store, session: StoreSession,
        policy: RepairPolicy, quarantine: Quarantine, checked: Stats? = nil
    ) throws(Failure) {
        self.root = root
        self.state = state
        self.store = store
        self.session = session
        self.policy = policy
        self.quarantine = quarantine
        baseline = try state.baseline(in: store)
        var units: UInt64 = 0
        if let checked {
            units = RepairStage.units(checked)
        } else if let baseline {
            units = UInt64(try state.list(baseline.key)?.units ?? 0)
        }
        allowed = policy.limit.allowed(of: units)
        budget = Monitor(0)
        if let checked {
            try demand(RepairPlan.expected(by: checked, policy), "would need")
        }
    }

    private static func units(_ stats: Stats) -> UInt64 {
        stats.countFiles + stats.countDirectories + stats.countSymlinks + stats.countOther
    }

    private func demand(_ repairs: UInt64, _ verb: String) throws(Failure) {
        guard repairs > allowed else { return }
        throw Failure(
            .unhealthy,
            "the repair of \(root) \(verb) \(repairs) repairs, more than max_repairs allows "
                + "(\(allowed))",
            hint: "This looks like a disaster rather than rot: look at the disk and at "
                + "`cistern results`, then raise max_repairs if the repairs are right")
    }

    package func makeWorker() throws -> any StageWorker {
        let sink = BlobSink(session: session)
        sinks.with { $0.append(sink) }
        return try Worker(
            stage: self, sink: sink,
            restoration: try FileRestoration(
                root: root, store: store, quarantine: quarantine, links: links),
            baseline: baseline.map { BaselineReader(state: state, key: $0.key) })
    }

    package func durableBelow() throws -> Int { try session.durableBelow() }

    package func flush() throws {
        for sink in sinks.with({ $0 }) { try sink.flush() }
        try session.drain()
    }

    package func finish(_ stats: Stats) throws -> StageCompletion {
        try session.finish()
        return StageCompletion()
    }

    private final class Worker: StageWorker {
        private let stage: RepairStage
        private let sink: BlobSink
        private let restoration: FileRestoration
        private let writer: ContentWriter
        private let files: ModuleFiles
        private let baseline: BaselineReader?

        init(
            stage: RepairStage, sink: BlobSink, restoration: FileRestoration,
            baseline: BaselineReader?
        ) throws {
            self.stage = stage
            self.sink = sink
            self.restoration = restoration
            self.baseline = baseline
            writer = ContentWriter(store: stage.store, sink: sink)
            files = try ModuleFiles(root: stage.root)
        }

        func process(_ batch: UnitBatch) throws -> StageOutput {
            var output = StageOutput()
            let plans = batch.units.map { RepairPlan($0, stage.policy) }
            guard plans.contains(where: { $0 != .leave }) else {
                output.units = batch.units
                output.origins = batch.units.indices.map { $0 }
                for unit in batch.units { count(unit, &output) }
                return output
            }
            let stored = try baseline?.units(after: batch.after, upTo: batch.upTo) ?? []
            let failures = try putBackAll(batch, plans, stored)
            try forEachPair(batch.units, stored) { index, stored in
                guard let index else { return }
                let unit = batch.units[index]
                let repaired = try repair(unit, plans[index], stored, failures[index])
                count(repaired, &output)
                let same = repaired.metadata == unit.metadata && repaired.error == unit.error
                output.append(repaired, origin: same ? index : nil)
            }
            return output
        }

        /// Puts what the store has lost back, for the whole batch before one wait for the uploads.
        ///
        /// A lost pack of small files comes back as a pack, not as one for each of them.
        ///
        /// - Returns: why it failed, for each unit for which it did.
        private func putBackAll(
            _ batch: UnitBatch, _ plans: [RepairPlan], _ stored: [Unit]
        ) throws -> [Int: any Error] {
            var failures: [Int: any Error] = [:]
            guard plans.contains(.requeue) else { return failures }
            try forEachPair(batch.units, stored) { index, stored in
                guard let index, plans[index] == .requeue, let stored else { return }
                try stage.spend()
                do {
                    try putBack(batch.units[index], stored, batch.number)
                } catch let failure as Failure where failure.kind == .cancelled {
                    throw failure
                } catch {
                    failures[index] = error
                }
            }
            // The new check reads the copies back, so they have to be there.
            try sink.flush()
            try stage.session.drain()
            return failures
        }

        private func count(_ unit: Unit, _ output: inout StageOutput) {
            if let repair = unit.repair {
                if repair.attempted { output.count("repair-attempted") }
                if repair.successful { output.count("repair-\(repair.action.rawValue)") }
                if repair.attempted && !repair.successful { output.count("repair-failed") }
            }
            CheckCounters.count(unit.repair?.after ?? unit.check, &output)
        }

        private func repair(
            _ unit: Unit, _ plan: RepairPlan, _ stored: Unit?, _ failure: (any Error)?
        ) throws -> Unit {
            guard let before = unit.check, plan != .leave else { return unit }
            var unit = unit
            var result = RepairResult(
                attempted: plan.isRepair, successful: false, action: .none, before: before,
                after: before)
            if plan == .restore { try stage.spend() }
            do {
                guard plan.isRepair else { throw Failure(.module, "no good copy is left anywhere") }
                guard let stored else {
                    throw Failure(.module, "the last snapshot does not have it")
                }
                if plan == .restore {
                    let reason = before.problems.joined(separator: "; ")
                    if before.state == .removed { try restoreParents(of: stored.path) }
                    unit = try restoration.restore(stored, reason: reason)
                    files.reset()
                    result.action = .restored
                } else {
                    if let failure { throw failure }
                    result.action = .requeued
                }
                result.after = try stage.recheck(unit, stored)
                result.successful = result.after.healthy
                if !result.successful { result.error = "the file is not healthy after the repair" }
            } catch let failure as Failure where failure.kind == .cancelled {
                throw failure
            } catch {
                // One unit's failure is recorded on it, and the others go on.
                result.error = "\(error)"
            }
            unit.check = before
            unit.repair = result
            return unit
        }

        /// Makes the removed directories above `path`: they have repairs of their own, in batches
        /// that may come later on another thread.
        private func restoreParents(of path: [UInt8]) throws {
            for end in path.indices where path[end] == 0x2F {
                let parent = Array(path[..<end])
                guard try files.unit(at: parent) == nil,
                    let stored = try baseline?.unit(at: parent), stored.metadata.kind == .directory
                else { continue }
                _ = try restoration.restore(stored, reason: "")
            }
        }

        private func putBack(_ unit: Unit, _ stored: Unit, _ batch: Int) throws {
            let file = try files.open(unit.path)
            let complete = try writer.storeAgain(
                file.descriptor, ids: stored.content?.ids ?? [], index: stage.store.index,
                batch: batch)
            guard complete else {
                throw Failure(.module, "the local file is not what was stored either")
            }
        }
    }

    private func spend() throws(Failure) {
        let spent = budget.with { spent in
            spent += 1
            return spent
        }
        try demand(spent, "came to")
    }

    /// Checks a unit after its repair as if for the first time, content and copies included.
    private func recheck(_ unit: Unit, _ stored: Unit) throws(Failure) -> CheckResult {
        // Restoring gives a new inode and ctime; all else has to be as it was stored.
        var expected = stored
        expected.metadata.inode = unit.metadata.inode
        expected.metadata.ctime = unit.metadata.ctime
        let checker = try UnitChecker(
            root: root, store: store, verify: true, unchangedStore: false)
        var fresh = unit
        fresh.check = nil
        fresh.repair = nil
        fresh.error = nil
        guard let check = try checker.check(fresh, stored: expected).check else {
            throw Failure(.bug, "a check without a result")
        }
        guard check.state == .intact || unit.metadata.kind == .directory else {
            var failed = check
            failed.healthy = false
            return failed
        }
        return check
    }
}
