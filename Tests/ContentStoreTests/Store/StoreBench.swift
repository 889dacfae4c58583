import ContentStore
import Platform
import StoreTestSupport
import TestSupport

/// A store on a backend of the test's choice, with its local state in a folder of its own.
final class StoreBench {
    static let password = Array("a password".utf8)

    let folder: TemporaryFolder
    let backend: any Backend
    private(set) var store: Store

    init(_ backend: any Backend = MemoryBackend()) throws {
        folder = try TemporaryFolder("store")
        self.backend = backend
        try Store.create(
            on: backend, password: StoreBench.password, cost: KeyFile.Cost(n: 2, r: 1, p: 1))
        store = try StoreBench.open(backend, state: folder("state"))
    }

    static func open(_ backend: any Backend, state: String) throws -> Store {
        let store = try Store(backend: backend, password: password, stateDirectory: state)
        try store.refresh(session: StoreSession.newName())
        return store
    }

    /// The store as somebody sees it who has nothing but the backend.
    func stranger() throws -> Store {
        try StoreBench.open(backend, state: folder("stranger-\(UInt64.random(in: .min ... .max))"))
    }

    /// The store opened again, with the local index or without.
    func reopen(forgettingIndex: Bool = false) throws {
        if forgettingIndex { removeTree(folder("state")) }
        store = try StoreBench.open(backend, state: folder("state"))
    }

    /// Stores blobs in a session of their own, index files and all.
    @discardableResult
    func keep(_ blobs: [[UInt8]], compression: Compression = .auto) throws -> [Digest] {
        let session = StoreSession(store: store)
        let sink = BlobSink(session: session, compression: compression)
        let ids = try blobs.map { try sink.store($0.span, .data, batch: 0).id }
        try sink.flush()
        try session.finish()
        return ids
    }
}

/// A backend that lets a test act in the middle of another's calls.
final class HookedBackend: ForwardingBackend {
    let base: MemoryBackend
    private let hooks = Monitor(Hooks())
    /// The times that `removeLeftovers` was asked with.
    let cleaned = Monitor<[Timestamp]>([])

    struct Hooks: Sendable {
        /// Called once after a listing of the kind was taken and before it is given out.
        var afterListing: (kind: ObjectKind, act: @Sendable () -> Void)?
        /// Called before each put; may wait, or throw.
        var beforePut: (@Sendable (ObjectKey) throws(BackendError) -> Void)?
        /// What every read of a pack fails with.
        var readError: BackendError?
    }

    init(_ base: MemoryBackend = MemoryBackend()) { self.base = base }

    func set(_ change: (inout Hooks) -> Void) { hooks.with { change(&$0) } }

    func willCall(_ call: BackendCall, _ key: ObjectKey?) throws(BackendError) {
        guard let key else { return }
        if call == .put, let act = hooks.with({ $0.beforePut }) { try act(key) }
        if call == .read, key.kind == .pack, let error = hooks.with({ $0.readError }) {
            throw error
        }
    }

    func list(
        _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) {
        var found: [(Digest, UInt64)] = []
        try base.list(kind) { found.append(($0, $1)) }
        let hook = hooks.with { hooks -> (@Sendable () -> Void)? in
            guard let hook = hooks.afterListing, hook.kind == kind else { return nil }
            hooks.afterListing = nil
            return hook.act
        }
        hook?()
        for (id, size) in found { try each(id, size) }
    }

    func removeLeftovers(olderThan time: Timestamp) throws(BackendError) -> Int {
        cleaned.with { $0.append(time) }
        return 0
    }
}
