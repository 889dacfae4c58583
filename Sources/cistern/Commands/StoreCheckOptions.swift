internal import ArgumentParser
internal import Checker
internal import ContentStore
internal import Platform

extension ScrubLevel: ExpressibleByArgument {
    package init?(argument: String) {
        guard let level = ScrubLevel.allCases.first(where: { $0.word == argument }) else {
            return nil
        }
        self = level
    }

    package static var allValueStrings: [String] { allCases.map(\.word) }
}

/// What a check of the store reads.
struct ScrubArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "present: listing against index; sum: the SHA-256 of every object, needs no "
                + "password; deep: everything. Else present with all trees.", valueName: "level"))
    var level: ScrubLevel?

    @Flag(help: "The same as --level deep.")
    var readData = false

    @Option(
        help: ArgumentHelp(
            "Read only what was not found good within this time: 7d, 4w; 0 forgets all results.",
            valueName: "time"))
    var maxAge: DurationArgument?

    @Option(
        help: ArgumentHelp(
            "End after this time: 90m, 1.5h; the next run goes on with what is left.",
            valueName: "time"))
    var maxDuration: DurationArgument?

    @Option(
        help: ArgumentHelp(
            "Read only a random part of the objects: 5% or 0.05.", valueName: "share"))
    var sample: ShareArgument?

    func validate() throws {
        if readData, let level, level != .deep {
            throw ValidationError("--read-data is --level deep, not \(level.word).")
        }
        if let sample, sample.share <= 0 || sample.share > 1 {
            throw ValidationError("--sample is more than 0 and at most 100%.")
        }
    }

    /// The level asked for; nil for the listing with all trees.
    var chosen: ScrubLevel? { readData ? .deep : level }

    /// Which objects are read, and for how long.
    func options() -> ScrubOptions {
        let age = maxAge.flatMap { $0.seconds == 0 ? nil : Int64($0.seconds.rounded(.up)) }
        return ScrubOptions(
            selection: ScrubSelection(
                level: chosen ?? .deep, maxAge: age, sample: sample?.share,
                seed: UInt64.random(in: .min ... .max)),
            maxDuration: maxDuration?.seconds, forgets: maxAge?.seconds == 0)
    }
}

/// What a repair of the store may do, and where it looks for good copies.
struct StoreRepairArguments: ParsableArguments {
    @Flag(help: "Mend what is damaged from whatever place has a good copy.")
    var repair = false

    @Flag(help: "With --repair: tell what it would do, and do nothing.")
    var dryRun = false

    @Flag(
        help: """
            With --repair: bring back snapshots and keys too that have gone from the store and \
            that a mirror has. Without it they may have been removed on purpose.
            """)
    var restoreRemoved = false

    @Option(
        help: ArgumentHelp(
            "A further place with the same objects, to be checked and to repair from.",
            valueName: "url"))
    var mirror: [String] = []

    @Option(
        help: ArgumentHelp(
            "Any other restic repository that may have the content.", valueName: "url"))
    var from: [String] = []

    @Option(
        help: ArgumentHelp(
            "The password file of the --from in the same place; else the store's own.",
            valueName: "file"))
    var fromPasswordFile: [String] = []

    @Option(
        help: ArgumentHelp(
            "A directory with files of a snapshot, at their paths.", valueName: "dir"))
    var fromDir: [String] = []

    /// Whether places are named that hold one repository.
    var namesPlaces: Bool { !(mirror.isEmpty && from.isEmpty && fromDir.isEmpty) }

    func validate() throws {
        guard repair || (!dryRun && !restoreRemoved && from.isEmpty && fromDir.isEmpty) else {
            throw ValidationError(
                "--dry-run, --restore-removed, --from and --from-dir are for --repair.")
        }
        guard fromPasswordFile.isEmpty || fromPasswordFile.count == from.count else {
            throw ValidationError("Give --from-password-file once for each --from, or not at all.")
        }
    }
}
