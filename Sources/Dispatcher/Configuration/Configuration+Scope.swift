package import Platform

extension StoreSettings {
    /// Stands for the module's name in `password_file` and `password_command`, where each module
    /// has a store of its own.
    static let moduleMark = "{module}"
}

extension Configuration {
    /// The configuration as it is for one module: where each has a store of its own, the store is
    /// the one of `module`.
    ///
    /// All that opens a store for a module goes through this.
    ///
    /// - Throws: a `usage` failure when `module` is no name of a module.
    package func narrowed(to module: String) throws(Failure) -> Configuration {
        guard store.scope == .module, store.module != module else { return self }
        guard ModuleDefinition.isValid(name: module) else {
            throw Failure(
                .usage, "`\(module)` cannot name a module", hint: ModuleDefinition.nameRule)
        }
        guard store.module == nil else {
            throw Failure(.bug, "the store of a module is asked for another module's")
        }
        func below(_ url: String) throws(Failure) -> String {
            try BackendURL.parse(url, in: folder).below(module).configured
        }
        func named(_ text: String) -> String {
            text.replacing(StoreSettings.moduleMark, with: module)
        }
        var own = self
        own.store.module = module
        own.store.url = try below(store.url)
        own.store.mirrors = []
        for mirror in store.mirrors { own.store.mirrors.append(try below(mirror)) }
        own.store.passwordFile = store.passwordFile.map(named)
        own.store.passwordCommand = store.passwordCommand?.map(named)
        return own
    }

    /// The folder of what this host knows of the store: in `state` itself, or with the scope
    /// `module` in a folder of the module, so that it goes with the module.
    package var storeState: String {
        store.module.map { "\(moduleStoresFolder)/\($0)" } ?? state
    }

    /// The folder with a folder for each module that has a store of its own.
    package var moduleStoresFolder: String { "\(state)/module-stores" }
}
