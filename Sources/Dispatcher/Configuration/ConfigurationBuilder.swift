internal import Platform

/// Turns the nodes of `cistern.yaml` into a `Configuration`.
struct ConfigurationBuilder {
    let file: String
    var reader: NodeReader
    var modules: [PlacedModule] = []

    /// A module with the place that brought it, for messages.
    struct PlacedModule {
        var definition: ModuleDefinition
        var place: Place
        /// Whether an entry of its own names it, rather than a root.
        var explicit: Bool
        /// The path with symlinks resolved.
        var canonical: String
    }

    private var folder: String { Path.folder(of: file) }

    init(file: String, reader: NodeReader) {
        self.file = file
        self.reader = reader
    }

    static let keys = ["state", "store", "modules", "workers", "keep_runs"]
    static let laterKeys = [
        "jobs", "hub", "supervisor", "provision_threads", "hydration_threads", "templates",
    ]

    mutating func build(_ root: YAMLNode) -> (Configuration?, [ConfigurationProblem]) {
        guard
            let entries = reader.mapping(
                root, "the configuration", allowed: Self.keys, later: Self.laterKeys)
        else { return (nil, reader.problems) }
        let state = statePath(entries["state"])
        let store = storeSettings(entries["store"], root.place)
        readModules(entries["modules"], root.place)
        let workers = entries["workers"].map {
            reader.integer($0.value, "`workers`", in: 1...1024)
        }
        let keepRuns = entries["keep_runs"].map {
            reader.integer($0.value, "`keep_runs`", in: 1...1000)
        }
        checkOverlaps(
            state: state, store: store, storePlace: entries["store"]?.place ?? root.place)
        guard !reader.hasErrors, let store else { return (nil, reader.problems) }
        let configuration = Configuration(
            file: file, state: state, store: store,
            modules: modules.map(\.definition).sorted { $0.name < $1.name },
            workers: (workers ?? 2) ?? 2, keepRuns: (keepRuns ?? 3) ?? 3,
            warnings: reader.problems)
        return (configuration, reader.problems)
    }

    private mutating func path(_ node: YAMLNode, _ what: String) -> String? {
        reader.text(node, what).map { Path.absolute($0, in: folder) }
    }

    private mutating func statePath(_ entry: YAMLNode.Entry?) -> String {
        let fallback = Path.absolute("state", in: folder)
        guard let entry else { return fallback }
        return path(entry.value, "`state`") ?? fallback
    }

    private mutating func storeSettings(
        _ entry: YAMLNode.Entry?, _ place: Place
    ) -> StoreSettings? {
        guard let entry else {
            reader.error(place, "`store` is missing", "store: {url: file:./store}")
            return nil
        }
        guard
            let entries = reader.mapping(
                entry.value, "`store`", allowed: ["url", "password_file", "mirrors"])
        else { return nil }
        let mirrors = entries["mirrors"].map { mirrorURLs($0.value) } ?? []
        let password = entries["password_file"].flatMap { path($0.value, "`password_file`") }
        guard let url = entries["url"] else {
            reader.error(entry.place, "`url` of the store is missing", "url: file:./store")
            return nil
        }
        guard let text = reader.text(url.value, "`url` of the store"),
            let location = storeURL(text, url.value.place)
        else { return nil }
        checkMirrors(mirrors, of: location)
        return StoreSettings(
            url: location, passwordFile: password, mirrors: mirrors.map(\.url))
    }

    private mutating func storeURL(_ text: String, _ place: Place) -> String? {
        if text.hasPrefix("file:") {
            let path = text.dropFirst("file:".count)
            if !path.isEmpty { return "file:" + Path.absolute(String(path), in: folder) }
            reader.error(place, "the store's URL has no path", "url: file:./store")
            return nil
        }
        // The text itself stays out of the message: a URL may carry a password.
        if text.hasPrefix("s3:") || text.hasPrefix("rest:") {
            let scheme = text.prefix { $0 != ":" }
            reader.error(
                place, "stores on `\(scheme):` are not supported by this version",
                "allowed: file:PATH")
        } else {
            reader.error(place, "the store's URL has an unknown kind", "allowed: file:PATH")
        }
        return nil
    }

    private mutating func mirrorURLs(_ node: YAMLNode) -> [(url: String, place: Place)] {
        var urls: [(url: String, place: Place)] = []
        for item in reader.texts(node, "`mirrors`") ?? [] {
            guard let text = reader.text(item, "each of `mirrors`"),
                let url = storeURL(text, item.place)
            else { continue }
            urls.append((url, item.place))
        }
        return urls
    }

    /// A mirror of the same place would protect from nothing.
    private mutating func checkMirrors(
        _ mirrors: [(url: String, place: Place)], of store: String
    ) {
        var seen = [(store, "the store")]
        for (url, place) in mirrors {
            if let other = seen.first(where: { Self.overlap($0.0, url) }) {
                reader.error(
                    place, "the mirror shares a place with \(other.1)",
                    "give each mirror a place of its own, on another disk or machine")
            }
            seen.append((url, "another mirror"))
        }
    }

    private static func overlap(_ x: String, _ y: String) -> Bool {
        guard x.hasPrefix("file:"), y.hasPrefix("file:") else { return x == y }
        let (a, b) = (
            Path.canonical(String(x.dropFirst(5))), Path.canonical(String(y.dropFirst(5)))
        )
        return Path.contains(a, b) || Path.contains(b, a)
    }
}
