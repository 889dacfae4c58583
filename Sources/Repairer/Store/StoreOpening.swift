package import ContentStore
package import Platform

/// Mends what a store cannot be opened without: keys and the config, from another place.
///
/// Neither has a proof in itself of being this store's, and a place that is named as a mirror may
/// be another repository with the same password. So the key that is used has to open something of
/// the first place, and a config comes only to a place that the key knows as this store's.
package struct StoreOpening {
    private let places: [any Backend]
    private let password: [UInt8]
    private let dryRun: Bool
    private let restoresRemoved: Bool
    private let quarantine: StoreQuarantine
    private let report: (StoreRepairEvent) -> Void
    private static let limit = 1 << 20

    /// - Parameters:
    ///   - stateDirectory: has the quarantine.
    ///   - restoresRemoved: bring back a key that has gone also when others are there.
    package init(
        places: [any Backend], password: [UInt8], stateDirectory: String, dryRun: Bool,
        restoresRemoved: Bool = false, clock: any WallClock = SystemClock(),
        report: @escaping (StoreRepairEvent) -> Void
    ) {
        self.places = places
        self.password = password
        self.dryRun = dryRun
        self.restoresRemoved = restoresRemoved
        self.report = report
        quarantine = StoreQuarantine(stateDirectory: stateDirectory, clock: clock)
    }

    /// The key files of one place.
    private struct KeyFiles {
        /// Those that are what their names say.
        var good: [Digest: [UInt8]] = [:]
        var damaged: [Digest] = []
    }

    /// Puts good keys and a good config back where they are damaged; at the first place also where
    /// they are missing and nobody can open the store without.
    ///
    /// While there is another key, one that has gone may have been taken back from whoever asks.
    ///
    /// - Throws: `Failure` when a place cannot be used, or is another repository.
    package func mend() throws(Failure) {
        var keys: [KeyFiles] = []
        for place in places { keys.append(try keyFiles(place)) }
        // Of the same name: the bytes prove themselves.
        for index in places.indices {
            for id in keys[index].damaged {
                let bytes = keys.lazy.compactMap { $0.good[id] }.first
                try put(ObjectKey(.key, id), bytes, at: index)
                if let bytes { keys[index].good[id] = bytes }
            }
        }
        guard let (id, master) = try ownKey(keys) else { return }
        let prover = PlaceProver(key: master)
        for place in places.dropFirst() { try prover.refuseForeign(place) }
        if keys[0].good[id] == nil {
            guard keys[0].good.isEmpty || restoresRemoved else {
                return tell(
                    .left, ObjectKey(.key, id), places[0],
                    "it has gone from here, and a mirror has it: it was removed by somebody, or "
                        + "lost; --restore-removed brings it back")
            }
            let bytes = keys.lazy.compactMap { $0.good[id] }.first
            try put(ObjectKey(.key, id), bytes, at: 0)
            keys[0].good[id] = bytes
        }
        try mendConfig(prover, keys)
    }

    private func keyFiles(_ place: any Backend) throws(Failure) -> KeyFiles {
        var files = KeyFiles()
        for id in try PlaceProver.list(.key, place) {
            let bytes = try PlaceProver.get(ObjectKey(.key, id), place, limit: StoreOpening.limit)
            if let bytes, SHA256Hasher.hash(bytes.span) == id {
                files.good[id] = bytes
            } else {
                files.damaged.append(id)
            }
        }
        return files
    }

    /// The store's key with its file's name: one that opens something of the first place, or, where
    /// nothing is left that a key could open, the first place's own.
    private func ownKey(_ keys: [KeyFiles]) throws(Failure) -> (Digest, MasterKey)? {
        var tried: Set<Digest> = []
        var unproven: (Digest, MasterKey)?
        for (index, files) in keys.enumerated() {
            for (id, bytes) in files.good.sorted(by: { $0.key < $1.key })
            where tried.insert(id).inserted {
                guard case .master(let key)? = try? KeyFile.tryOpen(bytes, password: password)
                else { continue }
                switch try PlaceProver(key: key).kinship(of: places[0]) {
                case .own: return (id, key)
                case .foreign: continue
                case .unknown: if index == 0, unproven == nil { unproven = (id, key) }
                }
            }
        }
        return unproven
    }

    private func mendConfig(_ prover: PlaceProver, _ keys: [KeyFiles]) throws(Failure) {
        var good: [UInt8]?
        var damaged: [Int] = []
        for (index, place) in places.enumerated() {
            if let bytes = try prover.config(of: place) {
                good = good ?? bytes
                continue
            }
            if index > 0, try prover.kinship(of: place) != .own {
                guard keys[index].good.keys.contains(where: { keys[0].good[$0] != nil }) else {
                    // With key files that are not this store's it is another repository.
                    if keys[index].good.isEmpty { continue }
                    throw PlaceProver.foreign(place)
                }
            }
            damaged.append(index)
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
            // The config is never replaced by others, so that a damaged one has to go first.
            if key == .config { try quarantine.keep(key, at: place, reason: "it does not open") }
            do throws(BackendError) {
                if key == .config {
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
}
