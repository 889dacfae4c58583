package import Platform

/// For whom a store is.
package enum StoreScope: String, Sendable, Codable, CaseIterable {
    /// One repository with the content of all modules.
    case fleet
    /// For each module a repository and a password of its own.
    case module
}

/// Where the store is and how it is opened.
package struct StoreSettings: Sendable, Equatable, Codable {
    /// A URL that `BackendURL` reads; paths in it are absolute.
    ///
    /// With the scope `module` the stores of the modules are below it, until the configuration is
    /// narrowed to one of them.
    package var url: String
    package var scope = StoreScope.fleet
    /// The module whose own store this is; nil for the fleet's, and before narrowing.
    package var module: String?
    /// Before narrowing, `url`.
    package var fleetURL: String
    /// The absolute path of the file with the password; nil for one beside the state.
    package var passwordFile: String?
    /// A program that prints the password, and its arguments; nil for a file.
    package var passwordCommand: [String]?
    /// URLs of further backends with the same objects, as `url`.
    package var mirrors: [String]
    /// How stores that are not on a disk are reached.
    package var network: NetworkSettings

    package init(
        url: String, passwordFile: String?, passwordCommand: [String]? = nil, mirrors: [String],
        network: NetworkSettings = NetworkSettings(), scope: StoreScope = .fleet
    ) {
        self.url = url
        fleetURL = url
        self.scope = scope
        self.passwordFile = passwordFile
        self.passwordCommand = passwordCommand
        self.mirrors = mirrors
        self.network = network
    }
}

/// How stores on a network are reached; nil means the default.
package struct NetworkSettings: Sendable, Equatable, Codable {
    /// How many requests are under way at once.
    package var connections: Int?
    /// Bytes a second of all uploads of a process together.
    package var uploadLimit: Int?
    /// Bytes a second of all downloads of a process together.
    package var downloadLimit: Int?
    /// The region that S3 requests are signed for.
    package var region: String?
    /// The profile of the shared credentials file.
    package var profile: String?
    /// Whether the bucket stands in the path instead of the host name.
    package var pathStyle: Bool?
    /// The absolute path of the certificates to trust instead of the system's.
    package var caFile: String?

    package init() {}
}

/// What `cistern.yaml` says, with all paths absolute and all roots expanded.
package struct Configuration: Sendable, Equatable {
    /// The path of the file, absolute.
    package var file: String
    /// The folder of the state, absolute.
    package var state: String
    package var store: StoreSettings
    /// Sorted by name.
    package var modules: [ModuleDefinition]
    /// How many worker processes a run keeps, unless its pipeline or the command says otherwise.
    package var workers: Int
    /// How many finished lists of each module are kept.
    package var keepRuns: Int
    /// Keep rules of groups of modules; the first group that has a module counts.
    package var retention: [RetentionGroup]
    /// What was strange but not wrong.
    package var warnings: [ConfigurationProblem]

    package init(
        file: String, state: String, store: StoreSettings, modules: [ModuleDefinition],
        workers: Int, keepRuns: Int, retention: [RetentionGroup] = [],
        warnings: [ConfigurationProblem]
    ) {
        self.file = file
        self.state = state
        self.store = store
        self.modules = modules
        self.workers = workers
        self.keepRuns = keepRuns
        self.retention = retention
        self.warnings = warnings
    }

    /// The folder that holds the file: relative paths start here.
    package var folder: String { Path.folder(of: file) }

    /// The folder in which `cistern run NAME` looks for NAME.yaml.
    package var pipelinesFolder: String { folder == "/" ? "/pipelines" : folder + "/pipelines" }

    /// The module called `name`.
    package func module(_ name: String) throws(Failure) -> ModuleDefinition {
        if let found = modules.first(where: { $0.name == name }) { return found }
        let guess = nearest(name, modules.map(\.name)).map { "Did you mean `\($0)`? " } ?? ""
        throw Failure(
            .usage, "there is no module `\(name)` in \(file)",
            hint: "\(guess)`cistern configcheck` lists the modules")
    }

    /// The keep rules for `module`; nil when no group has it, and everything is kept.
    package func retention(for module: String) -> RetentionPolicy? {
        retention.first { $0.modules.contains { $0.matches(module) } }?.policy
    }

    /// Reads and checks the file; the failure names every mistake.
    package static func load(_ path: String) throws(Failure) -> Configuration {
        let (configuration, problems) = try check(path)
        if let configuration { return configuration }
        let errors = problems.filter { $0.severity == .error }
        throw Failure(
            .usage,
            "\(path) has \(errors.count) \(errors.count == 1 ? "mistake" : "mistakes"):\n"
                + errors.map { "  \($0)" }.joined(separator: "\n"))
    }

    /// Reads the file: the configuration if it has no errors, and every error and warning.
    ///
    /// Throws only when the file itself cannot be read.
    package static func check(
        _ path: String
    ) throws(Failure) -> (Configuration?, [ConfigurationProblem]) {
        let file = Path.absolute(path, in: Path.working)
        var reader = NodeReader(file: path)
        guard let root = try readYAML(path, &reader) else { return (nil, reader.problems) }
        var builder = ConfigurationBuilder(file: file, reader: reader)
        return builder.build(root)
    }

    /// The path of the configuration.
    ///
    /// `option` (from --config), else $CISTERN_CONFIG, else ./cistern.yaml, else
    /// /etc/cistern/cistern.yaml. Throws `usage` when there is none.
    package static func find(option: String?) throws(Failure) -> String {
        if let option { return option }
        if let variable = Environment.variable("CISTERN_CONFIG") { return variable }
        let places = ["cistern.yaml", "/etc/cistern/cistern.yaml"]
        if let place = places.first(where: { Path.kind($0) == .file }) { return place }
        throw Failure(
            .usage,
            "there is no configuration: neither ./cistern.yaml nor /etc/cistern/cistern.yaml",
            hint: "`cistern init` writes one; --config or CISTERN_CONFIG name one elsewhere")
    }
}

/// Reads a YAML file into nodes; nil when a syntax error was noted in `reader`.
func readYAML(_ path: String, _ reader: inout NodeReader) throws(Failure) -> YAMLNode? {
    let bytes: [UInt8]
    do {
        bytes = try AtomicFile.read(path, limit: 1 << 20)
    } catch {
        throw Failure(.usage, "cannot read \(path)", cause: error.reason)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
        reader.error(.start, "the file is not UTF-8")
        return nil
    }
    do {
        return try YAMLNode.parse(text)
    } catch {
        reader.error(error.place, error.message)
        return nil
    }
}
