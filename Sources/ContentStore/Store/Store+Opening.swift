internal import Platform

/// What opens a repository: a key file that the password opens, and the configuration that the key
/// opens.
extension Store {
    struct Opened {
        var key: MasterKey
        var configuration: RepositoryConfig
        /// The kept key file that opened it, which the store may no longer have.
        var kept: KeptKey?
    }

    /// Opens the repository on `backend`.
    ///
    /// Of stores on a network the file of the key that fitted is kept beside the index, as it is
    /// in the store. The configuration is read each time: that it opens is what a check of the
    /// store relies on.
    ///
    /// What is damaged there may come from a mirror, but not both: that the two fit is the proof
    /// that the mirror is one of this repository.
    static func open(
        _ backend: any Backend, mirrors: [any Backend], _ password: [UInt8],
        _ stateDirectory: String, _ fallbacks: ReadFallbacks
    ) throws(Failure) -> Opened {
        let failure: Failure
        do throws(Failure) {
            return try open(backend, password, "\(stateDirectory)/stores")
        } catch {
            failure = error
        }
        for mirror in mirrors {
            for (keys, config, what) in [
                (mirror, backend, "a key file"), (backend, mirror, "the config"),
            ] {
                guard
                    let opened = try? open(
                        keysOf: keys, configOf: config, password, keep: { _ in })
                else { continue }
                fallbacks.note(what, 0, from: mirror, because: failure.cause ?? failure.message)
                return opened
            }
        }
        throw failure
    }

    /// The first key file of `backend` that the password opens.
    static func unlock(
        _ backend: any Backend, _ password: [UInt8]
    ) throws(Failure) -> MasterKey {
        try withKeys(of: backend, password) { key, _ throws(Failure) in key }
    }

    /// With the kept key file, if there is one that fits; see `proveKey`.
    private static func open(
        _ backend: any Backend, _ password: [UInt8], _ folder: String
    ) throws(Failure) -> Opened {
        guard !backend.isLocal,
            let sealed = try? backend.get(ObjectKey.config, limit: 1 << 20)
        else { return try open(keysOf: backend, configOf: backend, password, keep: { _ in }) }
        let kept = "\(folder)/\(SHA256Hasher.hash(sealed.span)).key"
        if let file = try? AtomicFile.read(kept, limit: 1 << 20) {
            let id = SHA256Hasher.hash(file.span)
            if let key = try? KeyFile.open(file, name: id, password: password),
                let configuration = try? decode(sealed, key)
            {
                return Opened(
                    key: key, configuration: configuration,
                    kept: KeptKey(
                        id: id, size: UInt64(file.count), path: kept, password: password))
            }
        }
        return try open(keysOf: backend, configOf: backend, password, sealed: sealed) { file in
            // Without it the next opening asks the store again.
            try? AtomicFile.makeDirectories(folder)
            try? AtomicFile.write(file.span, to: kept, mode: 0o600)
        }
    }

    private static func open(
        keysOf keys: any Backend, configOf config: any Backend, _ password: [UInt8],
        sealed: [UInt8]? = nil, keep: (_ file: [UInt8]) -> Void
    ) throws(Failure) -> Opened {
        // Of two keys for one password one may be of another making that was cut off: the next one
        // is tried when a key does not open the configuration.
        var failure: Failure?
        return try withKeys(of: keys, password) { key, file throws(Failure) -> Opened? in
            do throws(Failure) {
                let opened = Opened(
                    key: key, configuration: try configuration(of: config, key, sealed))
                keep(file)
                return opened
            } catch {
                failure = error
                return nil
            }
        } otherwise: { other throws(Failure) in
            throw failure ?? other
        }
    }

    private static func configuration(
        of backend: any Backend, _ key: MasterKey, _ read: [UInt8]?
    ) throws(Failure) -> RepositoryConfig {
        var first = read
        var tries = 0
        while true {
            do {
                tries += 1
                let sealed = try first ?? backend.get(ObjectKey.config, limit: 1 << 20)
                return try decode(sealed, key)
            } catch {
                // It has no name to be compared with: it is read once more before it counts as
                // damaged.
                first = nil
                if tries < 2, error is Failure { continue }
                throw Failure(
                    .store, "the store \(backend.location) cannot be opened", wrapping: error,
                    at: backend.location)
            }
        }
    }

    private static func decode(_ sealed: [UInt8], _ key: MasterKey) throws -> RepositoryConfig {
        var plain: [UInt8] = []
        try Sealer(key: key).open(sealed.span, into: &plain)
        return try RepositoryConfig.decode(plain)
    }

    /// Calls `body` with each key that the password opens, and its file, until it returns
    /// something.
    private static func withKeys<R>(
        of backend: any Backend, _ password: [UInt8],
        _ body: (MasterKey, _ file: [UInt8]) throws(Failure) -> R?,
        otherwise: (Failure) throws(Failure) -> R = { failure throws(Failure) in throw failure }
    ) throws(Failure) -> R {
        var last: Failure?
        for name in try keyNames(backend) {
            let key: MasterKey
            let file: [UInt8]
            do {
                file = try backend.get(ObjectKey(.key, name), limit: 1 << 20)
                key = try KeyFile.open(file, name: name, password: password)
            } catch {
                let failure = Failure(
                    .store, "key \(name.short)", wrapping: error, at: backend.location)
                // Of a key that could not be read nobody knows whether the password opens it.
                if failure.kind == .temporary { throw failure }
                // A damaged key file tells more than that the password is another key's.
                if last == nil || failure.kind == .store { last = failure }
                continue
            }
            if let result = try body(key, file) { return result }
        }
        return try otherwise(
            Failure(
                .usage, "no key of the store \(backend.location) opens with this password",
                cause: last?.description))
    }

    private static func keyNames(_ backend: any Backend) throws(Failure) -> [Digest] {
        var names: [Digest] = []
        do {
            try backend.list(.key) { id, _ in names.append(id) }
        } catch {
            throw Failure(
                .store, "the store \(backend.location) cannot be reached", wrapping: error,
                at: backend.location)
        }
        guard !names.isEmpty else {
            throw Failure(
                .store, "there is no store at \(backend.location)",
                hint: "`cistern store init` makes one")
        }
        return names.sorted()
    }
}
