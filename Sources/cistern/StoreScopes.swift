internal import ContentStore
internal import Dispatcher
internal import Platform

/// What the scope of the store asks for: that nobody takes one fleet's store for those of its
/// modules, or the other way round.
enum StoreScopes {
    /// Refuses a state that has worked with the other scope: a store that is silently made anew
    /// would hide the one with the snapshots.
    static func check(_ configuration: Configuration) throws(Failure) {
        let settings = configuration.store
        switch settings.scope {
        case .fleet:
            let known = try knownModules(configuration)
            guard let first = known.first else { return }
            throw Failure(
                .usage,
                "\(configuration.file) has a store for the fleet, and the state in "
                    + "\(configuration.state) knows stores of modules: \(first)"
                    + (known.count > 1 ? " and \(known.count - 1) more" : ""),
                hint: "Put `scope: module` back, or name another state folder and another url")
        case .module:
            guard Path.kind("\(configuration.state)/stores") == nil else {
                throw Failure(
                    .usage,
                    "\(configuration.file) has `scope: module`, and the state in "
                        + "\(configuration.state) knows a store of the whole fleet",
                    hint: "Remove `scope`, or name another state folder and another url")
            }
            guard
                settings.passwordFile != nil || settings.passwordCommand != nil
                    || Environment.variable(PasswordSource.variable) == nil
            else {
                throw Failure(
                    .usage,
                    "\(PasswordSource.variable) is one password, and with `scope: module` each "
                        + "module has its own",
                    hint: "Unset it, or name `password_file` in \(configuration.file)")
            }
        }
    }

    /// Refuses to make a module's store inside of another store: its folders could be taken for
    /// that one's.
    static func checkAround(_ configuration: Configuration) throws(Failure) {
        guard configuration.store.module != nil, !StoreAccess.isKnown(configuration) else { return }
        let url = try BackendURL.parse(configuration.store.fleetURL, in: configuration.folder)
        if let path = url.localPath, Path.kind(path) == nil { return }
        let around = try StoreAccess.place(
            configuration.store.fleetURL, configuration, creating: false, what: "place",
            hint: "Is its disk mounted?")
        guard try !Store.exists(around) else {
            throw Failure(
                .usage, "there is a store at \(around.location) itself",
                hint: "With `scope: module` the stores of the modules lie below the url: name a "
                    + "place where no store is")
        }
    }

    /// The modules of whose own stores the state knows, by name.
    static func knownModules(_ configuration: Configuration) throws(Failure) -> [String] {
        let folder = configuration.moduleStoresFolder
        guard Path.kind(folder) != nil else { return [] }
        let names: [[UInt8]]
        do throws(SystemError) {
            names = try Descriptor.open(folder, [.readOnly, .directory]).names()
        } catch {
            throw Failure(.module, "\(folder) cannot be read", cause: "\(error)")
        }
        return names.map(printable).filter { Path.kind("\(folder)/\($0)/stores") != nil }.sorted()
    }

    /// The modules that have, or may get, a store of their own: those of the configuration, and
    /// those that were taken out of it and whose stores are still there.
    static func modules(_ configuration: Configuration) throws(Failure) -> [String] {
        let configured = configuration.modules.map(\.name)
        return Set(configured + (try knownModules(configuration))).sorted()
    }

    /// Whether the store of a module was made, by this installation or by another one.
    static func isThere(_ configuration: Configuration) throws(Failure) -> Bool {
        if StoreAccess.isKnown(configuration) { return true }
        let url = try BackendURL.parse(configuration.store.url, in: configuration.folder)
        if let path = url.localPath, Path.kind(path) == nil { return false }
        return try Store.exists(StoreAccess.backend(configuration, creating: false, cached: false))
    }
}
