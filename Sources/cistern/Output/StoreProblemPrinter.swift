internal import Checker
internal import ContentStore
internal import FoundationEssentials
internal import Platform
internal import Repairer

/// Prints what a check of the store finds, as it finds it.
final class StoreProblemPrinter: Sendable {
    /// People get at most this many lines; programs get all.
    private static let lineLimit = 1000
    /// The same for files that damage costs.
    private static let hitLimit = 50

    private struct State {
        var lines = 0
        var hits = 0
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
        var place: String?
        var since: String?
        var message: String
    }

    private struct HitLine: Encodable {
        var type = "hit"
        var module: String?
        var snapshot: String
        var time: String
        var path: String?
        /// For names that are not UTF-8.
        var pathB64: Data?
        /// The directory's tree, when it is a directory.
        var tree: String?
        /// Parts of the file's content that have no good copy.
        var missing: Int?
        var blobs: [String]?
    }

    private struct RepairLine: Encodable {
        var type = "repair"
        var action: String
        var object: String
        var place: String
        var from: String?
        var plan: Bool
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
            var complete: Bool
            var places: [Place]
            var packsRead: Int
            var blobsRead: Int
            var bytesRead: UInt64
            var seconds: Double
        }
        /// What is proven at one place.
        struct Place: Encodable {
            var location: String
            var level: String
            var complete: Bool
            var objects: Int
            var bytes: UInt64
            var readObjects: Int
            var readBytes: UInt64
            var coveredObjects: Int
            var coveredBytes: UInt64
            var neverObjects: Int
            var oldest: String?
            var bad: Int
            var vanished: Int
        }
        var type = "stats"
        var stats: Stats
    }

    private let json: Bool
    /// Whose own store it is, if it is one module's.
    private let module: String?
    private let isTerminal = Environment.isTerminal(2)
    private let state = Monitor(State())

    init(json: Bool, module: String? = nil) {
        self.json = json
        self.module = module
    }

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
            snapshot: problem.snapshot?.description, place: problem.place,
            since: problem.since.map { Format.time($0) }, message: problem.message)
        if let path = problem.path {
            line.path = String(validating: path, as: UTF8.self)
            if line.path == nil { line.pathB64 = Data(path) }
        }
        // Encoding strings and numbers has no way to fail.
        return (try? JSON.line(line, of: module)) ?? ""
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

    /// Prints what a repair did, or would do.
    func print(repair event: StoreRepairEvent) {
        let text =
            (event.isPlan ? "would be " : "") + "\(event.action.rawValue) at \(event.place): "
            + event.message + "\n"
        state.with { state in
            guard state.failure == nil else { return }
            erase(&state)
            do throws(SystemError) {
                try Print.out(json ? line(event) : text)
            } catch {
                state.failure = error
            }
        }
    }

    private func line(_ event: StoreRepairEvent) -> String {
        let line = RepairLine(
            action: event.action.rawValue, object: event.key.description, place: event.place,
            from: event.from, plan: event.isPlan, message: event.message)
        // Encoding strings and numbers has no way to fail.
        return (try? JSON.line(line, of: module)) ?? ""
    }

    /// Tells what a repair came to.
    func tellRepaired(_ result: StoreRepairResult) {
        guard !json else { return }
        Print.note(
            "repaired: \(number(result.copied, "object")) copied, "
                + "\(number(result.stored, "blob")) stored again, "
                + "\(number(result.retired, "object")) retired, \(result.left) left as they are; "
                + "checking again")
    }

    /// Begins to tell what is damaged after a repair.
    func startAgain() {
        state.with { state in
            state.lines = 0
            state.hits = 0
        }
    }

    /// Prints what damage costs: one file or directory of one snapshot.
    func print(hit: DamagedPath) {
        state.with { state in
            state.hits += 1
            let module = hit.module ?? hit.snapshot.snapshot.paths.joined(separator: ",")
            guard state.failure == nil, json || state.hits <= StoreProblemPrinter.hitLimit
            else { return }
            erase(&state)
            let what = hit.tree == nil ? "file" : "directory"
            let text =
                "lost: \(what) /\(printable(hit.path)) of \(module) in snapshot "
                + "\(hit.snapshot.id.short) of \(Format.time(hit.snapshot.snapshot.time))\n"
            do throws(SystemError) {
                try Print.out(json ? line(hit) : text)
            } catch {
                state.failure = error
            }
        }
    }

    private func line(_ hit: DamagedPath) -> String {
        var line = HitLine(
            module: hit.module, snapshot: hit.snapshot.id.description,
            time: Format.time(hit.snapshot.snapshot.time), tree: hit.tree?.description)
        line.path = String(validating: hit.path, as: UTF8.self)
        if line.path == nil { line.pathB64 = Data(hit.path) }
        if hit.tree == nil {
            line.missing = hit.missing.count
            line.blobs = hit.missing.prefix(100).map { hit.content[$0].description }
        }
        // Encoding strings and numbers has no way to fail.
        return (try? JSON.line(line, of: module)) ?? ""
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
        let (failure, lines, hits) = state.with { state in
            erase(&state)
            return (state.failure, state.lines, state.hits)
        }
        if let failure { throw failure }
        guard !json else { return try Print.out(JSON.line(totals(result, seconds), of: module)) }
        if lines > StoreProblemPrinter.lineLimit {
            try Print.line("… and \(lines - StoreProblemPrinter.lineLimit) more: --json has all")
        }
        if hits > StoreProblemPrinter.hitLimit {
            try Print.line(
                "… and \(hits - StoreProblemPrinter.hitLimit) more files: --json has all")
        }
        var text = ""
        if result.packs > 0 || result.snapshots > 0 {
            text +=
                "\(number(result.snapshots, "snapshot")), \(number(result.trees, "tree")), "
                + "\(number(result.files, "file")), \(number(result.packs, "pack")), "
                + "\(number(result.indexFiles, "index file"))\n"
        }
        if result.packsRead > 0 {
            let rate = Format.bytes(Int64(Double(result.bytesRead) / max(seconds, 0.001)))
            text +=
                "read \(number(result.blobsRead, "blob")) in "
                + "\(number(result.packsRead, "pack")), "
                + "\(Format.bytes(Int64(clamping: result.bytesRead))), \(rate)/s\n"
        }
        for place in result.places { text += coverage(place) }
        if result.treesStopped {
            text += "part run: the time was over before all trees were read\n"
        }
        text +=
            result.isHealthy
            ? "no damage found\n" : "\(number(result.problems, "problem")) found\n"
        try Print.out(text)
    }

    private func coverage(_ place: PlaceReport) -> String {
        let coverage = place.coverage
        let share =
            coverage.bytes > 0
            ? Int(Double(coverage.coveredBytes) / Double(coverage.bytes) * 100) : 100
        var text =
            "\(place.location): \(place.level.word): "
            + "\(Format.count(Int64(coverage.coveredObjects))) of "
            + "\(number(coverage.objects, "object")) covered, "
            + "\(Format.bytes(Int64(clamping: coverage.coveredBytes))) of "
            + "\(Format.bytes(Int64(clamping: coverage.bytes))) (\(share) %)"
        if let oldest = coverage.oldest { text += ", the oldest \(Format.time(oldest))" }
        if coverage.neverObjects > 0 {
            text += ", \(Format.count(Int64(coverage.neverObjects))) never"
        }
        text += "\n"
        if !coverage.isComplete {
            text += "part run: \(number(place.run.objects, "object")) read of "
            text += "\(Format.count(Int64(place.run.dueObjects))) that were due\n"
        }
        if place.vanished > 0 {
            text += "\(number(place.vanished, "object")) went away since the last check\n"
        }
        return text
    }

    private func totals(_ result: StoreCheckResult, _ seconds: Double) -> Totals {
        Totals(
            stats: Totals.Stats(
                ok: result.isHealthy, problems: result.problems, indexFiles: result.indexFiles,
                packs: result.packs, unlistedPacks: result.unlistedPacks, blobs: result.blobs,
                snapshots: result.snapshots, trees: result.trees, files: result.files,
                complete: !result.treesStopped
                    && result.places.allSatisfy(\.coverage.isComplete),
                places: result.places.map(place), packsRead: result.packsRead,
                blobsRead: result.blobsRead,
                bytesRead: result.bytesRead, seconds: seconds))
    }

    private func place(_ report: PlaceReport) -> Totals.Place {
        let coverage = report.coverage
        return Totals.Place(
            location: report.location, level: report.level.word, complete: coverage.isComplete,
            objects: coverage.objects, bytes: coverage.bytes, readObjects: report.run.objects,
            readBytes: report.run.bytes, coveredObjects: coverage.coveredObjects,
            coveredBytes: coverage.coveredBytes, neverObjects: coverage.neverObjects,
            oldest: coverage.oldest.map { Format.time($0) }, bad: coverage.bad,
            vanished: report.vanished)
    }

    private func number(_ count: Int, _ noun: String) -> String {
        "\(Format.count(Int64(count))) \(noun)\(count == 1 ? "" : "s")"
    }
}
