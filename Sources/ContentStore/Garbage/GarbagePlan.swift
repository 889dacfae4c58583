/// How much of each pack is used.
package struct PackUse: Sendable, Equatable {
    /// The pack's number in the local index.
    package var number: Int
    /// Bytes of the whole pack.
    package var size: UInt64
    /// Bytes of the blobs in it that snapshots refer to and that are not to be had elsewhere, with
    /// their entries in the header.
    package var live: UInt64
    /// Whether it was first seen so short a time ago that an unfinished run may count on it.
    package var isYoung: Bool
    /// Whether it cannot be copied: a copy in it is damaged, or it is not there as listed.
    package var isFixed: Bool

    package init(
        number: Int, size: UInt64, live: UInt64, isYoung: Bool = false, isFixed: Bool = false
    ) {
        self.number = number
        self.size = size
        self.live = live
        self.isYoung = isYoung
        self.isFixed = isFixed
    }

    /// Bytes that could be given back.
    package var dead: UInt64 { size > live ? size - live : 0 }
}

/// How far garbage is collected.
package struct GarbageLimits: Sendable {
    /// The share of unused bytes in packs that is left in peace, of the bytes in use.
    package var maxUnused: Double
    /// The most bytes of live blobs that are copied in one run.
    package var maxRepack: UInt64
    /// Packs of fewer bytes are small, and merged when there are many of them; 0 for never.
    package var mergeBelow: UInt64

    package init(maxUnused: Double = 0.05, maxRepack: UInt64 = .max, mergeBelow: UInt64 = 0) {
        self.maxUnused = maxUnused
        self.maxRepack = maxRepack
        self.mergeBelow = mergeBelow
    }
}

/// What to do with each pack: pure, from the use of all packs.
package struct GarbagePlan: Sendable, Equatable {
    /// So many small packs are merged, fewer are left as they are.
    ///
    /// A merge leaves at most two packs that are small again, one of files and one of trees, and
    /// the next one copies these once more: next to what is new, less than twice `mergeBelow` for
    /// each 30 new packs.
    package static let smallPacks = 32

    /// Numbers of packs without a blob that is used.
    package var dead: [Int] = []
    /// Numbers of packs whose live blobs are to be copied to new ones.
    ///
    /// The most wasteful come first, the small ones last.
    package var repack: [Int] = []
    /// Bytes of the dead packs.
    package var deadBytes: UInt64 = 0
    /// Bytes to copy.
    package var copyBytes: UInt64 = 0
    /// Unused bytes in the packs to copy.
    package var repackDeadBytes: UInt64 = 0
    /// Unused bytes that stay: the limits leave them, or their packs are young or damaged.
    package var leftBytes: UInt64 = 0
    /// Packs that are left because they are young, and their unused bytes.
    package var young = 0
    package var youngBytes: UInt64 = 0

    /// Decides.
    ///
    /// Packs without use go. Of the others, those with the greatest share of waste are copied until
    /// what is left unused is within the limit; below that, copying costs more than it gives. Many
    /// small packs, as runs leave them that had little to store, become few.
    package init(_ packs: some Sequence<PackUse>, limits: GarbageLimits) {
        var candidates: [PackUse] = []
        var small: [PackUse] = []
        var live: UInt64 = 0
        for pack in packs {
            live += pack.live
            if pack.size < limits.mergeBelow && pack.live > 0 && !pack.isYoung && !pack.isFixed {
                small.append(pack)
            }
            if pack.dead == 0 { continue }
            if pack.isYoung {
                young += 1
                youngBytes += pack.dead
            } else if pack.live == 0 {
                dead.append(pack.number)
                deadBytes += pack.size
            } else if pack.isFixed {
                leftBytes += pack.dead
            } else {
                candidates.append(pack)
                leftBytes += pack.dead
            }
        }
        // By the share of waste, without rounding; the number makes the order definite.
        candidates.sort { a, b in
            let x = Double(a.dead) / Double(a.size)
            let y = Double(b.dead) / Double(b.size)
            return x != y ? x > y : a.number < b.number
        }
        let allowed = UInt64(Double(live) * max(0, limits.maxUnused))
        for pack in candidates {
            guard leftBytes > allowed else { break }
            take(pack, limits)
        }
        merge(small, limits)
        leftBytes += youngBytes
    }

    /// Takes the small packs that can be copied in this run, when they are many.
    private mutating func merge(_ small: [PackUse], _ limits: GarbageLimits) {
        guard small.count >= GarbagePlan.smallPacks else { return }
        let taken = Set(repack)
        var room = limits.maxRepack - copyBytes
        let fitting = small.filter { pack in
            guard !taken.contains(pack.number), pack.live <= room else { return false }
            room -= pack.live
            return true
        }
        guard fitting.count >= GarbagePlan.smallPacks else { return }
        for pack in fitting { take(pack, limits) }
    }

    /// Takes a pack to be copied, unless it is too much for this run.
    private mutating func take(_ pack: PackUse, _ limits: GarbageLimits) {
        guard copyBytes + pack.live <= limits.maxRepack else { return }
        repack.append(pack.number)
        copyBytes += pack.live
        repackDeadBytes += pack.dead
        leftBytes -= pack.dead
    }
}
