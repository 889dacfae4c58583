internal import Foundation
internal import TestSupport

/// The folder on disk that everything measured lies in, with corpora made when first asked for.
final class Workshop {
    let folder: TemporaryFolder
    let options: Options
    private var made: Set<String> = []
    private var fleets = 0
    private var started: RcloneS3Server?

    init(_ options: Options) throws {
        self.options = options
        folder = try TemporaryFolder("bench")
    }

    /// An S3 server of the measurement's own.
    func server() throws -> RcloneS3Server {
        if let started { return started }
        try Command(Project.root + "/scripts/s3-server", ["install"]).run().expect()
        let server = try RcloneS3Server()
        started = server
        return server
    }

    /// 200 thousand small files.
    func small() throws -> String { try small(count: options.quick ? 20_000 : 200_000) }

    /// `count` small files.
    func small(count: Int) throws -> String {
        try corpus("small-\(count)") { path in
            var corpus = Corpus()
            try corpus.small(path, count: count)
        }
    }

    /// 2 GiB in files of 64 MiB.
    func large() throws -> String {
        let count = options.quick ? 4 : 32
        return try corpus("large") { path in
            var corpus = Corpus()
            try corpus.large(path, count: count)
        }
    }

    /// 512 MiB in files of 64 MiB, for places behind a network.
    func medium() throws -> String {
        try corpus("medium") { path in
            var corpus = Corpus()
            try corpus.large(path, count: options.quick ? 2 : 8)
        }
    }

    /// `count` small files beside 512 MiB in large ones: all that a stage holds at once.
    func mixed(count: Int) throws -> String {
        try corpus("mixed-\(count)") { path in
            var corpus = Corpus()
            try corpus.small(path + "/small", count: count)
            try corpus.large(path + "/large", count: options.quick ? 1 : 8)
        }
    }

    /// One directory with `count` empty files.
    func wide(count: Int) throws -> String {
        try corpus("wide-\(count)") { try Corpus().wide($0, count: count) }
    }

    /// Removes a corpus that is not needed any more.
    func drop(_ path: String) {
        removeTree(path)
        made.remove(path)
    }

    /// A new fleet of one module, `data`, in a folder of its own, with an empty store.
    func fleet(_ path: String, on server: S3Server? = nil) throws -> Fleet {
        fleets += 1
        let fleet = try Fleet(
            in: folder("fleet-\(fleets)"), modules: ["data": path], workers: 1,
            pipelines: ["list": "name: list\nmodules: [\"*\"]\nstages:\n  - manifest\n"],
            server: server)
        try fleet.cistern("store", "init")
        return fleet
    }

    /// A fleet whose module is in the store already.
    func dehydrated(_ path: String, on server: S3Server? = nil) throws -> Fleet {
        let fleet = try fleet(path, on: server)
        try fleet.command(["dehydrate", "data"]).quiet().run().expect()
        return fleet
    }

    private func corpus(_ name: String, _ make: (String) throws -> Void) throws -> String {
        let path = folder(name)
        if !made.contains(path) {
            progress("making \(name)")
            try make(path)
            made.insert(path)
        }
        return path
    }
}

extension Command {
    /// The same command with its output thrown away and time enough for a million files.
    func quiet() -> Command {
        var command = self
        command.output = "/dev/null"
        command.timeout = 7200
        return command
    }

    /// The same command and then a wait until what it wrote at `path` is on the disk.
    func syncing(_ path: String) -> Command {
        var command = self
        command.program = "sh"
        command.arguments = ["-c", "\"$@\" && exec sync -f \"$0\"", path, program] + arguments
        return command
    }
}

/// A peer's own repository, and a cache of its own.
struct ResticHome {
    let restic: Restic
    let store: String
    let password: String
    let cache: String

    init(_ restic: Restic, in folder: String) throws {
        self.restic = restic
        store = folder + "/restic-\(restic.version)"
        password = folder + "/restic-password"
        cache = folder + "/restic-cache-\(restic.version)"
        try "password\n".write(toFile: password, atomically: true, encoding: .utf8)
    }

    /// On a store of one's own when `store` is given.
    func command(_ arguments: [String], fleet: Fleet? = nil) -> Command {
        var command = restic.command(
            arguments, store: fleet?.store ?? store, passwordFile: fleet?.passwordFile ?? password)
        // With its cache, as people use it.
        command.arguments.removeAll { $0 == "--no-cache" }
        command.environment["RESTIC_CACHE_DIR"] = cache
        for (name, value) in fleet?.server?.variables ?? [:] { command.environment[name] = value }
        return command.quiet()
    }

    /// An empty repository in place of what was there.
    func reset() throws {
        removeTree(store)
        removeTree(cache)
        try command(["init"]).run().expect()
    }
}
