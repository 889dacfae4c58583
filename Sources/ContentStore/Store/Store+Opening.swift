internal import Platform

/// What opens a repository: a key file that the password opens, and the configuration that the key
/// opens.
extension Store {
    struct Opened {
        var key: MasterKey
        var configuration: RepositoryConfig
    }

    /// Opens the repository on `backend`.
    ///
    /// What is damaged there may come from a mirror, but not both: that the two fit is the proof
    /// that the mirror is one of this repository.
    static func open(
        _ backend: any Backend, mirrors: [any Backend], _ password: [UInt8],
        _ fallbacks: ReadFallbacks
    ) throws(Failure) -> Opened {
        let failure: Failure
        do throws(Failure) {
            return try open(keysOf: backend, configOf: backend, password)
        } catch {
            failure = error
        }
        for mirror in mirrors {
            for (keys, config, what) in [
                (mirror, backend, "a key file"), (backend, mirror, "the config"),
            ] {
                guard let opened = try? open(keysOf: keys, configOf: config, password) else {
                    continue
                }
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
        try withKeys(of: backend, password) { key throws(Failure) in key }
    }

    private static func open(
        keysOf keys: any Backend, configOf config: any Backend, _ password: [UInt8]
    ) throws(Failure) -> Opened {
        // Of two keys for one password one may be of another making that was cut off: the next one
        // is tried when a key does not open the configuration.
        var failure: Failure?
        let opened = try withKeys(of: keys, password) { key throws(Failure) -> Opened? in
            do throws(Failure) {
                return Opened(key: key, configuration: try configuration(of: config, key))
            } catch {
                failure = error
                return nil
            }
        } otherwise: { other throws(Failure) in
            throw failure ?? other
        }
        return opened
    }

    private static func configuration(
        of backend: any Backend, _ key: MasterKey
    ) throws(Failure) -> RepositoryConfig {
        var isSecond = false
        while true {
            do {
                let sealed = try backend.get(ObjectKey.config, limit: 1 << 20)
                var plain: [UInt8] = []
                try Sealer(key: key).open(sealed.span, into: &plain)
                return try RepositoryConfig.decode(plain)
            } catch {
                // It has no name to be compared with: it is read once more before it counts as
                // damaged.
                if !isSecond, error is Failure {
                    isSecond = true
                    continue
                }
                throw Failure(
                    .store, "the store \(backend.location) cannot be opened", wrapping: error,
                    at: backend.location)
            }
        }
    }

    /// Calls `body` with each key that the password opens until it returns something.
    private static func withKeys<R>(
        of backend: any Backend, _ password: [UInt8],
        _ body: (MasterKey) throws(Failure) -> R?,
        otherwise: (Failure) throws(Failure) -> R = { failure throws(Failure) in throw failure }
    ) throws(Failure) -> R {
        var last: Failure?
        for name in try keyNames(backend) {
            let key: MasterKey
            do {
                let bytes = try backend.get(ObjectKey(.key, name), limit: 1 << 20)
                key = try KeyFile.open(bytes, name: name, password: password)
            } catch {
                let failure = Failure(
                    .store, "key \(name.short)", wrapping: error, at: backend.location)
                // Of a key that could not be read nobody knows whether the password opens it.
                if failure.kind == .temporary { throw failure }
                // A damaged key file tells more than that the password is another key's.
                if last == nil || failure.kind == .store { last = failure }
                continue
            }
            if let result = try body(key) { return result }
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
