internal import ContentStore
internal import JobTable
internal import Manifest
internal import Platform
internal import Stages

/// Stands for the trees of a batch in which nothing changed.
struct SkippedTrees: Sendable {
    /// The chunk of the last list that has the batch's units; nil for a batch without any.
    var chunk: Int?
}

/// Builds the trees only once something changed: as long as every batch is a chunk of the last
/// list, the root tree is the last one.
struct LazyTrees {
    private let builder: TreeBuilder
    private let baseline: Baseline?
    private let state: ModuleState
    private let rootDevice: UInt64
    private let catchUp: @Sendable (_ bytes: Int) throws -> Void
    // Chunks of the last list, from its beginning, that were found unchanged.
    private var skipped = 0
    /// Whether trees are built: something changed.
    private(set) var isBuilding = false

    /// - Parameters:
    ///   - rootDevice: the device of the module's directory.
    ///   - catchUp: told of each chunk that is read again, see `DehydrateStage`.
    init(
        session: StoreSession, baseline: Baseline?, state: ModuleState, rootDevice: UInt64,
        catchUp: @escaping @Sendable (_ bytes: Int) throws -> Void
    ) {
        self.catchUp = catchUp
        builder = TreeBuilder(session: session, rootDevice: rootDevice)
        self.baseline = baseline
        self.state = state
        self.rootDevice = rootDevice
    }

    /// Trees that the store did not have, and their bytes there.
    var new: (trees: UInt64, bytes: UInt64) { (builder.newTrees, builder.newBytes) }

    /// Adds the nodes of the next batch.
    mutating func add(_ fragments: TreeFragments) throws {
        try begin()
        try builder.add(fragments)
    }

    /// Notes that the next batch is as it was.
    mutating func skip(_ batch: SkippedTrees) throws {
        guard let chunk = batch.chunk else { return }
        if isBuilding {
            try addStored(chunk)
        } else if chunk == skipped {
            skipped += 1
        } else {
            throw Failure(.bug, "chunk \(chunk) follows \(skipped) unchanged ones")
        }
    }

    /// Ends the trees and gives the id of the snapshot's root tree.
    mutating func finish(module: String) throws -> Digest {
        if !isBuilding, let baseline, skipped == (try state.list(baseline.key)?.chunks) {
            return baseline.rootTree
        }
        try begin()
        return try builder.finish(module: module)
    }

    /// Makes up for the chunks that were skipped.
    private mutating func begin() throws {
        guard !isBuilding else { return }
        isBuilding = true
        for chunk in 0..<skipped { try addStored(chunk) }
    }

    private func addStored(_ number: Int) throws {
        guard let baseline, let chunk = try state.chunk(baseline.key, number) else {
            throw Failure(.module, "chunk \(number) of the last snapshot's list is gone")
        }
        try catchUp(chunk.lines.count)
        try builder.add(TreeFragments(ListDecoder.units(of: chunk), root: rootDevice))
    }
}
