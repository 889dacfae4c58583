package import Platform

/// How thoroughly an object of a store was looked at; a higher level proves what a lower one does.
package enum ScrubLevel: Int, Sendable, Comparable, CaseIterable {
    /// The listing has it, with the size that the index gives.
    case present = 1
    /// Its SHA-256 is its name. Needs no key.
    case sum = 2
    /// Opened with the key: codes, compression, ids, header and index agree.
    case deep = 3

    package static func < (a: ScrubLevel, b: ScrubLevel) -> Bool { a.rawValue < b.rawValue }

    /// The word that options and reports use.
    package var word: String {
        switch self {
        case .present: "present"
        case .sum: "sum"
        case .deep: "deep"
        }
    }
}

/// An object that is to be read, and what is known of it.
package struct ScrubObject: Sendable, Equatable {
    package var key: ObjectKey
    /// Bytes, by the last listing.
    package var size: UInt64
    /// Why it counts as damaged; nil when it does not.
    package var badReason: String?
    /// For the config, the SHA-256 that it had when it was last good.
    package var sum: Digest?
}

/// What reading one object gave.
package struct ScrubResult: Sendable, Equatable {
    /// The verdict on an object.
    package enum Verdict: Sendable, Equatable {
        case good
        case bad(String)
        /// Removed by somebody since the listing.
        case gone
    }

    package var key: ObjectKey
    package var level: ScrubLevel
    package var verdict: Verdict
    /// The SHA-256 of the config that is good.
    package var sum: Digest?

    package init(_ key: ObjectKey, _ level: ScrubLevel, _ verdict: Verdict, sum: Digest? = nil) {
        self.key = key
        self.level = level
        self.verdict = verdict
        self.sum = sum
    }
}

/// An object that is known to be damaged, until a check finds it mended.
package struct KnownDamage: Sendable, Equatable {
    package var key: ObjectKey
    /// When it was first found so.
    package var since: Timestamp
    package var reason: String
    /// The level that found it: a lower one cannot find it mended.
    package var level: ScrubLevel
    /// The last listing did not have it.
    package var isGone: Bool
    /// A check found it good once.
    package var wasGood: Bool
}

/// Which objects a run reads.
package struct ScrubSelection: Sendable, Equatable {
    package var level: ScrubLevel
    /// Seconds for which a good result holds; nil reads each object once in a pass, however many
    /// runs a pass takes.
    package var maxAge: Int64?
    /// The share of the objects, 1 for all, chosen at random by `seed`; nil for all.
    package var sample: Double?
    package var seed: UInt64

    package init(
        level: ScrubLevel, maxAge: Int64? = nil, sample: Double? = nil, seed: UInt64 = 0
    ) {
        self.level = level
        self.maxAge = maxAge
        self.sample = sample
        self.seed = seed
    }

    /// Whether the object is in the sample: the same for the same seed.
    package func isSampled(_ prefix: UInt64) -> Bool {
        guard let sample else { return true }
        // The finaliser of SplitMix64.
        var x = (prefix ^ seed) &+ 0x9E37_79B9_7F4A_7C15
        x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
        x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
        x ^= x >> 31
        return Double(x >> 11) / 0x1p53 < sample
    }
}

/// What share of a place's objects has been read, and since when.
package struct ScrubCoverage: Sendable, Equatable {
    package var objects = 0
    package var bytes: UInt64 = 0
    /// Read in this pass, or within the age that was asked for.
    package var coveredObjects = 0
    package var coveredBytes: UInt64 = 0
    /// Never read at this level.
    package var neverObjects = 0
    /// The oldest result of this level among all objects.
    package var oldest: Timestamp?
    /// Known to be damaged.
    package var bad = 0

    package init() {}

    package var isComplete: Bool { coveredObjects == objects }
}
