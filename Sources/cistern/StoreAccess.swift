internal import ContentStore
internal import Dispatcher
internal import Platform

/// The configured store, open and locked for as long as the process works on it.
final class StoreHandle: Sendable {
    /// Seconds after which a long-lived process looks at the store's listings again.
    private static let refreshInterval: Double = 10

    let store: Store
    /// The name under which this process journals what it does.
    let session: String
    private let lock: RepositoryLock
    private let refreshed: Monitor<Double>

    private init(store: Store, program: String = LockFile.cistern) throws(Failure) {
        self.store = store
        session = StoreSession.newName()
        lock = try store.enter(session: session, program: program)
        refreshed = Monitor(monotonicSeconds())
    }

    /// Opens the store of `configuration` and takes a shared lock on it.
    ///
    /// - Parameters:
    ///   - creating: make the store, and its password file, when this is the first use of both
    ///     store and state. A store that the state knows and that is gone is never made anew: it
    ///     is a disk that is not mounted.
    ///   - asked: somebody asked for a new store in so many words.
    static func open(
        _ configuration: Configuration, creating: Bool = false, asked: Bool = false,
        program: String = LockFile.cistern
    ) throws(Failure) -> StoreHandle {
        try StoreScopes.check(configuration)
        // Of the first workers of a fleet one makes the store, and the others wait for it.
        let first = creating ? try StoreAccess.lockFirstUse(configuration) : nil
        defer { withExtendedLifetime(first) {} }
        if creating { try StoreScopes.checkAround(configuration) }
        let password = try StoreAccess.password(configuration, creating: creating)
        let backend = try StoreAccess.backend(configuration, creating: creating)
        // Not asked for where it may not be made anyway: opening it tells that it is gone.
        let mayBeNew = creating && (asked || StoreAccess.mayBeNew(configuration, backend))
        if mayBeNew, try !Store.exists(backend) {
            let source = PasswordSource(configuration)
            try Store.create(on: backend, password: password, cost: source.keyCost)
            Print.note(
                "made a new store at \(backend.location); its password is in \(source): "
                    + "keep a copy elsewhere, without it the store cannot be read")
        }
        let handle = try StoreHandle(
            store: try StoreAccess.open(configuration, backend: backend, password: password),
            program: program)
        if creating {
            do throws(Failure) {
                try handle.store.tidy()
            } catch {
                Print.note("half-written files of killed writers stay: \(error)")
            }
        }
        return handle
    }

    /// As `open`, for commands that only read: when the store itself cannot be opened, the first
    /// mirror that can is read as a repository of its own, with a local index of its own.
    static func openForReading(_ configuration: Configuration) throws(Failure) -> StoreHandle {
        let failure: Failure
        do throws(Failure) {
            return try open(configuration)
        } catch {
            failure = error
        }
        guard failure.kind == .store || failure.kind == .temporary else { throw failure }
        let password = try StoreAccess.password(configuration, creating: false)
        let mirrors = StoreMirrors.reachable(configuration)
        for mirror in mirrors {
            do throws(Failure) {
                let others = mirrors.filter { $0 !== mirror }
                let handle = try StoreHandle(
                    store: try StoreMirrors.store(mirror, others, configuration, password))
                Print.note("reading from the mirror \(mirror.location): \(failure)")
                return handle
            } catch {
                Print.note("the mirror \(mirror.location) cannot be read either: \(error)")
            }
        }
        throw failure
    }

    /// Looks at the store's listings again unless that was done just now.
    func refresh() throws(Failure) {
        let due = refreshed.with { monotonicSeconds() - $0 >= StoreHandle.refreshInterval }
        guard due else { return }
        try store.refresh(session: session)
        refreshed.with { $0 = monotonicSeconds() }
    }

    /// Throws when the lock is lost: others may be deleting then.
    func checkLock() throws(Failure) {
        try lock.check()
    }

    /// A session that writes nothing which relies on packs once the lock is lost.
    func newSession() -> StoreSession {
        StoreSession(
            store: store, confirmLock: { [lock] () throws(Failure) in try lock.check() })
    }

    /// Removes the locks that killed workers of this host left in the store, if there are any:
    /// nobody else comes who would, once the last job is done.
    static func removeAbandonedLocks(_ configuration: Configuration) {
        do throws(Failure) {
            guard try StoreAccess.hasAbandonedLocks(configuration) else { return }
            // Whoever takes a lock removes those of the dead.
            try open(configuration).close()
        } catch {
            Print.note("a lock of a killed worker stays in the store: \(error)")
        }
    }

    /// Gives the store back.
    func close() throws(Failure) {
        try lock.release()
    }

    /// Calls `body` and gives the store back, whatever came of it; the first error is thrown.
    func during<R>(_ body: (StoreHandle) throws -> R) throws -> R {
        try lock.during { try body(self) }
    }
}

/// Where the configured store is and what opens it.
enum StoreAccess {
    /// The file with the store's password, if it comes from one.
    static func passwordFile(_ configuration: Configuration) -> String? {
        if case .file(let path) = PasswordSource(configuration) { path } else { nil }
    }

    /// Makes this process the only one that makes the store; nil when it was made before.
    static func lockFirstUse(_ configuration: Configuration) throws(Failure) -> FileLock? {
        guard !isKnown(configuration) else { return nil }
        do {
            try AtomicFile.makeDirectories(configuration.storeState)
            return try FileLock("\(configuration.storeState)/store.lock", waiting: 60)
        } catch {
            throw Failure(.temporary, "the store cannot be made", cause: "\(error)")
        }
    }

