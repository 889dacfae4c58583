package import ContentStore
package import Platform

/// Tells whether a place is the store that a key is of, by what the key opens there.
package struct PlaceProver {
    enum Kinship {
        /// The key opens something of it.
        case own
        /// What is whole there does not open.
        case foreign
        /// Nothing is there that is known to be whole.
        case unknown
    }

    /// How many objects of a kind are tried: one is enough, unless it is damaged.
    private static let tries = 64
    private static let smallLimit = 16 << 20

    private let sealer: Sealer

    /// Judges places by `key`, the store's own.
    package init(key: MasterKey) { sealer = Sealer(key: key) }

    /// Whose the place is.
    ///
    /// - Throws: `Failure` when it cannot be asked.
    func kinship(of place: any Backend) throws(Failure) -> Kinship {
        if try config(of: place) != nil { return .own }
        var isForeign = false
        for kind in [ObjectKind.snapshot, .index] {
            let limit = kind == .index ? IndexFile.storedLimit : PlaceProver.smallLimit
            for id in try PlaceProver.list(kind, place).prefix(PlaceProver.tries) {
                guard let bytes = try PlaceProver.get(ObjectKey(kind, id), place, limit: limit),
                    SHA256Hasher.hash(bytes.span) == id
                else { continue }
                if sealer.isAuthentic(bytes.span) { return .own }
                isForeign = true
            }
        }
        return isForeign ? .foreign : .unknown
    }

    /// Throws a `usage` failure when the place is another repository.
    package func refuseForeign(_ place: any Backend) throws(Failure) {
        if try kinship(of: place) == .foreign { throw PlaceProver.foreign(place) }
    }

    static func foreign(_ place: any Backend) -> Failure {
        Failure(
            .usage, "\(place.location) is another repository, not a mirror of the store",
            cause: "the store's key does not open what it has",
            hint: "Leave it out, or name it with --from.")
    }

    /// The config as it is stored; nil when it is missing or does not open.
    func config(of place: any Backend) throws(Failure) -> [UInt8]? {
        guard
            let bytes = try PlaceProver.get(.config, place, limit: PlaceProver.smallLimit)
        else { return nil }
        var plain: [UInt8] = []
        guard (try? sealer.open(bytes.span, into: &plain)) != nil,
            (try? RepositoryConfig.decode(plain)) != nil
        else { return nil }
        return bytes
    }

    /// The names of a place's objects, sorted.
    static func list(_ kind: ObjectKind, _ place: any Backend) throws(Failure) -> [Digest] {
        var ids: [Digest] = []
        try place.failing { place throws(BackendError) in
            try place.list(kind) { id, _ in ids.append(id) }
        }
        return ids.sorted()
    }

    /// The object's bytes; nil when it is missing or unreadable.
    static func get(
        _ key: ObjectKey, _ place: any Backend, limit: Int
    ) throws(Failure) -> [UInt8]? {
        do throws(BackendError) {
            return try place.get(key, limit: limit)
        } catch {
            if case .unknown(let failure) = ObjectProblem(error, at: place) { throw failure }
            return nil
        }
    }
}
