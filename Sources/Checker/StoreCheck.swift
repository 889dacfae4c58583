package import ContentStore
internal import Platform

/// How thorough a check of a store is.
package struct StoreCheckOptions: Sendable {
    /// Read every pack and compare every blob with its id.
    package var readData: Bool
    package var threads: Int

    package init(readData: Bool, threads: Int = processorCount) {
        self.readData = readData
        self.threads = max(1, threads)
    }
}

/// Checks a whole store, Cistern's or restic's: index files, packs, snapshots, trees, and that
/// everything they refer to is there.
///
/// Memory does not grow with blobs and trees.
///
/// What is found damaged is marked in the local index, so that nothing relies on it and the next
/// run of a module stores it again.
package final class StoreCheck {
    let store: Store
    let session: String
    let options: StoreCheckOptions
    let problems: StoreProblems
    let progress: (_ packs: Int, _ bytes: UInt64) -> Void
    var result = StoreCheckResult()

    /// - Parameters:
    ///   - session: the caller's lock on the store has this name.
    ///   - progress: called while packs are read, on the caller's thread.
    ///   - report: called for each problem as it is found, on any thread, one at a time.
    package init(
        store: Store, session: String, options: StoreCheckOptions,
        progress: @escaping (_ packs: Int, _ bytes: UInt64) -> Void = { _, _ in },
        report: @escaping @Sendable (StoreProblem) -> Void
    ) {
        self.store = store
        self.session = session
        self.options = options
        self.progress = progress
        problems = StoreProblems(report)
    }

    /// Runs the check to its end.
    ///
    /// - Throws: `Failure` when the store cannot be reached, not for what is damaged in it.
    package func run() throws -> StoreCheckResult {
        // Snapshots first: what is written while the check runs is then not missed in the index.
        let snapshots = try listed(.snapshot)
        let known = try store.index.knownIndexFiles()
        try refresh()
        let sums = try store.index.sums()
        result.blobs = sums.blobs
        try checkIndexFiles(known: known, sums)
        try checkListing()
        if options.readData { try readPacks(sums) }
        try checkSnapshots(snapshots)
        result.problems = problems.count
        return result
    }

    /// The ids of all objects of a kind.
    func listed(_ kind: ObjectKind) throws(Failure) -> [Digest] {
        var ids: [Digest] = []
        do throws(BackendError) {
            try store.backend.list(kind) { id, _ in ids.append(id) }
        } catch {
            throw error.failure(at: store.backend.location)
        }
        return ids.sorted()
    }

    private func refresh() throws(Failure) {
        let problems = problems
        try store.refresh(session: session) { id, failure in
            problems.add(StoreProblem(.index, id, "\(failure)"))
        }
    }
}
