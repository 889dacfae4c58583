internal import Platform

/// What a mirror lacks, by the listings of both places.
struct MirrorPlan {
    var packs: [MirrorItem] = []
    var indexFiles: [MirrorItem] = []
    var snapshots: [MirrorItem] = []
    /// What the mirror has.
    var targetPacks: Set<Digest> = []

    /// Lists both places.
    ///
    /// The store's snapshots come first and its packs last: what a snapshot relies on was there
    /// before it.
    static func make(
        from source: any Backend, to target: any Backend
    ) throws(Failure) -> MirrorPlan {
        var plan = MirrorPlan()
        plan.snapshots = try missing(.snapshot, source, try list(.snapshot, target))
        plan.indexFiles = try missing(.index, source, try list(.index, target))
        let packs = try list(.pack, target)
        plan.packs = try missing(.pack, source, packs)
        plan.targetPacks = Set(packs.keys)
        return plan
    }

    /// What the mirror lacks, as numbers.
    var lag: MirrorLag {
        var lag = MirrorLag()
        for item in packs + indexFiles + snapshots { lag[item.kind].add(item.size) }
        return lag
    }

    /// Objects of `kind` that `there` does not have, or has with another size.
    static func missing(
        _ kind: ObjectKind, _ source: any Backend, _ there: [Digest: UInt64]
    ) throws(Failure) -> [MirrorItem] {
        var missing: [MirrorItem] = []
        try source.failing { backend throws(BackendError) in
            try backend.list(kind) { id, size in
                guard there[id] != size else { return }
                missing.append(MirrorItem(kind: kind, id: id, size: size))
            }
        }
        // Neighbours are read and written together, and a run that goes on finds the same order.
        return missing.sorted { $0.id < $1.id }
    }

    static func list(
        _ kind: ObjectKind, _ backend: any Backend
    ) throws(Failure) -> [Digest: UInt64] {
        var found: [Digest: UInt64] = [:]
        try backend.failing { backend throws(BackendError) in
            try backend.list(kind) { id, size in found[id] = size }
        }
        return found
    }
}
