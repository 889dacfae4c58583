package import Platform

/// The kinds of objects that a repository has.
package enum ObjectKind: String, Sendable, Hashable, CaseIterable {
    case config, key, pack, index, snapshot, lock

    /// The folder of the kind below the repository's root; empty for the config, a file of the
    /// root.
    package var folder: String {
        switch self {
        case .config: ""
        case .key: "keys"
        case .pack: "data"
        case .index: "index"
        case .snapshot: "snapshots"
        case .lock: "locks"
        }
    }
}

/// The name of one object.
package struct ObjectKey: Sendable, Hashable, CustomStringConvertible {
    /// What the object is.
    package let kind: ObjectKind
    /// The SHA-256 of the stored bytes; nil for the config alone.
    package let id: Digest?

    /// Names the object of `kind` whose stored bytes have the SHA-256 `id`.
    package init(_ kind: ObjectKind, _ id: Digest) {
        self.kind = kind
        self.id = kind == .config ? nil : id
    }

    private init() {
        kind = .config
        id = nil
    }

    /// The repository's config.
    package static let config = ObjectKey()

    /// Where the object is below the root: `data/ab/ab12…`.
    package var path: String {
        guard let id else { return "config" }
        let name = id.description
        guard kind == .pack else { return "\(kind.folder)/\(name)" }
        return "\(kind.folder)/\(name.prefix(2))/\(name)"
    }

    package var description: String { path }
}

/// Where the objects of a repository are kept.
///
/// Objects are named by the SHA-256 of their bytes and never change, but for the config, which is
/// written once. Every call may be made from any thread and blocks until it is done.
///
/// - Errors: `BackendError`. After `.temporary` the same call may be made again, with waiting in
///   between, and does no harm: an implementation never retries by itself, a layer above does,
///   so that attempts and time have one bound. After `.permanent`, `.refused`, `.damaged`,
///   `.exists` and `.missing` a retry gives the same result.
/// - Lost responses: a call that threw `.temporary` may have taken effect. `put` and `remove` are
///   idempotent for this reason.
/// - Durability: when `put` returns, the object survives a crash of the machine. `remove` need not
///   be durable: an object that comes back is harmless.
/// - Visibility: an object is seen whole or not at all, by other processes too. A listing may lack
///   what was written by others while it ran, and on some stores what was written just before.
package protocol Backend: AnyObject, Sendable {
    /// The place, for people: `file:/srv/store`. Without secrets.
    var location: String { get }

    /// The place as one that keeps older versions of objects; nil when it keeps none, or cannot
    /// tell.
    var versioned: (any VersionedBackend)? { get }

    /// Stores `bytes` under `key`, durably.
    ///
    /// An object that is there already is replaced (its name says that it has to have these bytes,
    /// and this is how a damaged one is mended), but for the config: the same bytes again are a
    /// success, others throw `.exists`.
    func put(_ key: ObjectKey, _ bytes: Span<UInt8>) throws(BackendError)

    /// Stores the first `size` bytes of an open file under `key`, as `put` does, for objects that
    /// do not fit in memory.
    func put(
        _ key: ObjectKey, from file: borrowing Descriptor, size: UInt64
    ) throws(BackendError)

    /// The whole object of at most `limit` bytes. Throws `.missing` when it is not there and
    /// `.damaged` when it is longer.
    func get(_ key: ObjectKey, limit: Int) throws(BackendError) -> [UInt8]

    /// Appends the bytes `range` of an object to `output`. Throws `.missing` when it is not there
    /// and `.damaged` when it ends before the range does; `output` is then as it was.
    func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError)

    /// The object's length, or nil when it is not there.
    func size(_ key: ObjectKey) throws(BackendError) -> UInt64?

    /// Calls `each` for every object of `kind`, at most once, in no order. Names that are no
    /// object's are passed over. The config is listed without being named: ask for its size.
    func list(
        _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError)

    /// Calls `each` for every object of all kinds but snapshots, as `list` does for one kind, where
    /// one listing for all takes fewer requests.
    ///
    /// - Returns: false where it does not: what was listed then is not all.
    func listTogether(
        _ each: (_ key: ObjectKey, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) -> Bool

    /// Removes an object; one that is not there is a success.
    func remove(_ key: ObjectKey) throws(BackendError)

    /// Removes several objects, in as few requests as the place allows.
    ///
    /// After an error some of them may be removed and others not.
    func remove(_ keys: [ObjectKey]) throws(BackendError)

    /// Removes what killed writers left half written and nobody has touched since `time`; a younger
    /// one may be somebody's who writes now.
    ///
    /// - Returns: how many were removed.
    @discardableResult
    func removeLeftovers(olderThan time: Timestamp) throws(BackendError) -> Int
}

extension Backend {
    package var versioned: (any VersionedBackend)? { self as? any VersionedBackend }

    /// Of places with a folder for each kind.
    package func listTogether(
        _ each: (_ key: ObjectKey, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) -> Bool { false }

    /// One after the other, for places that cannot do better.
    package func remove(_ keys: [ObjectKey]) throws(BackendError) {
        for key in keys { try remove(key) }
    }
}
