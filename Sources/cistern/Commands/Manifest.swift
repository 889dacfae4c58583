internal import ArgumentParser
internal import Platform
internal import Stages

/// `cistern manifest`: streams the manifest of a module.
struct ManifestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manifest",
        abstract: "List every file of a module, as NDJSON, while walking it.",
        discussion: """
            One unit a line in the order of paths, component by component; the last line is the \
            `stats` unit, and a list without it is not whole. Needs no configuration with --path.

            Exit codes: 0 all read, 3 some units could not be read (each says why).
            """)

    @OptionGroup var module: ModuleOptions

    @Option(
        help: ArgumentHelp(
            "Keep the position in this file, and go on from it when it exists.",
            valueName: "file"))
    var checkpoint: String?

    @Option(
        help: ArgumentHelp(
            "Leave out what matches, as a line of .gitignore; may be given more than once.",
            valueName: "pattern"))
    var exclude: [String] = []

    @Flag(help: "Do not descend into other file systems.")
    var oneFileSystem = false

    func run() throws {
        var definition = try module.loadModule()
        definition.exclude += exclude
        if oneFileSystem { definition.oneFileSystem = true }
        var stream = try StreamOptions.parse([])
        stream.checkpoint = checkpoint
        let position = try stream.openCheckpoint("manifest \(definition.path)")
        let stats = try StageTool.run(
            ManifestStage(), stream.source(definition, position), checkpoint: position)
        try Verdict.end(stats)
    }
}
