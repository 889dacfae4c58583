internal import Platform

extension Store {
    /// What opening reads: the key that `password` opens, and the configuration.
    ///
    /// Of stores on a network the file of the key that fitted is kept beside the index, as it is
    /// in the store, sealed by the password: the next opening costs one request instead of three.
    /// That it belongs to this store is shown by the configuration, which it has to open.
    static func open(
        _ backend: any Backend, _ password: [UInt8], _ stateDirectory: String
    ) throws(Failure) -> (MasterKey, RepositoryConfig) {
        do {
            let sealed: [UInt8]
            do {
                sealed = try backend.get(ObjectKey.config, limit: 1 << 20)
            } catch BackendError.missing {
                // Keys without a configuration are a store that was not made to the end.
                _ = try unlock(backend, password)
                throw BackendError.missing(.config)
            }
            let isKept = !backend.location.hasPrefix("file:")
            let cache = "\(stateDirectory)/stores/\(SHA256Hasher.hash(sealed.span)).key"
            if isKept, let bytes = try? AtomicFile.read(cache, limit: 1 << 20),
                let key = try? KeyFile.open(
                    bytes, name: SHA256Hasher.hash(bytes.span), password: password),
                let configuration = try? decode(sealed, key)
            {
                return (key, configuration)
            }
            let (key, file) = try unlock(backend, password)
            let configuration = try decode(sealed, key)
            if isKept {
                // Without it the next opening asks the store again.
                try? AtomicFile.makeDirectories("\(stateDirectory)/stores")
                try? AtomicFile.write(file.span, to: cache, mode: 0o600)
            }
            return (key, configuration)
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure(
                .store, "the store \(backend.location) cannot be opened", wrapping: error,
                at: backend.location)
        }
    }

    private static func decode(
        _ sealed: [UInt8], _ key: MasterKey
    ) throws -> RepositoryConfig {
        var plain: [UInt8] = []
        try Sealer(key: key).open(sealed.span, into: &plain)
        return try RepositoryConfig.decode(plain)
    }
}
