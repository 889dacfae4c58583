package import ContentStore
package import Platform

/// Mends what a store cannot be opened without: keys and the config, from another place.
package struct StoreOpening {
    private let places: [any Backend]
    private let password: [UInt8]
    private let dryRun: Bool
    private let report: (StoreRepairEvent) -> Void
    private static let limit = 1 << 20

    package init(
        places: [any Backend], password: [UInt8], dryRun: Bool,
        report: @escaping (StoreRepairEvent) -> Void
    ) {
        self.places = places
        self.password = password
        self.dryRun = dryRun
        self.report = report
    }

    /// Puts good keys and a good config back where they are damaged; at the first place also where
    /// they are missing and the store cannot be opened without.
    ///
    /// - Throws: `Failure` when a place cannot be used.
    package func mend() throws(Failure) {
        var keys: [Digest: [UInt8]] = [:]
        var damaged: [(place: Int, id: Digest)] = []
        var opened: MasterKey?
        var opensFirst = false
        for (index, place) in places.enumerated() {
            for id in try list(place) {
                guard let bytes = try get(ObjectKey(.key, id), place),
                    SHA256Hasher.hash(bytes.span) == id
                else {
                    damaged.append((index, id))
                    continue
                }
                keys[id] = bytes
                guard opened == nil || (index == 0 && !opensFirst) else { continue }
                if case .master(let key) = try? KeyFile.tryOpen(bytes, password: password) {
                    opened = key
                    if index == 0 { opensFirst = true }
                }
            }
        }
        for (index, id) in damaged { try put(ObjectKey(.key, id), keys[id], at: index) }
        if !opensFirst, opened != nil {
            // The first place has no key for this password: all that others have.
            let here = Set(try list(places[0]))
            for (id, bytes) in keys.sorted(by: { $0.key < $1.key }) where !here.contains(id) {
                try put(ObjectKey(.key, id), bytes, at: 0)
            }
        }
        if let opened { try mendConfig(opened) }
    }

    private func mendConfig(_ key: MasterKey) throws(Failure) {
        let sealer = Sealer(key: key)
        var good: [UInt8]?
        var damaged: [Int] = []
        for (index, place) in places.enumerated() {
            let bytes = try get(.config, place)
            var plain: [UInt8] = []
            if let bytes, (try? sealer.open(bytes.span, into: &plain)) != nil,
                (try? RepositoryConfig.decode(plain)) != nil
            {
                good = good ?? bytes
            } else if bytes != nil || index == 0 {
                damaged.append(index)
            }
        }
        for index in damaged { try put(.config, good, at: index) }
    }

    private func put(_ key: ObjectKey, _ bytes: [UInt8]?, at index: Int) throws(Failure) {
        let place = places[index]
        guard let bytes else {
            tell(.left, key, place, "nobody has a good copy")
            return
        }
        if !dryRun {
            do throws(BackendError) {
                if key == .config {
                    // It is never replaced by others, so that a damaged one has to go first.
                    try place.remove(key)
                    CrashPoint.reached("repair-config-removed")
                }
                try place.put(key, bytes.span)
                CrashPoint.reached("repair-opening-put")
            } catch {
                throw error.failure(at: place.location)
            }
        }
        tell(.copied, key, place, "\(key) from another place")
    }

    private func tell(
        _ action: StoreRepairEvent.Action, _ key: ObjectKey, _ place: any Backend,
        _ message: String
    ) {
        report(
            StoreRepairEvent(
                action: action, key: key, place: place.location, from: nil, message: message,
                isPlan: dryRun))
    }

    private func list(_ place: any Backend) throws(Failure) -> [Digest] {
        var ids: [Digest] = []
        try place.failing { place throws(BackendError) in
            try place.list(.key) { id, _ in ids.append(id) }
        }
        return ids.sorted()
    }

    /// The object's bytes; nil when it is missing or unreadable.
    private func get(_ key: ObjectKey, _ place: any Backend) throws(Failure) -> [UInt8]? {
        do throws(BackendError) {
            return try place.get(key, limit: StoreOpening.limit)
        } catch {
            if case .unknown(let failure) = ObjectProblem(error, at: place) { throw failure }
            return nil
        }
    }
}
