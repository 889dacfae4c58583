internal import ArgumentParser
internal import ContentStore
internal import Dispatcher
internal import Platform

/// `cistern store mirror`: further places with the same objects.
struct StoreMirror: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mirror",
        abstract: "Copy to the store's mirrors what they lack.",
        discussion: """
            Objects are copied as they are, each compared with its name: packs before the index \
            files that name them, index files before snapshots, so that a mirror is a repository \
            that restic can read at any moment. Cut off, it goes on where it was. What was removed \
            from the store stays on its mirrors.

            Exit codes: 0 all mirrors have everything, 3 a mirror is away or lacks something (each \
            is named), 4 the store or a mirror is locked.
            """)

    @Argument(help: ArgumentHelp("Only this mirror of the configuration.", valueName: "url"))
    var url: String?

    @Flag(help: "Only tell what the mirrors lack.")
    var status = false

    @OptionGroup var selection: StoreSelection
    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    private struct Document: Encodable {
        var ok: Bool
        var mirrors: [MirrorDocument]
    }

    func run() throws {
        let configuration = try config.load()
        Interruption.install()
        guard !configuration.store.mirrors.isEmpty else {
            throw Failure(
                .usage, "no mirror is configured in \(configuration.file)",
                hint: "`store: {mirrors: [URL]}` names them")
        }
        try selection.each(configuration, json: output.json) { own in
            try status ? tell(own) : bringUpToDate(own)
        }
    }

    private func bringUpToDate(_ configuration: Configuration) throws {
        let progress = MirrorProgress(isShown: !output.json)
        let reports = try StoreMirrors.bringUpToDate(
            configuration, only: url, progress: { progress.show($0) })
        progress.erase()
        let isComplete = reports.allSatisfy(\.isComplete)
        if output.json {
            try Print.out(
                JSON.document(
                    Document(ok: isComplete, mirrors: reports.map { MirrorDocument($0) }),
                    of: configuration.store.module))
        } else {
            for report in reports {
                try Print.line(report.text)
                for lost in report.result?.lost ?? [] {
                    try Print.line("  \(lost.key): \(lost.cause)")
                }
                for note in report.result?.notes ?? [] { try Print.line("  \(note)") }
            }
        }
        guard !isComplete else { return }
        if reports.count == 1, let failure = reports[0].failure, failure.kind == .usage {
            throw ExitCode(Exit.usage)
        }
        let isLocked = reports.contains { $0.failure?.kind == .locked }
        throw ExitCode(isLocked ? Exit.locked : Exit.partly)
    }

    private func tell(_ configuration: Configuration) throws {
        let lags = try StoreMirrors.lags(configuration, only: url)
        let isComplete = lags.allSatisfy { $0.lag?.total.objects == 0 }
        if output.json {
            try Print.out(
                JSON.document(
                    Document(
                        ok: isComplete,
                        mirrors: lags.map { MirrorDocument($0.record, $0.lag, $0.failure) }),
                    of: configuration.store.module))
        } else {
            for (record, lag, failure) in lags {
                var text = "mirror \(record.location): "
                if let lag {
                    let total = lag.total
                    text +=
                        total.objects == 0
                        ? "has everything"
                        : "lacks \(Format.count(Int64(total.objects))) objects, "
                            + "\(Format.bytes(Int64(clamping: total.bytes)))"
                } else if let failure {
                    text += "cannot be asked: \(failure)"
                }
                try Print.line(text + "; \(StoreMirrors.state(record))")
            }
        }
        if !isComplete { throw ExitCode(Exit.partly) }
    }
}

/// A mirror as JSON: documented API.
struct MirrorDocument: Encodable {
    struct Lost: Encodable {
        var object: String
        var cause: String
    }

    var location: String
    var ok: Bool?
    var copiedObjects: Int?
    var copiedBytes: UInt64?
    var copiedFromMirrors: Int?
    /// What it lacks, as far as is known.
    var missingObjects: Int?
    var missingBytes: UInt64?
    var completedNs: Int64?
    var laggingSinceNs: Int64?
    var attemptedNs: Int64?
    var damagedInStore: Int?
    var lost: [Lost]?
    var notes: [String]?
    var error: String?

    /// What is remembered of it.
    init(_ record: MirrorRecord) {
        location = record.location
        missingObjects = record.missingObjects
        missingBytes = record.missingBytes
        completedNs = record.completed.map { $0 * 1_000_000_000 }
        laggingSinceNs = record.lagging.map { $0 * 1_000_000_000 }
        attemptedNs = record.attempted.map { $0 * 1_000_000_000 }
        error = record.failure
    }

    /// What was found just now.
    init(_ record: MirrorRecord, _ lag: MirrorLag?, _ failure: Failure?) {
        self.init(record)
        ok = lag.map { $0.total.objects == 0 } ?? false
        missingObjects = lag?.total.objects
        missingBytes = lag?.total.bytes
        error = failure?.description
    }

    /// What was copied.
    init(_ report: StoreMirrors.Report) {
        self.init(report.record)
        ok = report.isComplete
        error = report.failure?.description
        guard let result = report.result else { return }
        copiedObjects = result.copied.total.objects
        copiedBytes = result.copied.total.bytes
        copiedFromMirrors = result.fromOthers
        damagedInStore = result.betterHere
        lost = result.lost.map { Lost(object: "\($0.key)", cause: $0.cause) }
        notes = result.notes
    }
}

/// Shows how much was copied, on a terminal.
private final class MirrorProgress {
    private let isShown: Bool
    private var shown: Double = 0
    private var isDrawn = false

    init(isShown: Bool) { self.isShown = isShown && Environment.isTerminal(2) }

    func show(_ copied: ObjectCount) {
        guard isShown, monotonicSeconds() - shown >= 0.2 else { return }
        shown = monotonicSeconds()
        isDrawn = true
        // Progress is not worth failing for.
        try? Environment.write(
            "\r\(Format.count(Int64(copied.objects))) objects, "
                + "\(Format.bytes(Int64(clamping: copied.bytes))) copied\u{1B}[K", to: 2)
    }

    func erase() {
        guard isDrawn else { return }
        isDrawn = false
        try? Environment.write("\r\u{1B}[K", to: 2)
    }
}
