internal import ArgumentParser
internal import ContentStore
internal import Dispatcher
internal import Platform

/// `cistern gc`: gives back the space of what no snapshot refers to.
struct GcCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Give back the space of what no snapshot refers to, beside running writers.",
        discussion: """
            Removes in two phases: what is not needed is marked in the store's index, and nothing \
            new relies on it. A later run removes it, when the grace period is over and everybody \
            who was writing when it was marked has finished; it looks at all snapshots again \
            before. Packs that are partly used are copied when much of them is waste; many small \
            ones become few.

            Can be killed at any moment: the next run goes on. While a program other than Cistern \
            writes to the store, nothing is marked.

            Exit codes: 0 done, 3 the store is damaged (each damage is named), 4 the store is \
            locked.
            """)

    @Flag(help: "Only tell what would be done.")
    var dryRun = false

    @Flag(help: "Go on when the store has no snapshot at all, so that everything goes.")
    var empty = false

    @Option(
        help: ArgumentHelp(
            "How long a marked pack stays, and how long a new pack may wait for its snapshot: "
                + "24h, 7d, 0.", valueName: "time"))
    var grace = DurationArgument(86400, "24h")

    @Option(
        help: ArgumentHelp(
            "The share of unused bytes that is left in packs in use, of the bytes in use: 5% or "
                + "0.05.",
            valueName: "share"))
    var maxUnused = ShareArgument(0.05, "5%")

    @Option(
        help: ArgumentHelp(
            "Packs below this size are merged when there are \(GarbagePlan.smallPacks) of them: "
                + "500K, 4M, 0 for never.", valueName: "size"))
    var mergeBelow = SizeArgument(2 << 20, "2M")

    @Option(
        help: ArgumentHelp("The most that is copied in this run: 500M, 10G.", valueName: "size"))
    var maxRepack: SizeArgument?

    @Option(
        help: ArgumentHelp(
            "Begin to copy no further pack after this time: 90m, 1.5h.", valueName: "time"))
    var maxDuration: DurationArgument?

    @OptionGroup var selection: StoreSelection
    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let options = GarbageOptions(
            grace: Int64(grace.seconds.rounded(.up)),
            limits: GarbageLimits(
                maxUnused: maxUnused.share, maxRepack: maxRepack?.bytes ?? .max,
                mergeBelow: mergeBelow.bytes),
            maxDuration: maxDuration?.seconds, dryRun: dryRun, mayEmpty: empty)
        let configuration = try config.load()
        Interruption.install()
        try selection.each(configuration, json: output.json) { try collect($0, options) }
    }

    private func collect(_ configuration: Configuration, _ options: GarbageOptions) throws {
        let handle = try StoreHandle.open(
            configuration, program: dryRun ? LockFile.cistern : LockFile.collector)
        let report = try handle.during { handle in
            let report = try GarbageCollector(
                session: handle.newSession(), options: options
            ).run()
            if !dryRun { try handle.store.tidy() }
            return report
        }
        try GarbagePrinter(
            report: report, dryRun: dryRun, module: configuration.store.module
        ).print(json: output.json)
        if !report.isHealthy { throw ExitCode(Exit.partly) }
    }
}

/// Shows what a collection did.
private struct GarbagePrinter {
    let report: GarbageReport
    let dryRun: Bool
    /// Whose own store it is, if it is one module's.
    let module: String?

    private struct Document: Encodable {
        struct Amount: Encodable {
            var packs: Int
            var bytes: UInt64

            init(_ amount: GarbageReport.Amount) {
                packs = amount.packs
                bytes = amount.bytes
            }
        }
        struct Waiting: Encodable {
            var packs: Int
            var bytes: UInt64
            var reason: String
        }
        var apiVersion = 1
        var ok: Bool
        var dryRun: Bool
        var snapshots: Int
        var trees: Int
        var blobs: Int
        var blobsInUse: Int
        var listed: Amount
        var unused: Amount
        var repacked: Amount
        var copiedBytes: UInt64
        var orphans: Amount
        var deleted: Amount
        var recovered: Amount
        var young: Amount
        var leftBytes: UInt64
        var waiting: [Waiting]
        var foreign: [String]
        var lostBlobs: Int
        var problems: [String]
        var cut: Bool
    }

    func print(json: Bool) throws {
        if json { return try Print.out(JSON.document(document, of: module)) }
        var table = Table([.left(dryRun ? "WOULD BE" : "PACKS"), .right("COUNT"), .right("SIZE")])
        func add(_ name: String, _ amount: GarbageReport.Amount, always: Bool = false) {
            guard always || amount.packs > 0 else { return }
            table.add([
                name, Format.count(Int64(amount.packs)),
                Format.bytes(Int64(clamping: amount.bytes)),
            ])
        }
        add("in the index", report.listed, always: true)
        add("marked, unused", report.dead, always: true)
        add("marked, copied", report.repacked)
        add("marked, in no index", report.orphans)
        add("removed", report.deleted, always: true)
        add("needed again", report.recovered)
        add("too young to judge", report.young)
        for waiting in report.waiting { add("waiting: \(text(waiting.reason))", waiting.amount) }
        try Print.out(table.text)
        let used = Format.count(Int64(report.liveBlobs))
        let all = Format.count(Int64(report.blobs))
        let left = Format.bytes(Int64(clamping: report.leftBytes))
        try Print.line(
            "\(used) of \(all) blobs are in use by \(report.snapshots) snapshots; "
                + "\(left) of waste stay")
        for holder in report.foreign {
            try Print.line("nothing was marked: the store is locked \(holder)")
        }
        if report.isCut { try Print.line("the time was over: the next run goes on") }
        if report.lostBlobs > 0 {
            try Print.line(
                "\(Format.count(Int64(report.lostBlobs))) blobs that snapshots refer to are "
                    + "missing: `cistern store check` names the files")
        }
        for problem in report.problems { try Print.line("damaged: \(problem)") }
    }

    private func text(_ reason: Ripeness) -> String {
        switch reason {
        case .ripe: "nothing"
        case .notBefore(let time): "until \(Format.time(Timestamp(seconds: time)))"
        case .held(let holders): holders.map { "\($0)" }.joined(separator: ", ")
        case .clock: "the clock was set back"
        }
    }

    private var document: Document {
        Document(
            ok: report.isHealthy, dryRun: dryRun, snapshots: report.snapshots, trees: report.trees,
            blobs: report.blobs, blobsInUse: report.liveBlobs, listed: .init(report.listed),
            unused: .init(report.dead), repacked: .init(report.repacked),
            copiedBytes: report.copiedBytes, orphans: .init(report.orphans),
            deleted: .init(report.deleted), recovered: .init(report.recovered),
            young: .init(report.young), leftBytes: report.leftBytes,
            waiting: report.waiting.map {
                .init(packs: $0.amount.packs, bytes: $0.amount.bytes, reason: text($0.reason))
            }, foreign: report.foreign, lostBlobs: report.lostBlobs, problems: report.problems,
            cut: report.isCut)
    }
}
