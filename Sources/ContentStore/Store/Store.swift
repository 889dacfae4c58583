package import Platform

/// An open store: a restic repository on a backend, its key, and the local index of its blobs.
///
/// Opening reads the key and the configuration only. `refresh` brings the index up to date;
/// `StoreSession` writes; `BlobReader` reads. Usable from any thread.
package final class Store: Sendable {
    /// The place that is written to, and that checks are about.
    package let backend: any Backend
    /// Further places with the same objects, as far as they were copied; only read.
    package let mirrors: [any Backend]
    /// What was read from mirrors.
    package let fallbacks: ReadFallbacks
    package let key: MasterKey
    package let configuration: RepositoryConfig
    package let index: BlobIndex
    /// The folder of local state.
    package let stateDirectory: String
    /// Where spool files of blobs that are too large for memory go.
    package let spoolDirectory: String
    /// Cuts content in this store's own way, so that chunk sizes do not tell what is stored.
    package let chunker: Chunker
    /// Who this process is to others: in its locks.
    package let holder: LockHolder
    package let clock: any WallClock
    /// What `proveKey` has yet to prove.
    let keptKey: Monitor<KeptKey?>
    /// Reads packs ahead of those who need them.
    let fetcher: RangeFetcher

    /// Ranges that are read ahead at the same time from a network: with the usual number of
    /// connections some are left for what is waited for.
    private static let fetchThreads = 6

    /// The repository's id: 64 hexadecimal digits.
    package var id: Digest { configuration.id }

    /// All places that have the store's objects, the primary one first.
    package var copies: [any Backend] { [backend] + mirrors }

    /// Opens the repository on `backend`.
    ///
    /// - Parameters:
    ///   - mirrors: where to read what `backend` cannot give.
    ///   - stateDirectory: the folder of local state; the index is `stores/<id>.sqlite` in it.
    ///   - holder: who this process is, if not itself: tests play several hosts.
    /// - Throws: `Failure` naming the location: no repository there, a wrong password, an
    ///   unreadable key or configuration.
    package init(
        backend: any Backend, mirrors: [any Backend] = [], password: [UInt8],
        stateDirectory: String, clock: any WallClock = SystemClock(),
        holder: LockHolder = .current, fallbacks: ReadFallbacks = ReadFallbacks()
    ) throws(Failure) {
        self.backend = backend
        self.mirrors = mirrors
        self.fallbacks = fallbacks
        self.holder = holder
        self.clock = clock
        let opened = try Store.open(
            backend, mirrors: mirrors, password, stateDirectory, fallbacks)
        key = opened.key
        configuration = opened.configuration
        keptKey = Monitor(opened.kept)
        fetcher = RangeFetcher(backend, threads: backend.isLocal ? 0 : Store.fetchThreads)
        let seed = Array("cistern chunker 1".utf8) + key.bytes
        chunker = Chunker(key: SHA256Hasher.hash(seed.span).bytes)
        self.stateDirectory = stateDirectory
        let folder = "\(stateDirectory)/stores"
        spoolDirectory = "\(stateDirectory)/spool"
        do {
            try AtomicFile.makeDirectories(folder)
            try AtomicFile.makeDirectories(spoolDirectory)
        } catch {
            throw Failure(.module, "the state folder cannot be made", cause: "\(error)")
        }
        index = try BlobIndex(
            path: "\(folder)/\(configuration.id).sqlite", storeID: configuration.id.description)
    }

    /// Whether there is a repository on `backend`.
    package static func exists(_ backend: any Backend) throws(Failure) -> Bool {
        do {
            return try backend.size(ObjectKey.config) != nil
        } catch {
            throw Failure(
                .store, "the store \(backend.location) cannot be reached", wrapping: error,
                at: backend.location)
        }
    }

    /// Makes a new repository: key first, configuration last, because its presence is what makes
    /// the place a repository.
    ///
    /// - Throws: `Failure` of class usage when there is one already, and of class store when there
    ///   is the content of one whose configuration is lost.
    package static func create(
        on backend: any Backend, password: [UInt8], cost: KeyFile.Cost = .standard,
        clock: any WallClock = SystemClock()
    ) throws(Failure) {
        guard try !exists(backend) else {
            throw Failure(.usage, "there is a store at \(backend.location) already")
        }
        guard try !hasContent(backend) else {
            throw Failure(
                .store, "the configuration of the store at \(backend.location) is gone",
                cause: "there are snapshots, index files or packs without it",
                hint: "No store is made in their place: `cistern store check --repair` takes the "
                    + "configuration from a mirror.")
        }
        do {
            let master: MasterKey
            if let begun = try keyOfUnfinished(backend, password) {
                master = begun
            } else {
                master = MasterKey.random()
                let file = try KeyFile.create(
                    master, password: password, cost: cost, created: clock.now(),
                    host: ProcessIdentity.hostName, user: "cistern")
                try backend.put(ObjectKey(.key, file.name), file.bytes.span)
                CrashPoint.reached("store-key-put")
                // Looked at once more: where "not there" was an error of the moment, nothing may
                // be written over a store that is there. A listing may lag and lack the new key.
                var others = false
                try backend.list(.key) { id, _ in others = others || id != file.name }
                let size = try backend.size(ObjectKey(.key, file.name))
                guard !others, size == UInt64(file.bytes.count) else {
                    throw Failure(
                        .temporary, "what \(backend.location) says cannot be relied on",
                        cause: others
                            ? "it did not have keys that it has now"
                            : "it does not have the key that it has just taken",
                        hint: "Run again.")
                }
            }
            guard try !exists(backend) else {
                throw Failure(.usage, "there is a store at \(backend.location) already")
            }
            var sealed: [UInt8] = []
            let json = RepositoryConfig.random().encode()
            Sealer(key: master).seal(json.span, into: &sealed)
            try backend.put(ObjectKey.config, sealed.span)
            CrashPoint.reached("store-config-put")
        } catch {
            throw Failure(
                .store, "no store could be made at \(backend.location)", wrapping: error,
                at: backend.location)
        }
    }

    /// Whether there is what is only ever written once the configuration is there.
    private static func hasContent(_ backend: any Backend) throws(Failure) -> Bool {
        var isEmpty = true
        try backend.failing { backend throws(BackendError) in
            for kind in [ObjectKind.snapshot, .index, .pack] where isEmpty {
                try backend.list(kind) { _, _ in isEmpty = false }
            }
        }
        return !isEmpty
    }

    /// The key that an attempt left which was cut off before the configuration.
    ///
    /// With a second key for the same password only one of the two would fit the configuration,
    /// and whoever opens the store takes the first that the password opens.
    private static func keyOfUnfinished(
        _ backend: any Backend, _ password: [UInt8]
    ) throws -> MasterKey? {
        var isEmpty = true
        try backend.list(.key) { _, _ in isEmpty = false }
        if isEmpty { return nil }
        do throws(Failure) {
            return try unlock(backend, password)
        } catch {
            if error.kind == .temporary { throw error }
            throw Failure(
                .usage, "there are keys at \(backend.location), and no configuration",
                cause: error.cause ?? error.message,
                hint: "A store was here or was begun with another password: name its password "
                    + "file, or another place")
        }
    }

    // MARK: Bringing the index up to date

    /// Brings the local index up to date from the store: new and gone index files, the listing
    /// of the packs, and the packs that a crashed writer of this host left.
    ///
    /// - Parameters:
    ///   - listing: what the store has, when it was listed just now.
    ///   - unreadable: takes index files that are damaged; without it the first one is an error.
    /// - Returns: how many packs that the index names are missing or have a wrong size.
    @discardableResult
    package func refresh(
        session: String, listing: StoreListing? = nil,
        unreadable: ((Digest, Failure) -> Void)? = nil
    ) throws(Failure) -> Int {
        do {
            try proveKey()
            try syncIndexFiles(listing, unreadable: unreadable)
            try adoptAbandonedPacks(session: session)
            var packs = listing?.packs
            return try index.updatePresence(
                list: { each in
                    var failed: Failure?
                    func take(_ id: Digest, _ size: UInt64) {
                        guard failed == nil else { return }
                        do throws(Failure) { try each(id, size) } catch { failed = error }
                    }
                    if let listed = packs.take() {
                        for pack in listed { take(pack.id, pack.size) }
                    } else {
                        try backend.list(.pack) { id, size in take(id, size) }
                    }
                    if let failed { throw failed }
                },
                confirm: { id in try backend.size(ObjectKey(.pack, id)) })
        } catch {
            throw Failure(
                .store, "the index of the store \(backend.location) cannot be read",
                wrapping: error, at: backend.location)
        }
    }

    /// Seconds to wait for another process of this host that brings the index up to date.
    private static let syncWait: Double = 3600

    /// Takes in new index files and drops those that are gone: one request when there are none.
    ///
    /// One process of a host at a time: a listing that is older than another's must not bring back
    /// what that one has dropped.
    package func syncIndexFiles(
        _ listing: StoreListing? = nil, unreadable: ((Digest, Failure) -> Void)? = nil
    ) throws(Failure) {
        do {
            let turn = try FileLock("\(index.path).sync", waiting: Store.syncWait)
            defer { withExtendedLifetime(turn) {} }
            let known = try index.knownIndexFiles()
            var listed = Set<Digest>()
            if let listing {
                listed = listing.indexFiles
            } else {
                try backend.list(.index) { id, _ in listed.insert(id) }
            }
            // What another process has taken in since the listing is not gone.
            var gone = (listing?.known ?? known).subtracting(listed)
            try gone.subtract(unlisted(gone, .index))
            let sealer = Sealer(key: key)
            // What a new copy finds there is not new to the store.
            let seen = known.isEmpty ? 0 : clock.now().seconds
            for file in listed.subtracting(known).sorted() {
                do {
                    try load(indexFile: file, sealer, seen: seen)
                } catch let failure as Failure {
                    guard let unreadable, failure.kind == .store else { throw failure }
                    unreadable(file, failure)
                } catch let error as BackendError {
                    let failure = error.failure(at: backend.location)
                    guard let unreadable, failure.kind == .store else { throw failure }
                    unreadable(file, failure)
                }
            }
            try index.removeIndexFiles(gone.sorted())
        } catch {
            throw Failure(
                .store, "the index files of \(backend.location) cannot be read", wrapping: error)
        }
    }

    /// Those of `gone`, which were in the store and are not in its listing, that are there all the
    /// same: on some stores a listing lags behind.
    ///
    /// Beyond a number that no lag explains the listing is believed.
    func unlisted(
        _ gone: some Collection<Digest>, _ kind: ObjectKind
    ) throws(BackendError) -> [Digest] {
        guard gone.count <= Store.confirmedObjects else { return [] }
        var there: [Digest] = []
        for id in gone where try backend.size(ObjectKey(kind, id)) != nil { there.append(id) }
        return there
    }

    /// How many objects that a listing lacks are asked for one by one.
    static let confirmedObjects = 1000

    /// Removes what writers that were killed more than a day ago left half written, once a day.
    ///
    /// For those who write: a store that is only read is left as it is.
    package func tidy() throws(Failure) {
        let now = clock.now()
        guard try now.seconds - index.tidied() >= Store.tidyInterval else { return }
        // Before it is tried: what fails once a day is told once a day.
        try index.setTidied(now.seconds)
        do {
            try backend.removeLeftovers(
                olderThan: Timestamp(seconds: now.seconds - Store.tidyInterval))
        } catch {
            throw error.failure(at: backend.location)
        }
    }

    private static let tidyInterval: Int64 = 86400

    /// A whole object that is named by its bytes, from the store or, when it is damaged or the
    /// place is away, from the first mirror that has it good.
    ///
    /// - Throws: the store's own error; `.missing` at once, because mirrors keep for a while what
    ///   was removed.
    package func get(_ key: ObjectKey, limit: Int) throws(BackendError) -> [UInt8] {
        func isGood(_ bytes: [UInt8]) -> Bool { SHA256Hasher.hash(bytes.span) == key.id }
        let own: Result<[UInt8], BackendError>
        do throws(BackendError) {
            own = .success(try backend.get(key, limit: limit))
        } catch {
            own = .failure(error)
        }
        var cause = "its SHA-256 is not its name"
        switch own {
        case .success(let bytes):
            // Without mirrors the reader finds out by itself.
            if mirrors.isEmpty || isGood(bytes) { return bytes }
        case .failure(.missing):
            throw .missing(key)
        case .failure(let error):
            cause = error.failure(at: location).description
        }
        for mirror in mirrors {
            guard let bytes = try? mirror.get(key, limit: limit), isGood(bytes) else { continue }
            fallbacks.note("\(key)", bytes.count, from: mirror, because: cause)
            return bytes
        }
        return try own.get()
    }

    private var location: String { backend.location }

    private func load(indexFile id: Digest, _ sealer: Sealer, seen: Int64) throws {
        let bytes: [UInt8]
        do {
            bytes = try get(ObjectKey(.index, id), limit: Store.indexFileLimit)
        } catch BackendError.missing {
            // Replaced by another writer's since the listing: the next refresh sees the new one.
            return
        }
        try index.addIndexFile(id, seen: seen) { each, marked in
            let bytes = bytes
            try IndexFile.read(
                bytes.span, expected: id, sealer: sealer, each: each, marked: marked)
        }
    }

    /// What a crashed session journalled and perhaps uploaded: what arrived whole counts, the
    /// rest is forgotten and will be uploaded by whoever needs it.
    private func adoptAbandonedPacks(session: String) throws {
        for pack in try index.abandonedPacks(session: session) {
            if try backend.size(ObjectKey(.pack, pack.id)) == pack.size {
                let entries = try index.journalledEntries(pack.id)
                try index.markUploaded(pack.id, entries: entries)
            } else {
                try index.dropJournalled(pack.id)
            }
        }
    }

    /// The largest index file that is read: 50,000 blobs take 8 MB, other tools write larger ones.
    static let indexFileLimit = 512 << 20
}
