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

    var folder: String { Path.folder(of: file) }

    init(file: String, reader: NodeReader) {
        self.file = file
        self.reader = reader
    }

    static let keys = ["state", "store", "modules", "workers", "keep_runs", "retention"]

    mutating func build(_ root: YAMLNode) -> (Configuration?, [ConfigurationProblem]) {
        guard let entries = reader.mapping(root, "the configuration", allowed: Self.keys) else {
            return (nil, reader.problems)
        }
        let state = statePath(entries["state"])
        let store = storeSettings(entries["store"], root.place)
        readModules(entries["modules"], root.place)
        let workers = entries["workers"].map {
            reader.integer($0.value, "`workers`", in: 1...1024)
        }
        let keepRuns = entries["keep_runs"].map {
            reader.integer($0.value, "`keep_runs`", in: 1...1000)
        }
        let retention = readRetention(
            entries["retention"], hasMirrors: store?.mirrors.isEmpty == false)
        checkOverlaps(
            state: state, store: store, storePlace: entries["store"]?.place ?? root.place)
        guard !reader.hasErrors, let store else { return (nil, reader.problems) }
        let configuration = Configuration(
            file: file, state: state, store: store,
            modules: modules.map(\.definition).sorted { $0.name < $1.name },
            workers: (workers ?? 2) ?? 2, keepRuns: (keepRuns ?? 3) ?? 3,
            retention: retention, warnings: reader.problems)
        return (configuration, reader.problems)
    }

    mutating func path(_ node: YAMLNode, _ what: String) -> String? {
        reader.text(node, what).map { Path.absolute($0, in: folder) }
    }

    private mutating func statePath(_ entry: YAMLNode.Entry?) -> String {
        let fallback = Path.absolute("state", in: folder)
        guard let entry else { return fallback }
        return path(entry.value, "`state`") ?? fallback
    }
}
