package import Platform

/// Making a place a mirror, and telling a mirror of this store from other repositories.
extension MirrorCopier {
    /// Makes sure that the target is a mirror of the store: an empty place becomes one, and one
    /// that is gets the keys that it lacks.
    ///
    /// Keys are put before the config, whose presence makes a place a repository.
    ///
    /// - Throws: a `usage` failure, with nothing changed, when something else is there.
    package func prepare() throws(Failure) {
        let keys = Set(try MirrorPlan.list(.key, store.backend).keys)
        let there = try MirrorPlan.list(.key, target)
        let sealed = try config(of: target)
        if let sealed {
            try compare(sealed)
        } else {
            try checkUnmade(keys, Set(there.keys))
        }
        try copyKeys(try MirrorPlan.missing(.key, store.backend, there))
        if sealed == nil { try putConfig() }
        let foreign = there.keys.filter { !keys.contains($0) }.count
        if foreign > 0 {
            result.notes.append(
                "\(foreign) keys open the mirror that do not open the store any more: "
                    + "remove them there when they are not to")
        }
    }

    private func config(of backend: any Backend) throws(Failure) -> [UInt8]? {
        do throws(BackendError) {
            return try backend.get(.config, limit: 1 << 20)
        } catch {
            if case .missing = error { return nil }
            throw error.failure(at: backend.location)
        }
    }

    /// A config is the store's when it opens with the same key and has the same id; its version may
    /// be another.
    private func compare(_ sealed: [UInt8]) throws(Failure) {
        let found: RepositoryConfig
        do throws(Failure) {
            var plain: [UInt8] = []
            try Sealer(key: store.key).open(sealed.span, into: &plain)
            found = try RepositoryConfig.decode(plain)
        } catch {
            throw refusal("its config does not open with the store's key")
        }
        guard found.id == store.id else {
            throw refusal("its id is \(found.id.short), the store's is \(store.id.short)")
        }
    }

    /// A place without a config may be a mirror whose first copying was cut off, or an empty one.
    private func checkUnmade(_ keys: Set<Digest>, _ there: Set<Digest>) throws(Failure) {
        guard there.isSubset(of: keys) else {
            throw refusal("it has keys that the store does not have, and no config")
        }
        guard there.isEmpty else { return }
        for kind in [ObjectKind.snapshot, .index, .pack] {
            guard try MirrorPlan.list(kind, target).isEmpty else {
                throw refusal("it has \(kind.folder), and neither keys nor a config")
            }
        }
    }

    private func refusal(_ cause: String) -> Failure {
        Failure(
            .usage, "\(target.location) is no mirror of the store \(store.backend.location)",
            cause: cause, hint: "Name an empty place, or one that a mirror was made in.")
    }

    private func copyKeys(_ items: [MirrorItem]) throws(Failure) {
        let copier = ObjectCopier(
            sources: sources, target: target, spoolDirectory: store.spoolDirectory)
        for item in items {
            do {
                switch try copier.copy(item) {
                case .copied(let bytes, let place):
                    result.copied.keys.add(bytes)
                    if place > 0 { result.fromOthers += 1 }
                case .lost(let cause): result.add(lost: item.key, cause)
                case .goodThere: result.betterHere += 1
                case .vanished: break
                }
            } catch let failure as ObjectCopier.PlaceFailure {
                throw failure.error.failure(at: failure.location)
            } catch {
                throw Failure(.temporary, "\(item.key) cannot be copied", wrapping: error)
            }
            CrashPoint.reached("mirror-key-put")
        }
    }

    /// The config has no name to be compared with: it counts when the store's key opens it.
    private func putConfig() throws(Failure) {
        for source in sources {
            guard let sealed = try? config(of: source) else { continue }
            do throws(Failure) {
                try compare(sealed)
            } catch {
                continue
            }
            do throws(BackendError) {
                try target.put(.config, sealed.span)
            } catch {
                throw error.failure(at: target.location)
            }
            CrashPoint.reached("mirror-config-put")
            return
        }
        throw Failure(
            .store, "the config of store \(store.backend.location) is damaged, and no mirror has it"
        )
    }
}
