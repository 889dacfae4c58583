package import ContentStore
package import JobTable
package import Manifest
package import Platform

/// The counters that check and repair keep in a list's statistics.
package enum CheckCounters {
    package static let unhealthy = "count-unhealthy"
    package static let unrecoverable = "count-unrecoverable"
    /// Units below a directory that could not be read: no repair is of use to them.
    package static let unknown = "count-unknown"

    /// Counts one result.
    package static func count(_ check: CheckResult?, _ output: inout StageOutput) {
        guard let check else { return }
        output.count("check-\(check.state.rawValue)")
        if check.healthy { output.count("count-healthy") } else { output.count(unhealthy) }
        if check.recoverable {
            output.count("count-recoverable")
        } else {
            output.count(unrecoverable)
        }
        if check.copiesCorrupt > 0 { output.count("copies-corrupt", UInt64(check.copiesCorrupt)) }
        let missing = check.copiesExpected - check.copiesGood - check.copiesCorrupt
        if missing > 0 { output.count("copies-missing", UInt64(missing)) }
    }
}

extension ModuleState {
    /// The baseline, when it belongs to `store`; a state that was dehydrated to another store has
    /// none in this one.
    package func baseline(in store: Store) throws(Failure) -> Baseline? {
        guard let baseline = try baseline(), baseline.storeID == store.id.description else {
            return nil
        }
        return baseline
    }
}
