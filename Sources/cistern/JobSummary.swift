internal import Dehydrator
internal import Dispatcher
internal import Manifest
internal import Stages

/// What the statistics of a job's lists say about it as a whole.
struct JobSummary {
    private(set) var result = JobResult()
    private var unread: UInt64 = 0
    private var failed: UInt64 = 0
    private var kept: UInt64 = 0
    private var lost: UInt64 = 0

    /// Adds what a finished list tells.
    mutating func add(_ stats: Stats, of kind: StageKind) {
        switch kind {
        case .manifest:
            result.units = Int64(
                stats.countFiles + stats.countDirectories + stats.countSymlinks + stats.countOther)
            result.bytes = Int64(stats.sizeFiles)
            unread = stats.countErrors
        case .check:
            result.unhealthy = Int64(stats[counter: CheckCounters.unhealthy])
        case .repair:
            result.repaired = Int64(
                stats[counter: "repair-restored"] + stats[counter: "repair-requeued"])
            result.unhealthy = Int64(stats[counter: CheckCounters.unhealthy])
        case .dehydrate:
            result.newBytes = Int64(
                stats[counter: DehydrateCounters.newBytes] + stats[counter: "new-tree-bytes"])
            failed = stats[counter: DehydrateCounters.failed]
            kept = stats[counter: DehydrateCounters.kept]
            lost = stats[counter: DehydrateCounters.lost]
        case .prune: break
        }
        let parts = [
            (UInt64(max(0, result.unhealthy)), "unhealthy"), (unread, "unreadable"),
            (failed, "not stored"), (kept, "kept as last stored"), (lost, "lost by the store"),
        ]
        let notes = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        result.note = notes.isEmpty ? nil : notes.joined(separator: ", ")
    }

    /// Notes how many snapshots the job removed.
    mutating func set(pruned: Int) { result.pruned = Int64(pruned) }

    /// Notes what went over the network.
    mutating func add(_ network: NetworkTotals) { network.add(to: &result) }

    /// Notes the snapshot that the job made.
    mutating func set(snapshot: String) { result.snapshot = snapshot }
}
