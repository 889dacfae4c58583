import Foundation
import TestSupport
import Testing

/// The folder of the running test.
func folder() throws -> TemporaryFolder { try #require(TemporaryFolder.current) }

/// A module directory of a few kinds of content, and a fleet that has it as `data`.
struct Scene {
    let fleet: Fleet
    let module: String

    /// Makes the module with `make` and the fleet beside it in the test's folder.
    init(
        workers: Int = 2, pipelines: [String: String] = [:], exclude: [String] = [],
        server: S3Server? = nil, settings: String = "", name: String = "fleet",
        _ make: (inout Corpus, String) throws -> Void
    ) throws {
        let base = try folder()
        module = base(name == "fleet" ? "data" : "\(name)-data")
        var corpus = Corpus()
        try FileManager.default.createDirectory(
            atPath: module, withIntermediateDirectories: true)
        try make(&corpus, module)
        fleet = try Fleet(
            in: base(name), modules: ["data": module], workers: workers, pipelines: pipelines,
            exclude: exclude, server: server, settings: settings)
    }

    /// A module that has every stage do something for a moment: small files, files of several
    /// chunks, nasty names.
    static func mixed(_ corpus: inout Corpus, _ path: String) throws {
        try corpus.small("\(path)/small", count: 4000)
        try corpus.large("\(path)/large", count: 3, size: 12 << 20)
        try corpus.nasty("\(path)/nasty")
    }

    /// Fills the module again into a new folder and gives the differences.
    func roundTrip(_ name: String = "copy", options: TreeComparison.Options = .init()) throws
        -> [String]
    {
        let target = fleet.folder + "/\(name)"
        try fleet.cistern("hydrate", "data", "--to", target)
        return try TreeComparison.differences(module, target, options: options)
    }
}

extension Fleet {
    /// Lets every judge at hand look at the store: each restic, the independent reader, Cistern.
    func judge(sourceLocation: SourceLocation = #_sourceLocation) throws {
        try cistern("store", "check", "--read-data")
        for judge in Restic.all {
            let result = try restic(judge, "check", "--read-data")
            #expect(
                result.text.contains("no errors were found")
                    && !result.text.contains("not referenced"),
                "\(judge): \(result)", sourceLocation: sourceLocation)
        }
        if let reader = Project.resticRead, server == nil {
            let password = try String(contentsOfFile: passwordFile, encoding: .utf8)
            // It goes down by recursion, for which deep trees need more than Python allows.
            let script = """
                import runpy, sys
                sys.setrecursionlimit(1_000_000)
                runpy.run_path(sys.argv.pop(1), run_name="__main__")
                """
            var command = Command(
                "sh",
                [
                    "-c", "ulimit -s unlimited; exec python3 -c \"$0\" \"$@\"", script, reader,
                    store, "--read-data",
                ])
            command.environment["RESTIC_PASSWORD"] = password.trimmingCharacters(in: .newlines)
            let result = try command.run()
            #expect(
                result.status == .exited(0) && !result.text.contains("orphaned"),
                "\(result)", sourceLocation: sourceLocation)
        }
    }
}
