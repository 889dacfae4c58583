package import Platform

/// A key file of a store, as it is listed.
package struct StoredKey: Sendable, Equatable {
    package var id: Digest
    /// What it says of itself; nil when it is damaged.
    package var label: KeyFile.Label?
    /// Whether it is the one that the password in use opens.
    package var isCurrent: Bool
    /// Why it opens for nobody.
    package var damage: String?
}

/// The key files of a store: the same master key under several passwords.
///
/// Adding one needs a shared lock on the store, removing one an exclusive lock, as in restic.
package struct StoreKeys: Sendable {
    let backend: any Backend
    /// Further places that have the store's objects: keys are removed there too.
    let mirrors: [any Backend]
    let master: MasterKey
    private let index: BlobIndex
    /// The key file that the password in use opens; it is never removed.
    package let current: Digest

    private static let lossHint = "Use another one, or a copy from a mirror."

    /// The key files of an open store.
    ///
    /// - Parameter password: the one in use.
    /// - Throws: a `usage` failure when no key file opens with it.
    package init(
        of store: Store, password: [UInt8]
    ) throws(Failure) {
        backend = store.backend
        mirrors = store.mirrors
        index = store.index
        master = store.key
        guard let found = try StoreKeys.find(store.backend, store.key, password) else {
            throw Failure(
                .usage, "no key of the store \(store.backend.location) opens with this password",
                hint: "Was it changed just now? Run again.")
        }
        current = found
    }

    /// The key files, the oldest first.
    package func list() throws(Failure) -> [StoredKey] {
        var keys: [StoredKey] = []
        for id in try StoreKeys.names(backend) {
            guard let read = try StoreKeys.read(backend, id) else { continue }
            var key = StoredKey(id: id, isCurrent: id == current)
            switch read {
            case .success(let bytes):
                do throws(Failure) {
                    key.label = try KeyFile.label(bytes)
                } catch {
                    key.damage = error.cause ?? error.message
                }
            case .failure(let failure): key.damage = failure.cause ?? failure.message
            }
            keys.append(key)
        }
        return keys.sorted { a, b in
            (a.label?.created?.nanosecondsSinceEpoch ?? .max, a.id)
                < (b.label?.created?.nanosecondsSinceEpoch ?? .max, b.id)
        }
    }

    /// The key file that `password` opens, if there is one.
    package func find(_ password: [UInt8]) throws(Failure) -> Digest? {
        try StoreKeys.find(backend, master, password)
    }

    /// Adds a key file for `password` and opens it again from the store, to be sure of it.
    ///
    /// - Throws: a `usage` failure when a key file opens with this password already.
    @discardableResult
    package func add(
        _ password: [UInt8], cost: KeyFile.Cost, created: Timestamp, host: String, user: String
    ) throws(Failure) -> Digest {
        if let found = try find(password) {
            throw Failure(.usage, "key \(found.short) has this password already")
        }
        let file = try KeyFile.create(
            master, password: password, cost: cost, created: created, host: host, user: user)
        let failed = "the key could not be added to \(backend.location)"
        do throws(BackendError) {
            try backend.put(ObjectKey(.key, file.name), file.bytes.span)
        } catch {
            throw Failure(.store, failed, wrapping: error.failure(at: backend.location))
        }
        CrashPoint.reached("key-put")
        guard case .success(let bytes)? = try StoreKeys.read(backend, file.name),
            try KeyFile.tryOpen(bytes, password: password) == .master(master)
        else { throw Failure(.store, failed, cause: "read back, it does not open") }
        return file.name
    }

    /// The key file whose id begins with `prefix`.
    ///
    /// - Throws: a `usage` failure when none or several match.
    package func key(_ prefix: String) throws(Failure) -> Digest {
        let matches = try StoreKeys.names(backend).filter { $0.description.hasPrefix(prefix) }
        guard let match = matches.first, matches.count == 1 else {
            throw Failure(
                .usage,
                matches.isEmpty
                    ? "no key's id begins with `\(prefix)`"
                    : "\(matches.count) keys' ids begin with `\(prefix)`",
                hint: "`cistern store key list` lists them")
        }
        return match
    }

    /// Removes a key file, here and on the mirrors.
    ///
    /// The one in use stays, and with it there is always one that opens.
    ///
    /// - Throws: a `usage` failure for the one in use.
    package func remove(_ id: Digest) throws(Failure) {
        guard id != current else {
            throw Failure(
                .usage, "key \(id.short) is the one in use and cannot be removed",
                hint: "`cistern store key passwd` changes its password")
        }
        // What makes the removal harmless must be so now, not only when the store was opened.
        guard case .success(let inUse)? = try StoreKeys.read(backend, current) else {
            throw Failure(
                .store,
                "key \(id.short) stays: the one in use, \(current.short), is gone or damaged",
                hint: StoreKeys.lossHint)
        }
        try index.noteRemoval(ObjectKey(.key, id))
        // Mirrors first: after a failure the key is still listed, and the removal can be repeated.
        for place in mirrors + [backend] {
            do throws(BackendError) {
                // A mirror is never without a key that opens it.
                if place !== backend { try place.put(ObjectKey(.key, current), inUse.span) }
                try place.remove(ObjectKey(.key, id))
            } catch {
                throw Failure(
                    .store, "key \(id.short) could not be removed",
                    wrapping: error.failure(at: place.location))
            }
            CrashPoint.reached("key-removed")
        }
    }

    private static func names(_ backend: any Backend) throws(Failure) -> [Digest] {
        var names: [Digest] = []
        do throws(BackendError) {
            try backend.list(.key) { id, _ in names.append(id) }
        } catch {
            throw Failure(
                .store, "the keys of \(backend.location) cannot be listed",
                wrapping: error.failure(at: backend.location))
        }
        return names.sorted()
    }

    /// The bytes of a key file, or why they are of no use; nil when it is gone.
    private static func read(
        _ backend: any Backend, _ id: Digest
    ) throws(Failure) -> Result<[UInt8], Failure>? {
        let damaged = "key \(id.short) is damaged"
        do throws(BackendError) {
            let bytes = try backend.get(ObjectKey(.key, id), limit: KeyFile.limit)
            guard SHA256Hasher.hash(bytes.span) == id else {
                return .failure(
                    Failure(.store, damaged, cause: "its SHA-256 is not its name", hint: lossHint))
            }
            return .success(bytes)
        } catch {
            switch error {
            case .missing: return nil
            case .damaged: return .failure(Failure(.store, damaged, cause: "\(error)"))
            default: throw error.failure(at: backend.location)
            }
        }
    }

    private static func find(
        _ backend: any Backend, _ master: MasterKey, _ password: [UInt8]
    ) throws(Failure) -> Digest? {
        for id in try names(backend) {
            guard case .success(let bytes)? = try read(backend, id) else { continue }
            // One of a form that is not known is no reason to give up on the others.
            if (try? KeyFile.tryOpen(bytes, password: password)) == .master(master) { return id }
        }
        return nil
    }
}
