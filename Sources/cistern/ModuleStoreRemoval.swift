internal import ContentStore
internal import Dispatcher
internal import Platform

/// Removes the store that is one module's own, at all of its places.
///
/// The note of an obliteration is written when every place is locked and found to hold nothing
/// else than the module; from then on a removal that was cut off is gone on with. What this host
/// knows of the store, and the password, are for the caller to remove, when nothing is left at any
/// place.
struct ModuleStoreRemoval {
    /// A place of the store that is there.
    private struct OpenPlace {
        var backend: any Backend
        var isPrimary: Bool
        /// The directory, when it is on this machine.
        var path: String?
        /// Nil when it has no configuration, so that nobody can open or lock it.
        var store: Store?
        var location: String { backend.location }
    }

    let module: String
    /// Narrowed to the module.
    let configuration: Configuration
    let notePath: String

    /// Whether the module has a store, or one that was begun or is half removed.
    func isThere() throws -> Bool {
        if Path.kind(configuration.storeState) != nil { return true }
        if let file = StoreAccess.passwordFile(configuration), Path.kind(file) != nil {
            return true
        }
        return try openPlaces(nil).contains { place in
            try Store.exists(place.backend) || RepositoryRemoval.hasObjects(place.backend)
        }
    }

    /// Does it.
    ///
    /// - Throws: a `usage` failure when a place holds snapshots of others: nothing is removed then.
    func run(wait: Double) throws -> (result: ObliterationResult, left: [String]) {
        let begun = try ObliterationNote.load(notePath)
        var places = try openPlaces(begun)
        for index in places.indices { places[index].store = try openStore(places[index], begun) }
        let stores = places.compactMap(\.store)
        let locks = ExclusiveLocks(session: StoreSession.newName(), wait: wait)
        var note = try locks.during(stores) { held in
            let note = try self.note(begun, places)
            try note.save(notePath)
            CrashPoint.reached("removal-noted")
            var rest = held[...]
            for place in places {
                let lock = place.store == nil ? nil : rest.popFirst()
                try RepositoryRemoval(place.backend).removeObjects { () throws(Failure) in
                    try lock?.check()
                }
            }
            return note
        }
        CrashPoint.reached("removal-unlocked")
        var result = ObliterationResult(note: note)
        for place in places {
            let removal = RepositoryRemoval(place.backend)
            try removal.removeRest(now: SystemClock().now())
            var summary = ObliterationResult.Place(location: place.location)
            let remains = try removal.remains(&summary)
            result.problems += remains
            if remains.isEmpty && note.emptied?.contains(place.location) != true {
                note.emptied = (note.emptied ?? []) + [place.location]
            }
            result.places.append(summary)
        }
        let seen = Set(result.places.map(\.location))
        result.places += (note.emptied ?? []).filter { !seen.contains($0) }.map {
            .init(location: $0)
        }
        try note.save(notePath)
        CrashPoint.reached("removal-proven")
        result.note = note
        var left: [String] = []
        for path in places.compactMap(\.path) where result.isProven {
            left += try FileBackend.removeFolders(path)
            CrashPoint.reached("removal-folders-removed")
        }
        return (result, left)
    }

    // MARK: Looking

    /// The places that are there.
    ///
    /// - Throws: a `store` failure when one is not there that was there before, unless `note` says
    ///   that it was emptied: it is a disk that is not mounted.
    private func openPlaces(_ note: ObliterationNote?) throws(Failure) -> [OpenPlace] {
        let settings = configuration.store
        var places: [OpenPlace] = []
        for (number, text) in ([settings.url] + settings.mirrors).enumerated() {
            let url = try BackendURL.parse(text, in: configuration.folder)
            let what = number == 0 ? "store" : "mirror"
            if let path = url.localPath, Path.kind(path) == nil {
                if note?.emptied?.contains("\(url)") == true { continue }
                // Of a mirror that was never made for the module its folder tells nothing; where
                // there is no folder for any module, nobody can tell.
                let mayHold =
                    number == 0
                    ? StoreAccess.isKnown(configuration)
                    : StoreMirrors.record(text, configuration).isMade == true
                        || Path.kind(Path.folder(of: path)) == nil
                guard mayHold else { continue }
                throw Failure(
                    .store, "the \(what) \(url) is not there",
                    hint: "Is its disk mounted? A mirror that is no more is to be taken out of "
                        + configuration.file)
            }
            let backend = try StoreAccess.place(
                text, configuration, creating: false, what: what, hint: "Is its disk mounted?")
            places.append(OpenPlace(backend: backend, isPrimary: number == 0, path: url.localPath))
        }
        return places
    }

    /// The place as a store of its own; nil when it has no configuration.
    private func openStore(_ place: OpenPlace, _ note: ObliterationNote?) throws(Failure) -> Store?
    {
        if try Store.exists(place.backend) {
            let password = try StoreAccess.password(configuration, creating: false)
            guard place.isPrimary else {
                return try StoreMirrors.store(place.backend, [], configuration, password)
            }
            return try Store(
                backend: place.backend, password: password,
                stateDirectory: configuration.storeState)
        }
        // Where the configuration went in an earlier try, or was never made, keys are all there is.
        guard note == nil else { return nil }
        guard try RepositoryRemoval.hasObjects(place.backend, [.snapshot, .index, .pack])
        else { return nil }
        throw Failure(
            .store, "\(place.location) has objects and no configuration: nobody can tell whose",
            hint: "`cistern store check --repair` takes the configuration from a mirror")
    }

    /// The note with all that goes, when each place was seen to hold nothing but the module.
    private func note(
        _ begun: ObliterationNote?, _ places: [OpenPlace]
    ) throws -> ObliterationNote {
        var snapshots = Set(begun?.snapshots ?? [])
        var packs = Set(begun?.packs ?? [])
        var bytes = begun?.bytes ?? 0
        var id = begun?.store
        for place in places {
            guard let store = place.store else { continue }
            let found = try store.snapshots()
            let others = Set(
                found.filter { $0.snapshot.module != module }.map {
                    "\($0.snapshot.paths.joined(separator: " ")) (\($0.id.short))"
                })
            guard others.isEmpty else {
                throw Failure(
                    .usage,
                    "\(place.location) is not only module \(module)'s: it has snapshots of "
                        + others.sorted().prefix(5).joined(separator: ", "),
                    hint: "Nothing was removed. Is the URL right? `restic forget` removes a "
                        + "snapshot that may go")
            }
            id = id ?? "\(store.id)"
            snapshots.formUnion(found.map(\.id.description))
            var listed: [(id: String, size: UInt64)] = []
            try place.backend.failing { backend throws(BackendError) in
                try backend.list(.pack) { id, size in listed.append(("\(id)", size)) }
            }
            for pack in listed {
                bytes += begun?.packs.contains(pack.id) == true ? 0 : pack.size
                packs.insert(pack.id)
            }
        }
        var note =
            begun
            ?? ObliterationNote(
                module: module, store: id ?? "", started: SystemClock().now().seconds)
        note.snapshots = snapshots.sorted()
        note.packs = packs.sorted()
        note.bytes = bytes
        note.kept = []
        return note
    }
}
