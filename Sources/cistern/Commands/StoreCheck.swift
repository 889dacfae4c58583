internal import ArgumentParser
internal import Checker
internal import ContentStore
internal import Dispatcher
internal import FoundationEssentials
internal import Platform

/// `cistern store check`: whether the store can give back what it holds.
struct StoreCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check the store: index, packs, snapshots, and all they refer to.",
        discussion: """
            Works on any restic repository. Without --read-data packs are checked by their names \
            and sizes, and trees by reading them. What is found damaged is remembered, so that the \
            next run of its module stores it again from the good file.

            With --json each problem is a line, and the last line has the totals.

            Exit codes: 0 no damage, 3 damage (each one is named).
            """)

    @Flag(help: "Read every pack and compare every blob with its id.")
    var readData = false

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let configuration = try config.load()
        Interruption.install()
        // Not by StoreHandle: it fails on a damaged index, which is to be reported here.
        let store = try StoreAccess.open(
            configuration, backend: try StoreAccess.backend(configuration, creating: false),
            password: try StoreAccess.password(configuration, creating: false))
        let session = StoreSession.newName()
        let lock = try store.lock(session: session)
        let printer = StoreProblemPrinter(json: output.json)
        let started = monotonicSeconds()
        let check = StoreCheck(
            store: store, session: session, options: StoreCheckOptions(readData: readData),
            progress: { packs, bytes in printer.progress(packs, bytes) },
            report: { printer.print($0) })
        let result: StoreCheckResult
        do {
            result = try check.run()
        } catch {
            // The first error is the one to tell; a lock that stays goes with the next command.
            try? lock.release()
            throw error
        }
        try lock.release()
        try printer.finish(result, seconds: monotonicSeconds() - started)
        if !result.isHealthy { throw ExitCode(Exit.partly) }
    }
}

/// Prints what a check of the store finds, as it finds it.
private final class StoreProblemPrinter: Sendable {
    /// People get at most this many lines; programs get all.
    private static let lineLimit = 1000

    private struct State {
        var lines = 0
        var failure: SystemError?
        var shown: Double = 0
        var isDrawn = false
    }

    private struct Line: Encodable {
        var type = "problem"
        var kind: String
        var note: Bool
        var id: String?
        var snapshot: String?
        var path: String?
        /// For names that are not UTF-8.
        var pathB64: Data?
        var message: String
    }

    private struct Totals: Encodable {
        struct Stats: Encodable {
            var apiVersion = 1
            var ok: Bool
            var problems: Int
            var indexFiles: Int
            var packs: Int
            var unlistedPacks: Int
            var blobs: Int
            var snapshots: Int
            var trees: Int
            var files: Int
            var packsRead: Int
            var blobsRead: Int
            var bytesRead: UInt64
            var seconds: Double
        }
        var type = "stats"
        var stats: Stats
    }

    private let json: Bool
    private let isTerminal = Environment.isTerminal(2)
    private let state = Monitor(State())

    init(json: Bool) { self.json = json }

    /// Prints one problem; may be called on any thread.
    func print(_ problem: StoreProblem) {
        state.with { state in
            state.lines += 1
            guard state.failure == nil, json || state.lines <= StoreProblemPrinter.lineLimit
            else { return }
            erase(&state)
            do throws(SystemError) {
                try Print.out(json ? try line(problem) : text(problem))
            } catch {
                state.failure = error
            }
        }
    }

    private func line(_ problem: StoreProblem) throws(SystemError) -> String {
        var line = Line(
            kind: problem.kind.rawValue, note: problem.isNote, id: problem.id?.description,
            snapshot: problem.snapshot?.description, message: problem.message)
        if let path = problem.path {
            line.path = String(validating: path, as: UTF8.self)
            if line.path == nil { line.pathB64 = Data(path) }
        }
        // Encoding strings and numbers has no way to fail.
        return (try? JSON.line(line)) ?? ""
    }

    private func text(_ problem: StoreProblem) -> String {
        var text = problem.isNote ? "note: " : ""
        text += problem.kind.rawValue
        if let id = problem.id { text += " \(id.short)" }
        if let snapshot = problem.snapshot {
            text += " in snapshot \(snapshot.short)"
            text += " at /\(printable(problem.path ?? []))"
        }
        return text + ": \(problem.message)\n"
    }

    /// Shows how far reading is, on a terminal.
    func progress(_ packs: Int, _ bytes: UInt64) {
        guard isTerminal else { return }
        state.with { state in
            guard monotonicSeconds() - state.shown >= 0.2 else { return }
            state.shown = monotonicSeconds()
            state.isDrawn = true
            // Progress is not worth failing for.
            try? Environment.write(
                "\r\(Format.count(Int64(packs))) packs, "
                    + "\(Format.bytes(Int64(clamping: bytes))) read\u{1B}[K", to: 2)
        }
    }

    private func erase(_ state: inout State) {
        guard state.isDrawn else { return }
        state.isDrawn = false
        try? Environment.write("\r\u{1B}[K", to: 2)
    }

    /// Prints the totals.
    func finish(_ result: StoreCheckResult, seconds: Double) throws {
        let (failure, lines) = state.with { state in
            erase(&state)
            return (state.failure, state.lines)
        }
        if let failure { throw failure }
        guard !json else { return try Print.out(JSON.line(totals(result, seconds))) }
        if lines > StoreProblemPrinter.lineLimit {
            try Print.line("… and \(lines - StoreProblemPrinter.lineLimit) more: --json has all")
        }
        var text =
            "\(number(result.snapshots, "snapshot")), \(number(result.trees, "tree")), "
            + "\(number(result.files, "file")), \(number(result.packs, "pack")), "
            + "\(number(result.indexFiles, "index file"))\n"
        if result.packsRead > 0 {
            let rate = Format.bytes(Int64(Double(result.bytesRead) / max(seconds, 0.001)))
            text +=
                "read \(number(result.blobsRead, "blob")) in "
                + "\(number(result.packsRead, "pack")), "
                + "\(Format.bytes(Int64(clamping: result.bytesRead))), \(rate)/s\n"
        }
        text +=
            result.isHealthy
            ? "no damage found\n" : "\(number(result.problems, "problem")) found\n"
        try Print.out(text)
    }

    private func totals(_ result: StoreCheckResult, _ seconds: Double) -> Totals {
        Totals(
            stats: Totals.Stats(
                ok: result.isHealthy, problems: result.problems, indexFiles: result.indexFiles,
                packs: result.packs, unlistedPacks: result.unlistedPacks, blobs: result.blobs,
                snapshots: result.snapshots, trees: result.trees, files: result.files,
                packsRead: result.packsRead, blobsRead: result.blobsRead,
                bytesRead: result.bytesRead, seconds: seconds))
    }

    private func number(_ count: Int, _ noun: String) -> String {
        "\(Format.count(Int64(count))) \(noun)\(count == 1 ? "" : "s")"
    }
}
