package import ContentStore
package import JobTable
internal import Manifest
package import Platform
package import Stages

/// The check: every unit of a module against the last snapshot and the store's copies.
package final class CheckStage: Stage {
    package let name = "check"
    private let root: String
    private let state: ModuleState
    private let store: Store
    private let verify: Bool
    private let baseline: Baseline?
    private let unchangedStore: Bool

    /// - Parameter verify: read and hash local files and stored copies; without it the check is by
    ///   metadata, index and listing.
    package init(
        root: String, state: ModuleState, store: Store, verify: Bool
    ) throws(Failure) {
        self.root = root
        self.state = state
        self.store = store
        self.verify = verify
        baseline = try state.baseline(in: store)
        unchangedStore = try baseline?.storeGeneration == store.index.generation()
    }

    package func makeWorker() throws -> any StageWorker {
        Worker(
            checker: try UnitChecker(
                root: root, store: store, verify: verify, unchangedStore: unchangedStore),
            baseline: baseline.map { BaselineReader(state: state, key: $0.key) })
    }

    private final class Worker: StageWorker {
        private let checker: UnitChecker
        private let baseline: BaselineReader?

        init(checker: UnitChecker, baseline: BaselineReader?) {
            self.checker = checker
            self.baseline = baseline
        }

        func process(_ batch: UnitBatch) throws -> StageOutput {
            let stored = try baseline?.units(after: batch.after, upTo: batch.upTo) ?? []
            var output = StageOutput()
            output.units.reserveCapacity(batch.units.count)
            output.origins.reserveCapacity(batch.units.count)
            var unreadable = UnreadableDirectories(batch.unreadable)
            try forEachPair(batch.units, stored) { index, stored in
                if let index {
                    let unit = batch.units[index]
                    unreadable.pass(unit)
                    let checked = try checker.check(unit, stored: stored)
                    CheckCounters.count(checked.check, &output)
                    let same = checked.metadata == unit.metadata && checked.error == unit.error
                    output.append(checked, origin: same ? index : nil)
                } else if let stored {
                    let unknown = unreadable.cover(stored)
                    let checked = try checker.check(missing: stored, unknown: unknown)
                    CheckCounters.count(checked.check, &output)
                    if unknown { output.count(CheckCounters.unknown) }
                    output.append(checked, origin: nil)
                }
            }
            return output
        }
    }
}
