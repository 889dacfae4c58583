internal import ContentStore
internal import Platform

extension StoreCheck {
    /// Reads keys, config and packs that are due, each once, on all threads.
    func readObjects(_ scrub: ObjectScrub, _ sums: PackSums, until deadline: Double?) throws {
        let store = store
        try scrub.read(
            until: deadline,
            makeWorker: {
                let worker = DeepWorker(store: store, place: store.backend, sums: sums)
                return { try worker.check($0) }
            },
            collect: { finding in
                if let result = finding.result { try self.collect(result, finding) }
            })
    }

    private func collect(_ result: ScrubResult, _ finding: ScrubFinding) throws(Failure) {
        guard let verdict = finding.pack else {
            if case .bad(let reason) = result.verdict, !problems.hasNamed(result.key.id) {
                problems.add(
                    StoreProblem(StoreProblem.Kind(result.key.kind), result.key.id, reason))
            }
            return
        }
        add(verdict)
        for message in verdict.problems {
            problems.add(StoreProblem(.pack, verdict.pack.id, message))
        }
        for blob in verdict.bad {
            problems.add(
                StoreProblem(
                    .blob, blob.id,
                    "\(blob.type.word) blob in pack \(verdict.pack.id.short): \(blob.reason)"))
            try store.index.markBad(blob.id, blob.type, in: verdict.pack.id)
        }
        for blob in verdict.good {
            try store.index.markGood(blob.id, blob.type, in: verdict.pack.id)
        }
        progress(self.result.packsRead, self.result.bytesRead)
    }

    private func add(_ verdict: PackVerdict) {
        result.packsRead += 1
        result.blobsRead += verdict.blobs
        result.bytesRead += verdict.bytes
    }
}

/// Checks objects with the key: everything that can be known of them.
final class DeepWorker {
    private let store: Store
    private let place: any Backend
    private let sums: PackSums
    private let packs: PackChecker
    private let names: SumWorker
    private let sealer: Sealer

    init(store: Store, place: any Backend, sums: PackSums) {
        self.store = store
        self.place = place
        self.sums = sums
        packs = PackChecker(store: store, place: place)
        names = SumWorker(place: place)
        sealer = Sealer(key: store.key)
    }

    /// Reads one object.
    ///
    /// - Throws: `Failure` when the place cannot be reached.
    func check(_ object: ScrubObject) throws(Failure) -> ScrubFinding {
        switch object.key.kind {
        case .pack: return try pack(object)
        case .config: return try opened(object)
        case .key, .lock: return try named(object)
        case .index, .snapshot: return try opened(object)
        }
    }

    /// A good name is all that there is to know.
    private func named(_ object: ScrubObject) throws(Failure) -> ScrubFinding {
        var finding = try names.check(object)
        finding.result?.level = .deep
        return finding
    }

    /// Small objects: their name, and that they open.
    private func opened(_ object: ScrubObject) throws(Failure) -> ScrubFinding {
        var object = object
        // The code says more of a config than what it was before.
        object.sum = nil
        var finding = try named(object)
        guard finding.result?.verdict == .good else { return finding }
        do {
            let bytes = try place.get(object.key, limit: IndexFile.storedLimit)
            switch object.key.kind {
            case .index:
                try IndexFile.read(bytes.span, expected: object.key.id, sealer: sealer) { _, _ in }
            case .snapshot:
                _ = try Snapshot.decode(
                    try UnpackedFile.open(bytes.span, expected: object.key.id, sealer: sealer))
            default:
                var plain: [UInt8] = []
                try sealer.open(bytes.span, into: &plain)
                guard try RepositoryConfig.decode(plain).id == store.id else {
                    throw Failure(.store, "it is another repository's")
                }
            }
        } catch BackendError.missing {
            finding.result?.verdict = .gone
        } catch {
            let failure =
                (error as? BackendError)?.failure(at: place.location)
                ?? Failure(.store, "\(object.key)", wrapping: error)
            guard failure.kind == .store else { throw failure }
            finding.result?.verdict = .bad("\(failure)")
        }
        return finding
    }

    private func pack(_ object: ScrubObject) throws(Failure) -> ScrubFinding {
        guard let id = object.key.id else { return ScrubFinding() }
        let indexed = try store.index.pack(id)
        if let indexed, indexed.size != object.size {
            // Told by the comparison with the listing; no reader takes anything from it.
            let reason = "has \(object.size) bytes in place of \(indexed.size)"
            return ScrubFinding(result: ScrubResult(object.key, .deep, .bad(reason)))
        }
        // Nothing refers to it yet: what it is named for is all that there is to know.
        guard let pack = indexed else { return try named(object) }
        let expected = sums[pack.number]
        let wasBad = sums.hasBad(pack.number)
        let first = try packs.check(pack, expected: expected, wasBad: wasBad)
        if first.isGood { return try cleared(object, finding(object, first)) }
        if try isGone(object.key) {
            return ScrubFinding(result: ScrubResult(object.key, .deep, .gone))
        }
        // A line may fail too: what looks damaged is read twice.
        place.forgetCached(object.key)
        return finding(object, try packs.check(pack, expected: expected, wasBad: wasBad))
    }

    /// What is known to be damaged has to have the right name too: that may be what was wrong.
    private func cleared(
        _ object: ScrubObject, _ finding: ScrubFinding
    ) throws(Failure) -> ScrubFinding {
        guard object.badReason != nil else { return finding }
        let name = try named(object)
        return name.result?.verdict == .good ? finding : name
    }

    private func finding(_ object: ScrubObject, _ verdict: PackVerdict) -> ScrubFinding {
        let result = ScrubResult(
            object.key, .deep, verdict.isGood ? .good : .bad(verdict.reason))
        return ScrubFinding(result: result, bytes: verdict.bytes, pack: verdict)
    }

    private func isGone(_ key: ObjectKey) throws(Failure) -> Bool {
        try place.failing { place throws(BackendError) in try place.size(key) == nil }
    }
}
