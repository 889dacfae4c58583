internal import Platform

/// How garbage is collected.
package struct GarbageOptions: Sendable {
    /// Seconds between marking a pack and removing it.
    package var grace: Int64
    package var limits: GarbageLimits
    /// Seconds after which no further pack is copied.
    package var maxDuration: Double?
    /// Only tell what would be done.
    package var dryRun: Bool
    /// Somebody says that a store without any snapshot is to be emptied.
    package var mayEmpty: Bool

    package init(
        grace: Int64 = 86400, limits: GarbageLimits = GarbageLimits(), maxDuration: Double? = nil,
        dryRun: Bool = false, mayEmpty: Bool = false
    ) {
        self.mayEmpty = mayEmpty
        self.grace = grace
        self.limits = limits
        self.maxDuration = maxDuration
        self.dryRun = dryRun
    }
}

/// What a collection did, or would do, and what waits for whom.
package struct GarbageReport: Sendable {
    /// A number of packs and their bytes.
    package struct Amount: Sendable, Equatable {
        package var packs = 0
        package var bytes: UInt64 = 0

        mutating func add(_ size: UInt64) {
            packs += 1
            bytes += size
        }
    }

    /// Marked packs that stay for now, and why.
    package struct Waiting: Sendable, Equatable {
        package var amount = Amount()
        /// For people: `process 12 on host a`, `2026-11-21 …`.
        package var reason: Ripeness
    }

    package var snapshots = 0
    package var trees = 0
    package var blobs = 0
    package var liveBlobs = 0
    /// What index files list, before.
    package var listed = Amount()
    /// Packs without use that were marked.
    package var dead = Amount()
    /// Packs whose live blobs were copied to new ones, and that were marked then.
    package var repacked = Amount()
    package var copiedBytes: UInt64 = 0
    /// Packs in no index file that were marked.
    package var orphans = Amount()
    /// Marked packs that were removed.
    package var deleted = Amount()
    /// Marked packs that a snapshot needs and that are listed again.
    package var recovered = Amount()
    /// Unused bytes that stay in packs.
    package var leftBytes: UInt64 = 0
    /// Packs that are too young to be judged.
    package var young = Amount()
    package var waiting: [Waiting] = []
    /// Programs other than Cistern that hold a lock: nothing was marked because of them.
    package var foreign: [String] = []
    /// Blobs that snapshots refer to and that the store does not have.
    package var lostBlobs = 0
    /// What is damaged.
    package var problems: [String] = []
    /// Whether the time was over before everything was copied.
    package var isCut = false

    /// Whether the store has all that its snapshots refer to, as far as this looked.
    package var isHealthy: Bool { lostBlobs == 0 && problems.isEmpty }

    package init() {}

    mutating func wait(_ reason: Ripeness, _ size: UInt64) {
        let at = waiting.firstIndex { $0.reason == reason } ?? waiting.endIndex
        if at == waiting.endIndex { waiting.append(Waiting(reason: reason)) }
        waiting[at].amount.add(size)
    }
}
