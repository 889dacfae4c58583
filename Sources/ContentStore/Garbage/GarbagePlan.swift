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

    package init(maxUnused: Double = 0.05, maxRepack: UInt64 = .max) {
        self.maxUnused = maxUnused
        self.maxRepack = maxRepack
    }
}

/// What to do with each pack: pure, from the use of all packs.
package struct GarbagePlan: Sendable, Equatable {
    /// Numbers of packs without a blob that is used.
    package var dead: [Int] = []
    /// Numbers of packs whose live blobs are to be copied to new ones, the most wasteful first.
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
    /// what is left unused is within the limit; below that, copying costs more than it gives.
    package init(_ packs: some Sequence<PackUse>, limits: GarbageLimits) {
        var candidates: [PackUse] = []
        var live: UInt64 = 0
        for pack in packs {
            live += pack.live
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
            guard copyBytes + pack.live <= limits.maxRepack else { continue }
            repack.append(pack.number)
            copyBytes += pack.live
            repackDeadBytes += pack.dead
            leftBytes -= pack.dead
        }
        leftBytes += youngBytes
    }
}
