internal import Platform

/// Who holds a lock: a process of a host.
///
/// A refresh replaces the lock's file, and not these.
package struct LockHolder: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var hostname: String
    package var pid: Int32

    package init(hostname: String, pid: Int32) {
        self.hostname = hostname
        self.pid = pid
    }

    /// This process.
    package static var current: LockHolder {
        let identity = ProcessIdentity.current
        return LockHolder(hostname: identity.host, pid: identity.pid)
    }

    package static func < (a: LockHolder, b: LockHolder) -> Bool {
        (a.hostname, a.pid) < (b.hostname, b.pid)
    }

    package var description: String { "process \(pid) on host \(hostname)" }

    /// One line for each: `pid host`.
    static func encode(_ holders: Set<LockHolder>) -> String {
        holders.sorted().map { "\($0.pid) \($0.hostname)" }.joined(separator: "\n")
    }

    static func decode(_ text: String) -> Set<LockHolder> {
        Set(
            text.split(separator: "\n").compactMap { line in
                let parts = line.split(
                    separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2, let pid = Int32(parts[0]) else { return nil }
                return LockHolder(hostname: String(parts[1]), pid: pid)
            })
    }
}

/// What an installation saw of a pack's marks: when it first saw just these, with the pack in no
/// index file any more, and who held a lock after that.
///
/// Whoever came later has loaded an index without the pack, and does not rely on it. Whoever was
/// there may.
package struct MarkObservation: Sendable, Equatable {
    /// Which marks: their times.
    ///
    /// A pack that was taken back and marked anew has other ones.
    package var marks: String
    /// Seconds since the epoch.
    package var time: Int64
    package var holders: Set<LockHolder>

    package init(marks: String, time: Int64, holders: Set<LockHolder>) {
        self.marks = marks
        self.time = time
        self.holders = holders
    }

    /// The name of a set of marks by their times.
    package static func name(_ times: [Int64]) -> String {
        Set(times).sorted().map { "\($0)" }.joined(separator: " ")
    }
}

/// Whether a marked pack may be removed, if no snapshot refers to it.
package enum Ripeness: Sendable, Equatable {
    /// Nobody can rely on it any more who has not written a snapshot.
    case ripe
    /// Not before this time, in seconds since the epoch.
    case notBefore(Int64)
    /// These were there before it was marked, and still are.
    case held([LockHolder])
    /// The clock says that the mark is of the future, or was seen there.
    case clock

    /// Seconds by which clocks of hosts may differ.
    static let clockTolerance: Int64 = 3600

    /// Judges a mark.
    ///
    /// - Parameters:
    ///   - times: when the pack was marked, in nanoseconds since the epoch.
    ///   - present: who holds a lock now, listed before the snapshots that the caller looks at.
    ///   - grace: seconds to wait after the mark and after it was seen.
    package static func judge(
        times: [Int64], observation: MarkObservation, present: Set<LockHolder>, now: Int64,
        grace: Int64
    ) -> Ripeness {
        let held = observation.holders.intersection(present)
        if !held.isEmpty { return .held(held.sorted()) }
        let marked = (times.max() ?? 0) / 1_000_000_000
        guard marked <= now + clockTolerance, observation.time <= now else { return .clock }
        let due = max(marked, observation.time) + grace
        return due > now ? .notBefore(due) : .ripe
    }
}
