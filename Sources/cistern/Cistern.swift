internal import ArgumentParser
internal import Platform

/// The command line: `cistern` and its subcommands.
@main
struct Cistern: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cistern",
        abstract: "Keeps fleets of directories healthy, small and stored.",
        discussion: """
            Lists what modules hold, checks it against a content-addressed store, repairs it, and \
            drains what is new into the store, which restic can read. Every step can be killed \
            at any moment and goes on where it was.

            Start with `cistern init`, add modules to cistern.yaml, then `cistern run nightly`.

            Exit codes: 0 all well, 1 fatal, 2 usage or configuration, 3 partly failed or \
            unhealthy, 4 already running or locked, 5 truncated input, 130 cancelled.
            """,
        groupedSubcommands: [
            CommandGroup(name: "Set up", subcommands: [Init.self, ConfigCheck.self]),
            CommandGroup(
                name: "Stages by hand",
                subcommands: [
                    ManifestCommand.self, CheckCommand.self, RepairCommand.self,
                    DehydrateCommand.self, HydrateCommand.self,
                ]),
            CommandGroup(
                name: "Pipelines",
                subcommands: [
                    RunCommand.self, Status.self, Runs.self, Results.self, Wait.self, Cancel.self,
                    Worker.self,
                ]),
            CommandGroup(
                name: "Store",
                subcommands: [
                    Snapshots.self, Prune.self, GcCommand.self, StoreCommand.self,
                    StateCommand.self,
                ]),
        ])

    static func main() {
        Heap.bound()
        Exit.end {
            var command = try parseAsRoot()
            try command.run()
        }
    }
}
