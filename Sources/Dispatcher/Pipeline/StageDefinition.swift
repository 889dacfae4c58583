/// The stages that a pipeline may have, in their order.
package enum StageKind: String, Sendable, Codable, CaseIterable {
    case manifest, check, repair, dehydrate, prune

    /// Whether the stage makes a list of units.
    package var hasList: Bool { self != .prune }
}

/// Options of the manifest stage.
package struct ManifestOptions: Sendable, Hashable, Codable {
    /// Leaves directories of other file systems out, whatever the module says; nil: as it says.
    package var oneFileSystem: Bool?

    package init(oneFileSystem: Bool? = nil) { self.oneFileSystem = oneFileSystem }
}

/// Options of the check stage.
package struct CheckOptions: Sendable, Hashable, Codable {
    /// Whether every file is read and hashed.
    package var verify: Bool

    package init(verify: Bool = false) { self.verify = verify }
}

/// Options of the repair stage.
package struct RepairOptions: Sendable, Hashable, Codable {
    /// What happens to a file whose content rotted.
    package enum Rotted: String, Sendable, Codable, CaseIterable { case restore, report }
    /// What happens to a file that is gone.
    package enum Removed: String, Sendable, Codable, CaseIterable { case ignore, restore }
    /// What happens to content that the store has lost.
    package enum Store: String, Sendable, Codable, CaseIterable { case requeue, report }

    package var rotted: Rotted
    package var removed: Removed
    package var store: Store
    /// More repairs than this look like a disaster rather than rot, and stop the stage.
    package var maxRepairs: RepairLimit

    package init(
        rotted: Rotted = .restore, removed: Removed = .ignore, store: Store = .requeue,
        maxRepairs: RepairLimit = .percent(10)
    ) {
        self.rotted = rotted
        self.removed = removed
        self.store = store
        self.maxRepairs = maxRepairs
    }
}

/// A bound on repairs: a number of units, or a share of the module's units.
package enum RepairLimit: Sendable, Hashable, Codable {
    case count(Int)
    /// 0 to 100.
    case percent(Double)
}

/// Options of the dehydrate stage.
package struct DehydrateOptions: Sendable, Hashable, Codable {
    package var compression: Compression
    /// Whether a module in which nothing changed gets no new snapshot.
    package var skipUnchanged: Bool

    package init(compression: Compression = .auto, skipUnchanged: Bool = false) {
        self.compression = compression
        self.skipUnchanged = skipUnchanged
    }
}

/// How content is compressed before it is stored.
package enum Compression: Sendable, Hashable, Codable {
    case auto, off, max
    /// A zstd level, 1 to 19.
    case level(Int)
}

/// A stage of a pipeline with its options.
package enum StageDefinition: Sendable, Hashable, Codable {
    case manifest(ManifestOptions)
    case check(CheckOptions)
    case repair(RepairOptions)
    case dehydrate(DehydrateOptions)
    /// Removes the module's snapshots that no keep rule keeps; it writes no list.
    case prune

    package var kind: StageKind {
        switch self {
        case .manifest: .manifest
        case .check: .check
        case .repair: .repair
        case .dehydrate: .dehydrate
        case .prune: .prune
        }
    }
}
