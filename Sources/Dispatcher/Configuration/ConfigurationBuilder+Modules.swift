internal import Platform

/// The `modules` list: entries with a name and a path, and roots whose sub-directories are modules.
extension ConfigurationBuilder {
    static let moduleKeys = ["name", "path", "exclude", "one_file_system"]
    static let rootKeys = ["root", "include", "exclude", "module_exclude", "one_file_system"]

    mutating func readModules(_ entry: YAMLNode.Entry?, _ place: Place) {
        guard let entry else {
            reader.error(place, "`modules` is missing", "modules: [{name: web, path: /srv/web}]")
            return
        }
        guard case .sequence(let items) = entry.value.content else {
            reader.error(
                entry.value.place, "`modules` must be a list, not \(entry.value.kind)",
                "modules: [{name: web, path: /srv/web}]")
            return
        }
        for item in items {
            if case .mapping(let keys) = item.content, keys.contains(where: { $0.key == "root" }) {
                readRoot(item)
            } else {
                readModule(item)
            }
        }
        if modules.isEmpty && !reader.hasErrors {
            reader.warning(entry.place, "no module is configured")
        }
        resolveDuplicates()
    }

    private mutating func readModule(_ node: YAMLNode) {
        // A path alone is the commonest slip; say what a module needs.
        guard let entries = reader.mapping(node, "a module", allowed: Self.moduleKeys) else {
            return
        }
        let exclude = patterns(entries["exclude"])
        let oneFileSystem = entries["one_file_system"].flatMap {
            reader.bool($0.value, "`one_file_system`")
        }
        var name: String?
        if let entry = entries["name"] {
            name = reader.text(entry.value, "`name`")
            if let text = name, !ModuleDefinition.isValid(name: text) {
                reader.error(
                    entry.value.place, "`\(text)` cannot name a module", ModuleDefinition.nameRule)
                name = nil
            }
        } else {
            reader.error(node.place, "a module without `name`", "{name: web, path: /srv/web}")
        }
        guard let pathEntry = entries["path"] else {
            reader.error(node.place, "a module without `path`", "{name: web, path: /srv/web}")
            return
        }
        guard let text = reader.text(pathEntry.value, "`path`"), let name else { return }
        let path = Path.absolute(text, in: Path.folder(of: file))
        checkDirectory(path, "the path of module `\(name)`", pathEntry.value.place)
        modules.append(
            PlacedModule(
                definition: ModuleDefinition(
                    name: name, path: path, exclude: exclude,
                    oneFileSystem: oneFileSystem ?? false),
                place: node.place, explicit: true, canonical: Path.canonical(path)))
    }

    private mutating func readRoot(_ node: YAMLNode) {
        guard let entries = reader.mapping(node, "a root", allowed: Self.rootKeys),
            let rootEntry = entries["root"]
        else { return }
        let include = entries["include"].map { reader.globs($0.value, "`include`") }
        let exclude = entries["exclude"].map { reader.globs($0.value, "`exclude`") }
        let moduleExclude = patterns(entries["module_exclude"])
        let oneFileSystem = entries["one_file_system"].flatMap {
            reader.bool($0.value, "`one_file_system`")
        }
        guard let text = reader.text(rootEntry.value, "`root`") else { return }
        let place = rootEntry.value.place
        let root = Path.absolute(text, in: Path.folder(of: file))
        guard checkDirectory(root, "root", place) else { return }
        let canonical = Path.canonical(root)
        for name in subdirectories(of: root, place) {
            // A pattern with a mistake is reported; here it must not add more messages.
            if let include, !(include ?? []).contains(where: { $0.matches(name) }) { continue }
            if let exclude, (exclude ?? []).contains(where: { $0.matches(name) }) { continue }
            guard ModuleDefinition.isValid(name: name) else {
                reader.warning(
                    place, "`\(name)` in \(root) is not a module: the name does not fit",
                    "\(ModuleDefinition.nameRule); give it an entry with a name and its path, "
                        + "or list it in `exclude`")
                continue
            }
            modules.append(
                PlacedModule(
                    definition: ModuleDefinition(
                        name: name, path: Path.absolute(name, in: root), exclude: moduleExclude,
                        oneFileSystem: oneFileSystem ?? false),
                    place: place, explicit: false,
                    canonical: Path.absolute(name, in: canonical)))
        }
    }

    private mutating func patterns(_ entry: YAMLNode.Entry?) -> [String] {
        guard let entry, let items = reader.texts(entry.value, "`\(entry.key)`") else { return [] }
        return items.compactMap {
            if case .scalar(let text, _) = $0.content { text } else { nil }
        }
    }

    @discardableResult
    private mutating func checkDirectory(_ path: String, _ what: String, _ place: Place) -> Bool {
        switch Path.kind(path) {
        case .directory: return true
        case nil: reader.warning(place, "\(what) does not exist or is out of reach: \(path)")
        default: reader.error(place, "\(what) is not a directory: \(path)")
        }
        return false
    }

    /// The names of the sub-directories of `root`, sorted; symlinks are told of, not followed.
    private mutating func subdirectories(of root: String, _ place: Place) -> [String] {
        var names: [String] = []
        do throws(SystemError) {
            let directory = try Descriptor.open(root, [.readOnly, .directory])
            var entries: [([UInt8], FileKind?)] = []
            try directory.readDirectory { name, kind in
                var bytes: [UInt8] = []
                for i in name.indices { bytes.append(name[i]) }
                entries.append((bytes, kind))
            }
            for (name, known) in entries {
                let kind: FileKind?
                if let known { kind = known } else { kind = try directory.metadata(of: name).kind }
                let text = printable(name)
                if kind == .directory {
                    names.append(text)
                } else if kind == .symlink, Path.kind(root + "/" + text) == .directory {
                    reader.warning(
                        place, "`\(text)` in \(root) is a symlink, not a module",
                        "give it an entry with a name and its path")
                }
            }
        } catch {
            reader.error(place, "cannot list the root \(root): \(error.reason)")
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
