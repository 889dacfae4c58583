internal import ArgumentParser
internal import Dispatcher
internal import Platform

/// `--config`, for every command that needs the configuration.
struct ConfigOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The configuration file.",
            discussion: "Else $CISTERN_CONFIG, ./cistern.yaml, /etc/cistern/cistern.yaml.",
            valueName: "file"))
    var config: String?

    /// Finds, reads and checks the configuration.
    func load() throws(Failure) -> Configuration {
        try Configuration.load(try Configuration.find(option: config))
    }
}

/// `--json`, for every command that prints something.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON.")
    var json = false
}
