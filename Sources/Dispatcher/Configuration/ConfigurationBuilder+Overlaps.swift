internal import Platform

/// What must not share a name or a place on the disk.
extension ConfigurationBuilder {
    /// Drops what a root found again under an entry of its own; other equal names are errors.
    mutating func resolveDuplicates() {
        var kept: [PlacedModule] = []
        var byName: [String: Int] = [:]
        // Entries of their own come first, so that they win over a root's, in file order each.
        for module in modules.filter(\.explicit) + modules.filter({ !$0.explicit }) {
            guard let index = byName[module.definition.name] else {
                byName[module.definition.name] = kept.count
                kept.append(module)
                continue
            }
            let first = kept[index]
            let overrides = first.explicit && !module.explicit
            if overrides && first.canonical == module.canonical { continue }
            reader.error(
                module.place,
                "module `\(module.definition.name)` (\(module.definition.path)) exists already",
                "the first one is in line \(first.place.line): \(first.definition.path)")
        }
        modules = kept
    }

    /// Notes modules inside of each other, and modules that share a place with state or store.
    mutating func checkOverlaps(state: String, store: StoreSettings?, storePlace: Place) {
        // With a slash behind each path everything below a path follows it in byte order.
        let sorted = modules.sorted {
            ($0.canonical + "/").utf8.lexicographicallyPrecedes(($1.canonical + "/").utf8)
        }
        var outer: PlacedModule?
        for module in sorted {
            guard let container = outer, Path.contains(container.canonical, module.canonical)
            else {
                outer = module
                continue
            }
            reader.error(
                module.place,
                "module `\(module.definition.name)` (\(module.definition.path)) lies in module "
                    + "`\(container.definition.name)` (\(container.definition.path))",
                "each file may belong to one module only")
        }
        var places = [("state", Path.canonical(state))]
        if let store, let path = try? BackendURL.parse(store.url, in: folder).localPath {
            places.append(("store", Path.canonical(path)))
        }
        for mirror in store?.mirrors ?? [] {
            guard let path = try? BackendURL.parse(mirror, in: folder).localPath else { continue }
            places.append(("mirror", Path.canonical(path)))
        }
        for module in modules {
            for (what, place) in places {
                if Path.contains(module.canonical, place) {
                    reader.error(
                        module.place,
                        "module `\(module.definition.name)` contains the \(what): \(place)",
                        "move the \(what) out of \(module.definition.path)")
                } else if Path.contains(place, module.canonical) {
                    reader.error(
                        module.place,
                        "module `\(module.definition.name)` lies in the \(what): \(place)",
                        "move one of them")
                }
            }
        }
        let inner = places[0].1
        for (what, other) in places.dropFirst()
        where Path.contains(inner, other) || Path.contains(other, inner) {
            reader.error(
                storePlace, "state and \(what) share a place: \(inner) and \(other)",
                "give each a folder of its own")
        }
    }
}
