package import ContentStore
package import Platform

/// Mends a store: the same object from another place; the content from wherever it is still good,
/// into new packs; and then takes what is damaged out of use.
///
/// New good copies come first, are durable, in the index and read back, before anything goes. What
/// goes is kept in the quarantine. What nobody has stays where it is. A kill anywhere leaves the
/// store no worse than it was, and the next repair goes on.
package final class StoreRepair {
    /// Rounds of reading trees that the round before has brought back.
    private static let rounds = 8

    let store: Store
    let session: StoreSession
    let name: String
    let places: [StorePlace]
    let options: StoreRepairOptions
    let copies: ObjectCopies
    let quarantine: StoreQuarantine
    let opener: BlobOpener
    let sink: BlobSink
    var result = StoreRepairResult()
    private var misplaced = MisplacedObjects()
    private let report: (StoreRepairEvent) -> Void

    var primary: StorePlace { places[0] }

    /// - Parameters:
    ///   - session: new packs go through it; the caller holds a shared lock, which it confirms.
    ///   - name: the name of the caller's lock.
    ///   - places: the store's first place, then its mirrors, each with what a check found there.
    ///   - report: called for each step.
    package init(
        store: Store, session: StoreSession, name: String, places: [StorePlace],
        options: StoreRepairOptions, report: @escaping (StoreRepairEvent) -> Void
    ) throws(Failure) {
        guard !places.isEmpty else { throw Failure(.bug, "a store without a place") }
        self.store = store
        self.session = session
        self.name = name
        self.places = places
        self.options = options
        self.report = report
        copies = ObjectCopies(spoolDirectory: store.spoolDirectory)
        quarantine = StoreQuarantine(stateDirectory: store.stateDirectory, clock: store.clock)
        opener = BlobOpener(store: store)
        sink = BlobSink(session: session)
    }

    /// Mends what the checks of the places found.
    ///
    /// - Throws: `Failure` when a place cannot be used; what was mended until then stays mended.
    package func run() throws -> StoreRepairResult {
        // Nothing of another repository is known to be good here: all of it would be taken out.
        for place in places.dropFirst() {
            try PlaceProver(key: store.key).refuseForeign(place.backend)
        }
        misplaced = try MisplacedObjects(places: places, copies: copies)
        for index in places.indices { try copyObjects(to: index) }
        try restoreVanished()
        try refresh()
        try rebuildIndex()
        let packs = try damagedPacks()
        let leaving = Set(packs)
        try inParts(packs) { try salvage($0, try entries(of: $0), leaving) }
        for _ in 0..<StoreRepair.rounds {
            guard try storeMissing(otherThan: leaving) else { break }
        }
        if !options.dryRun {
            try session.finish()
            CrashPoint.reached("repair-stored")
            try refresh()
        }
        try inParts(packs) { try retire($0, try entries(of: $0), leaving) }
        for index in places.indices.dropFirst() { try followRetired(at: index) }
        return result
    }

    /// Packs whose entries are in memory together.
    private static let part = 64

    private func inParts(_ packs: [Digest], _ body: ([Digest]) throws -> Void) throws {
        var rest = packs[...]
        while !rest.isEmpty {
            try body(Array(rest.prefix(StoreRepair.part)))
            rest = rest.dropFirst(StoreRepair.part)
        }
    }

    func refresh() throws(Failure) {
        try store.refresh(session: name) { _, _ in }
    }

    func tell(
        _ action: StoreRepairEvent.Action, _ key: ObjectKey, at place: any Backend,
        from: String? = nil, _ message: String
    ) {
        switch action {
        case .copied: result.copied += 1
        case .reindexed: result.reindexed += 1
        case .stored: break
        case .retired: result.retired += 1
        case .left: result.left += 1
        }
        report(
            StoreRepairEvent(
                action: action, key: key, place: place.location, from: from, message: message,
                isPlan: options.dryRun))
    }

    // MARK: The same object from another place

    private func copyObjects(to index: Int) throws {
        let place = places[index]
        for damage in try place.state.knownDamage() where damage.key != .config {
            try Interruption.check()
            // Written wrong rather than rotted: every place has the same bytes.
            if try copies.isGood(damage.key, at: place.backend) {
                if damage.level < .deep || damage.key.kind == .key {
                    try recordGood(damage.key, at: place)
                }
                continue
            }
            if damage.isGone, index > 0 { continue }
            if damage.isGone, !options.restoresRemoved, isRemovable(damage.key.kind) {
                if try !restoreMisplaced(damage.key, at: index) { tellGone(damage.key) }
                continue
            }
            if try copy(damage.key, to: index) { continue }
            if try !restoreMisplaced(damage.key, at: index) { try removeStray(damage, at: index) }
        }
    }

    /// Puts an object back that lies under another one's name.
    ///
    /// What lies in its own place may be the other one: that is kept first.
    private func restoreMisplaced(_ key: ObjectKey, at index: Int) throws(Failure) -> Bool {
        let place = places[index]
        guard let found = misplaced.place(of: key),
            let object = try copies.fetch(key, as: found.name, from: places[found.place].backend)
        else { return false }
        let other = misplaced.object(in: key, at: index)
        var otherObject: SpooledObject?
        if let other { otherObject = try copies.fetch(other, as: key, from: place.backend) }
        if !options.dryRun {
            try quarantine.keep(key, at: place.backend, reason: "it lay under a wrong name")
            try copies.put(key, object, to: place.backend)
            try recordGood(key, at: place)
        }
        tell(.copied, key, at: place.backend, "\(key) from \(found.name)")
        if let other, let otherObject, try !copies.isGood(other, at: place.backend) {
            if !options.dryRun {
                try quarantine.keep(other, at: place.backend, reason: "it lay under a wrong name")
                try copies.put(other, otherObject, to: place.backend)
                try recordGood(other, at: place)
            }
            tell(.copied, other, at: place.backend, "\(other) from \(key)")
        }
        return true
    }

    /// Takes a name away that was never good, and under which another, good object lies.
    private func removeStray(_ damage: KnownDamage, at index: Int) throws(Failure) {
        let place = places[index]
        guard !damage.wasGood, !damage.isGone,
            let other = misplaced.object(in: damage.key, at: index),
            try copies.isGood(other, at: place.backend)
        else {
            if damage.key.kind == .key || damage.key.kind == .snapshot {
                tell(.left, damage.key, at: place.backend, "nobody has a good copy")
            }
            return
        }
        if damage.key.kind == .pack, let id = damage.key.id, try store.index.pack(id) != nil {
            return
        }
        if !options.dryRun {
            try remove(damage.key, at: place, reason: "a copy of \(other) under a wrong name")
        }
        tell(.retired, damage.key, at: place.backend, "a copy of \(other) under a wrong name")
    }

    @discardableResult
    func copy(_ key: ObjectKey, to index: Int) throws(Failure) -> Bool {
        let target = places[index]
        for (other, source) in places.enumerated() where other != index {
            let fetched: SpooledObject?
            do throws(Failure) {
                fetched = try copies.fetch(key, from: source.backend)
            } catch {
                // A place that is away has nothing to give now; another one may.
                continue
            }
            guard let fetched else { continue }
            if !options.dryRun {
                try copies.put(key, fetched, to: target.backend)
                try recordGood(key, at: target)
                CrashPoint.reached("repair-copied")
            }
            tell(
                .copied, key, at: target.backend, from: source.backend.location,
                "\(key) from \(source.backend.location)")
            return true
        }
        return false
    }

    /// Notes that an object is as its name says again, and for packs that all blobs are.
    func recordGood(_ key: ObjectKey, at place: StorePlace) throws(Failure) {
        guard !options.dryRun else { return }
        let size = try place.backend.failing { backend throws(BackendError) in
            try backend.size(key)
        }
        var level = ScrubLevel.deep
        if key.kind == .pack, let id = key.id, let size {
            let listed = try store.index.pack(id)
            let entries = try listed.map { pack throws(Failure) in
                try store.index.entries(ofPack: pack.number)
            }
            let checker = PackChecker(store: store, place: place.backend)
            let verdict = try checker.check(
                listed ?? IndexedPack(number: 0, id: id, size: size, present: true),
                expected: entries.map { PackSums.Sum($0) }, wasBad: true)
            // Of a pack in no index file nobody expects more than that it is what its name says.
            guard verdict.isGood || listed == nil else { return }
            if !verdict.isGood { level = .sum }
            if place.backend === primary.backend, listed != nil {
                for blob in verdict.good {
                    try store.index.markGood(blob.id, blob.type, in: id)
                }
            }
        }
        if let size { try place.state.markReturned(key, size: size) }
        try place.state.record([ScrubResult(key, level, .good)], at: store.clock.now())
    }

    // MARK: Content from elsewhere

    /// Packs of the first place that are damaged or missing, and could not be copied.
    private func damagedPacks() throws(Failure) -> [Digest] {
        var packs: [Digest] = []
        for damage in try primary.state.knownDamage() where damage.key.kind == .pack {
            if let id = damage.key.id { packs.append(id) }
        }
        guard options.dryRun else { return packs }
        var left: [Digest] = []
        for id in packs where try !hasCopy(id) { left.append(id) }
        return left
    }

    /// Whether another place could give the pack back.
    private func hasCopy(_ pack: Digest) throws(Failure) -> Bool {
        for place in places.dropFirst() {
            if try copies.isGood(ObjectKey(.pack, pack), at: place.backend) { return true }
        }
        return false
    }

    /// What damaged packs hold, by the index and by their own headers.
    private func entries(of packs: [Digest]) throws(Failure) -> [Digest: [PackEntry]] {
        var numbers: [Int: Digest] = [:]
        for id in packs {
            if let pack = try store.index.pack(id) { numbers[pack.number] = id }
        }
        var result: [Digest: [PackEntry]] = [:]
        for (number, entries) in try store.index.entries(ofPacks: Set(numbers.keys)) {
            if let id = numbers[number] { result[id] = entries }
        }
        for id in packs {
            for place in places {
                guard let header = try opener.header(of: id, at: place.backend) else { continue }
                let listed = Set(result[id] ?? [])
                result[id, default: []] += header.filter { !listed.contains($0) }
                break
            }
        }
        return result
    }
}
