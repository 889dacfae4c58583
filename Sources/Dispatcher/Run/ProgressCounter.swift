package import JobTable
internal import Synchronization

/// The counters of one job, moved by the stage's threads and read by the lease keeper.
package final class ProgressCounter: Sendable {
    private let units = Atomic<Int64>(0)
    private let bytes = Atomic<Int64>(0)
    private let current = Mutex<(stage: String?, total: Int64?)>((nil, nil))

    package init() {}

    /// Starts counting a stage: from zero, towards `unitsTotal` if that is known.
    package func begin(stage: String, unitsTotal: Int64? = nil) {
        current.withLock { $0 = (stage, unitsTotal) }
        units.store(0, ordering: .relaxed)
        bytes.store(0, ordering: .relaxed)
    }

    /// Notes work that is done.
    package func add(units: Int64, bytes: Int64) {
        self.units.wrappingAdd(units, ordering: .relaxed)
        self.bytes.wrappingAdd(bytes, ordering: .relaxed)
    }

    /// Sets the count of units to `units`, for a stage that resumes in the middle.
    package func resume(units: Int64) { self.units.store(units, ordering: .relaxed) }

    /// The counters now.
    package var snapshot: JobProgress {
        let (stage, total) = current.withLock { $0 }
        return JobProgress(
            stage: stage, units: units.load(ordering: .relaxed),
            bytes: bytes.load(ordering: .relaxed), unitsTotal: total)
    }
}
