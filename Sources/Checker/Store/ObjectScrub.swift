internal import ContentStore
internal import Platform

/// What reading one object found.
struct ScrubFinding: Sendable {
    /// Nil for what another part of the check judges.
    var result: ScrubResult?
    var bytes: UInt64 = 0
    /// What a pack holds, when it was opened.
    var pack: PackVerdict?
}

/// Reads the objects of one place that are due, on several threads, and keeps what it finds.
///
/// Results are committed every 64 objects or two seconds: that is what a kill costs.
final class ObjectScrub {
    private static let batch = 64
    private static let interval: Double = 2

    let place: any Backend
    let state: ScrubState
    let threads: Int
    private let clock: any WallClock
    /// Whether objects of a kind are read here.
    private let reads: @Sendable (ObjectKind) -> Bool
    private var position = 0
    private var page: ArraySlice<ScrubObject> = []
    private var pending: [ScrubResult] = []
    private var committed = monotonicSeconds()
    private(set) var run = ScrubRun()
    /// Objects that were listed and are not there any more.
    private(set) var gone: [ObjectKey] = []
    private static let goneLimit = 100_000

    init(
        place: any Backend, state: ScrubState, threads: Int?, clock: any WallClock,
        reads: @escaping @Sendable (ObjectKind) -> Bool = { _ in true }
    ) {
        self.place = place
        self.state = state
        self.threads = threads ?? place.readerThreads
        self.clock = clock
        self.reads = reads
    }

    /// Chooses what is read.
    func select(_ selection: ScrubSelection) throws(Failure) {
        (run.dueObjects, run.dueBytes) = try state.select(selection, at: clock.now())
    }

    /// Reads until all is read, or `deadline` on the monotonic clock has passed; may be called
    /// again to go on.
    func read(
        until deadline: Double?,
        makeWorker: @escaping @Sendable () throws -> ((ScrubObject) throws -> ScrubFinding),
        collect: (ScrubFinding) throws -> Void
    ) throws {
        run.isStopped = false
        do {
            try orderedMap(
                threads: threads, window: threads * 4, name: "scrub",
                makeWorker: { _ in
                    let work = try makeWorker()
                    return { _, object in try work(object) }
                },
                next: {
                    try Interruption.check()
                    guard let object = try self.next() else { return nil }
                    if let deadline, monotonicSeconds() >= deadline {
                        self.page.insert(object, at: self.page.startIndex)
                        self.run.isStopped = true
                        return nil
                    }
                    return object
                },
                collect: { _, finding in
                    try self.take(finding)
                    try collect(finding)
                })
        } catch {
            // What was read until then is known, whatever stopped the rest.
            try commit()
            throw error
        }
        try commit()
    }

    private func next() throws(Failure) -> ScrubObject? {
        while true {
            while let object = page.popFirst() {
                if reads(object.key.kind) { return object }
            }
            let next = try state.work(after: position, limit: 1024)
            if next.position == position { return nil }
            position = next.position
            page = next.objects[...]
        }
    }

    private func take(_ finding: ScrubFinding) throws(Failure) {
        guard let result = finding.result else { return }
        run.objects += 1
        run.bytes += finding.bytes
        if result.verdict == .gone, gone.count < ObjectScrub.goneLimit { gone.append(result.key) }
        pending.append(result)
        let now = monotonicSeconds()
        guard pending.count >= ObjectScrub.batch || now - committed >= ObjectScrub.interval
        else { return }
        try commit()
    }

    private func commit() throws(Failure) {
        try state.record(pending, at: clock.now())
        pending.removeAll(keepingCapacity: true)
        committed = monotonicSeconds()
    }
}

/// Checks objects by their names alone: what is stored has to have the SHA-256 that names it.
final class SumWorker {
    private let place: any Backend
    private let sum: ObjectSum

    init(place: any Backend) {
        self.place = place
        sum = ObjectSum(place: place)
    }

    /// Reads one object; one that looks damaged is read twice, since a line may fail too.
    ///
    /// - Throws: `Failure` when the place cannot be reached.
    func check(_ object: ScrubObject) throws(Failure) -> ScrubFinding {
        let first = try once(object)
        guard case .bad = first.verdict else {
            return ScrubFinding(result: first, bytes: object.size)
        }
        place.forgetCached(object.key)
        return ScrubFinding(result: try once(object), bytes: object.size)
    }

    private func once(_ object: ScrubObject) throws(Failure) -> ScrubResult {
        let verdict: ScrubResult.Verdict
        var own: Digest?
        do throws(ObjectProblem) {
            let hash = try sum.sum(object.key, size: object.size)
            own = object.key.kind == .config ? hash : nil
            verdict = SumWorker.verdict(object, hash)
        } catch {
            switch error {
            case .gone: verdict = .gone
            case .damaged(let cause):
                let isGone = try place.failing { place throws(BackendError) in
                    try place.size(object.key) == nil
                }
                verdict = isGone ? .gone : .bad(cause)
            case .unknown(let failure): throw failure
            }
        }
        return ScrubResult(
            object.key, .sum, verdict, sum: verdict == .good ? own : nil)
    }

    /// The config has no name to be compared with, but never changes.
    private static func verdict(_ object: ScrubObject, _ hash: Digest) -> ScrubResult.Verdict {
        if object.size == 0 { return .bad("it is empty") }
        guard let expected = object.key.kind == .config ? object.sum : object.key.id else {
            return .good
        }
        guard hash != expected else { return .good }
        return .bad(
            object.key.kind == .config
                ? "it is not what it was" : "it has SHA-256 \(hash.short)…")
    }
}
