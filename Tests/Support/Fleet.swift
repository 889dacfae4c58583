internal import Foundation

/// A folder with cistern.yaml, pipelines, state and store, and the program that works on it.
package struct Fleet: Sendable {
    /// The absolute path of the folder.
    package let folder: String
    /// The modules by name, with the paths of their directories.
    package let modules: [String: String]
    /// The server whose bucket holds the store; nil for a folder.
    package let server: S3Server?
    /// Where the store is, as restic takes it.
    package let store: String

    /// Writes the configuration of `modules` (names and absolute paths) into `folder`.
    ///
    /// - Parameters:
    ///   - server: keep the store in a new place of its bucket instead of `folder`.
    ///   - settings: further keys of the section `store`.
    package init(
        in folder: String, modules: [String: String], workers: Int = 2,
        pipelines: [String: String] = [:], exclude: [String] = [], server: S3Server? = nil,
        settings: String = ""
    ) throws {
        self.folder = folder
        self.modules = modules
        self.server = server
        store = server?.url() ?? folder + "/store"
        let manager = FileManager.default
        try manager.createDirectory(
            atPath: folder + "/pipelines", withIntermediateDirectories: true)
        var yaml = """
            state: ./state
            store:
              url: \(server == nil ? "file:./store" : store)
              password_file: ./store.key
              \(settings)
            workers: \(workers)
            modules:

            """
        let patterns = exclude.map { "\"\($0)\"" }.joined(separator: ", ")
        for (name, path) in modules.sorted(by: { $0.key < $1.key }) {
            yaml += "  - {name: \(name), path: \"\(path)\", exclude: [\(patterns)]}\n"
        }
        try yaml.write(toFile: folder + "/cistern.yaml", atomically: true, encoding: .utf8)
        let texts = Fleet.standardPipelines.merging(pipelines) { $1 }
        for (name, text) in texts {
            try text.write(
                toFile: "\(folder)/pipelines/\(name).yaml", atomically: true, encoding: .utf8)
        }
    }

    private init(folder: String, of fleet: Fleet) {
        self.folder = folder
        modules = fleet.modules
        server = fleet.server
        store = fleet.server == nil ? folder + "/store" : fleet.store
    }

    /// Pipelines by name: what each of the tests runs.
    package static let standardPipelines = [
        "nightly": pipeline("nightly", check: "check: {verify: false}"),
        "verify": pipeline("verify", check: "check: {verify: true}"),
    ]

    /// A pipeline of all stages with a `check` and `repair` of one's own.
    package static func pipeline(
        _ name: String, check: String,
        repair: String = "{rotted: restore, removed: ignore, store: requeue, max_repairs: 50%}"
    ) -> String {
        """
        name: \(name)
        modules: ["*"]
        retry: {attempts: 3, delay: 1s}
        stages:
          - manifest
          - \(check)
          - repair: \(repair)
          - dehydrate: {compression: auto}

        """
    }

    /// Names places as mirrors of the store in the configuration.
    package func mirror(to urls: [String]) throws {
        let file = folder + "/cistern.yaml"
        let list = urls.map { "\"\($0)\"" }.joined(separator: ", ")
        let lines = try String(contentsOfFile: file, encoding: .utf8)
            .split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.hasPrefix("  mirrors:") }
        let text = lines.joined(separator: "\n").replacingOccurrences(
            of: "  password_file:", with: "  mirrors: [\(list)]\n  password_file:")
        try text.write(toFile: file, atomically: true, encoding: .utf8)
    }

    package var passwordFile: String { folder + "/store.key" }
    package var state: String { folder + "/state" }

    /// A command of the program under test with this configuration.
    package func command(_ arguments: [String]) -> Command {
        var command = Command(Project.cistern, arguments)
        command.environment = ["CISTERN_CONFIG": folder + "/cistern.yaml"]
        command.environment.merge(server?.variables ?? [:]) { $1 }
        command.folder = folder
        return command
    }

    /// Runs a command to its end and throws unless it exits with `code`.
    @discardableResult
    package func cistern(_ arguments: String..., expecting code: Int32 = 0) throws -> Command.Result
    {
        try command(arguments).run().expect(code)
    }

    /// Runs restic on the store and throws unless it exits with `code`.
    @discardableResult
    package func restic(
        _ restic: Restic, _ arguments: String..., expecting code: Int32 = 0
    ) throws -> Command.Result {
        var command = restic.command(arguments, store: store, passwordFile: passwordFile)
        command.environment.merge(server?.variables ?? [:]) { $1 }
        return try command.run().expect(code)
    }

    /// The same configuration, state and store in another folder, with the same modules.
    package func copy(to folder: String) throws -> Fleet {
        try Command("cp", ["-a", "--reflink=auto", self.folder, folder]).run().expect()
        return Fleet(folder: folder, of: self)
    }

    /// The joined lines of one stage's list in the latest run of `pipeline`.
    package func results(
        _ module: String, _ stage: String, of pipeline: String = "nightly"
    ) throws -> [JSON] {
        let run = try latestRun(pipeline)
        return try JSON.lines(cistern("results", run, module, stage).output)
    }

    /// The runs of `pipeline`, the latest first, as `runs --json` has them.
    package func runs(of pipeline: String) throws -> [JSON] {
        try JSON(cistern("runs", "--json").output)["runs"].array
            .filter { $0["pipeline"].string == pipeline }
            // Ids of runs that begin in the same second have no order.
            .sorted { ($0["created_ns"].integer ?? 0) > ($1["created_ns"].integer ?? 0) }
    }

    /// The id of the latest run of `pipeline`.
    package func latestRun(_ pipeline: String) throws -> String {
        guard let id = try runs(of: pipeline).first?["id"].string else {
            throw TestError("no run of \(pipeline)")
        }
        return id
    }

    /// The snapshots in the store as restic sees them, oldest first.
    package func snapshots(_ restic: Restic) throws -> [JSON] {
        try JSON(self.restic(restic, "snapshots", "--json").output).array
    }

    /// The root tree of the latest snapshot of `module`.
    package func rootTree(_ restic: Restic, _ module: String) throws -> String {
        let mine = try snapshots(restic).filter { $0["paths"][0].string == "/\(module)" }
        guard let tree = mine.last?["tree"].string else {
            throw TestError("no snapshot of \(module)")
        }
        return tree
    }

    /// The names of the store's objects: `data/ab/abcd…`, `index/…`, `snapshots/…`.
    ///
    /// A file that was being written when its writer was killed has no object's name yet, and goes
    /// after a day.
    package func objects(_ kind: String = "") -> Set<String> {
        let found = FileManager.default.enumerator(atPath: "\(store)/\(kind)")
        var names: Set<String> = []
        while let name = found?.nextObject() as? String {
            let isFile = found?.fileAttributes?[.type] as? FileAttributeType == .typeRegular
            if isFile && !name.contains("-tmp-") {
                names.insert(name)
            }
        }
        return names
    }
}
