internal import ArgumentParser
internal import Dispatcher
internal import Manifest
internal import Platform
internal import Stages

/// The module that a stage tool works on: a configured one, or a bare path.
struct ModuleOptions: ParsableArguments {
    @Argument(help: "The module's name.")
    var module: String?

    @Option(
        help: ArgumentHelp(
            "A directory to use as module instead of a configured one; it is named after its "
                + "last component.", valueName: "dir"))
    var path: String?

    @OptionGroup var config: ConfigOptions

    func validate() throws {
        guard (module == nil) != (path == nil) else {
            throw ValidationError("Give either a module or --path DIR.")
        }
    }

    /// The configuration, with the store that is the module's, and the module.
    func load() throws(Failure) -> (Configuration, ModuleDefinition) {
        let configuration = try config.load()
        let definition =
            if let module { try configuration.module(module) } else { try bare() }
        return (try configuration.narrowed(to: definition.name), definition)
    }

    /// The module alone, for tools that need no configuration when a path is given.
    func loadModule() throws(Failure) -> ModuleDefinition {
        if let module { return try config.load().module(module) }
        return try bare()
    }

    private func bare() throws(Failure) -> ModuleDefinition {
        let path = Path.absolute(path ?? "", in: Path.working)
        let name = String(
            Path.name(of: path).unicodeScalars.map { scalar in
                ModuleDefinition.isValid(name: "a\(scalar)") ? Character(scalar) : "-"
            }.drop { $0 == "-" }.prefix(63))
        guard ModuleDefinition.isValid(name: name) else {
            throw Failure(
                .usage, "no module name can be made from the path \(path)",
                hint: "Add it to cistern.yaml with a name")
        }
        return ModuleDefinition(name: name, path: path)
    }
}

/// `--list` and `--checkpoint`, for tools that read the list of the stage before.
struct StreamOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Read units from this NDJSON list of the stage before (- is standard input) instead "
                + "of walking the module.", valueName: "file"))
    var list: String?

    @Option(
        help: ArgumentHelp(
            "Keep the position in this file, and go on from it when it exists.",
            valueName: "file"))
    var checkpoint: String?

    /// The checkpoint, for the stage that `definition` describes.
    func openCheckpoint(_ definition: String) throws(Failure) -> StreamCheckpoint? {
        guard let checkpoint else { return nil }
        do {
            let metadata = try Descriptor.standardOutput().metadata()
            return try StreamCheckpoint(
                path: checkpoint, definition: definition, output: metadata)
        } catch {
            throw Failure(.usage, "checkpoint \(checkpoint) cannot be used", wrapping: error)
        }
    }

    /// The batches of the list, or of a walk of `module`, behind what `checkpoint` has done.
    func source(
        _ module: ModuleDefinition, _ checkpoint: StreamCheckpoint?
    ) throws(Failure) -> any BatchSource {
        let after = checkpoint?.position.lastPath
        let first = checkpoint?.position.batches ?? 0
        guard let list else {
            let unreadable = checkpoint?.position.unreadable
            var options = try WalkOptions(module)
            options.resumedUnitHasError = unreadable != nil && unreadable == after
            let walk = try Walk(root: module.path, options: options, resumeAfter: after)
            return WalkSource(walk, firstBatch: first, after: after, unreadable: unreadable)
        }
        do {
            let input =
                list == "-" ? try Descriptor.standardInput() : try Descriptor.open(list, .readOnly)
            return StreamSource(NDJSONReader(input), resumeAfter: after, firstBatch: first)
        } catch {
            throw Failure(.usage, "list \(list) cannot be read", cause: error.reason)
        }
    }
}

/// Runs a stage over streams: the tools' side of the one loop.
enum StageTool {
    /// Runs `stage` from `source` to standard output and returns the list's statistics.
    static func run(
        _ stage: any Stage, _ source: any BatchSource, checkpoint: StreamCheckpoint?
    ) throws -> Stats {
        Interruption.install()
        let output = try Descriptor.standardOutput()
        try checkpoint?.rewind(output)
        var statistics = StatsAccumulator()
        if let saved = checkpoint?.position.statistics, !saved.isEmpty {
            statistics = try StatsAccumulator(state: saved.span)
        }
        return try StageLoop(
            stage: stage, source: source, sink: StreamSink(output, checkpoint: checkpoint),
            firstBatch: checkpoint?.position.batches ?? 0, statistics: statistics
        ).run()
    }
}

/// Turns what a list's statistics say into an exit code.
enum Verdict {
    /// Throws exit code 3 when units are unhealthy or could not be processed.
    static func end(_ stats: Stats) throws {
        var parts: [String] = []
        for (counter, words) in counters where stats[counter: counter] > 0 {
            parts.append("\(stats[counter: counter]) \(words)")
        }
        if stats.countErrors > 0 { parts.append("\(stats.countErrors) could not be read") }
        guard !parts.isEmpty else { return }
        Print.note(parts.joined(separator: ", "))
        throw ExitCode(Exit.partly)
    }

    private static let counters = [
        ("count-unhealthy", "unhealthy"), ("count-unrecoverable", "of them not recoverable"),
        ("units-failed", "not stored"), ("units-kept", "kept as they were last stored"),
        ("files-lost", "lost by the store"),
    ]
}