    /// The store's password, made on first use.
    static func password(
        _ configuration: Configuration, creating: Bool
    ) throws(Failure) -> [UInt8] {
        try StoreScopes.check(configuration)
        let source = PasswordSource(configuration)
        guard case .file(let path) = source else { return try source.read() }
        if creating, Path.kind(path) == nil, !isKnown(configuration) {
            do {
                try AtomicFile.makeDirectories(Path.folder(of: path))
            } catch {
                throw Failure(
                    .usage, "password file \(path) cannot be made", cause: error.reason)
            }
            let password = try PasswordFile.create(path)
            CrashPoint.reached("password-file-made")
            return password
        }
        return try source.read()
    }

    /// The backend of the store's URL, whose calls are made again after errors that may pass.
    ///
    /// - Parameter isCached: keep what was read from a network for a while. Not for checks: they
    ///   read again what looks damaged.
    static func backend(
        _ configuration: Configuration, creating: Bool, cached isCached: Bool = true
    ) throws(Failure) -> any Backend {
        try StoreScopes.check(configuration)
        let mayCreate = creating && !isKnown(configuration)
        return try place(
            configuration.store.url, configuration, creating: mayCreate, cached: isCached,
            what: "store",
            hint: isKnown(configuration)
                ? "It was there before: is its disk mounted?"
                : "`cistern store init` makes it")
    }

    /// The store of `configuration` with its mirrors, opened.
    ///
    /// A mirror that is away is told of only when it is needed: what it is to give is missing then.
    static func open(
        _ configuration: Configuration, backend: any Backend, password: [UInt8]
    ) throws(Failure) -> Store {
        try Store(
            backend: backend, mirrors: StoreMirrors.reachable(configuration), password: password,
            stateDirectory: configuration.storeState,
            fallbacks: ReadFallbacks(tell: { Print.note($0) }))
    }

    /// The backend at `url`; `hint` says what to do when a folder is not there.
    static func place(
        _ url: String, _ configuration: Configuration, creating: Bool,
        cached isCached: Bool = false, what: String, hint: String
    ) throws(Failure) -> any Backend {
        let url = try BackendURL.parse(url, in: configuration.folder)
        if !creating, let path = url.localPath, Path.kind(path) == nil {
            throw Failure(.store, "the \(what) \(url) is not there", hint: hint)
        }
        let backend = RetryingBackend(
            try url.open(options(configuration.store.network), creating: creating))
        return url.localPath == nil && isCached
            ? BlockCache(backend, limit: cacheSize) : backend
    }

    /// Bytes of packs that are kept of a store on a network.
    private static let cacheSize = 16 << 20

    static func options(_ settings: NetworkSettings) -> BackendOptions {
        var options = BackendOptions()
        if let connections = settings.connections { options.http.connections = connections }
        options.http.uploadLimit = settings.uploadLimit
        options.http.downloadLimit = settings.downloadLimit
        options.http.caFile = settings.caFile
        options.s3.region = settings.region
        options.s3.profile = settings.profile
        options.s3.pathStyle = settings.pathStyle
        return options
    }

    /// Whether a local index knows of locks whose process is dead.
    static func hasAbandonedLocks(_ configuration: Configuration) throws(Failure) -> Bool {
        guard isKnown(configuration) else { return false }
        let folder = "\(configuration.storeState)/stores"
        let suffix = Array(".sqlite".utf8)
        var ids: [Digest] = []
        do throws(SystemError) {
            try Descriptor.open(folder, [.readOnly, .directory]).readDirectory { name, _ in
                guard name.count == 64 + suffix.count,
                    name.extracting(64...).starts(with: suffix.span),
                    let id = Digest(hex: name.extracting(..<64))
                else { return }
                ids.append(id)
            }
        } catch {
            throw Failure(.module, "\(folder) cannot be read", cause: "\(error)")
        }
        for id in ids {
            let index = try BlobIndex(path: "\(folder)/\(id).sqlite", storeID: "\(id)")
            if try !index.abandonedLocks().isEmpty { return true }
        }
        return false
    }

    /// Whether a store is made at `backend` when there is none, without being asked for.
    ///
    /// Not when this state has worked with a store, unless it is a folder that somebody made: a
    /// bucket without a store says nothing about what its owner wants.
    static func mayBeNew(_ configuration: Configuration, _ backend: any Backend) -> Bool {
        !isKnown(configuration) || backend.isLocal
    }

    /// Whether there is a store at any of its places, for a state that has not worked with it.
    static func isAnywhere(_ configuration: Configuration) throws(Failure) -> Bool {
        for url in [configuration.store.url] + configuration.store.mirrors {
            let location = try BackendURL.parse(url, in: configuration.folder)
            if let path = location.localPath, Path.kind(path) == nil { continue }
            let backend = try place(
                url, configuration, creating: false, what: "store", hint: "Is its disk mounted?")
            if try Store.exists(backend) { return true }
        }
        return false
    }

    /// Whether this state has worked with a store before.
    static func isKnown(_ configuration: Configuration) -> Bool {
        Path.kind("\(configuration.storeState)/stores") != nil
    }
}
