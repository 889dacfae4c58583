import Foundation
import Platform
import TestSupport
import Testing

/// One undisturbed run, and the same run disturbed again and again, each from the same start.
///
/// The start has work for every stage: a module with a snapshot that has changed since, and a store
/// with damaged content, which repair puts back from the module. The module is never written to,
/// so the runs have to end with the same lists and the same tree.
struct Trial {
    static let stages = ["manifest", "check", "repair", "dehydrate"]

    let start: Fleet
    let reference: Fleet
    let restic: Restic
    let lists: [String: [JSON]]
    let tree: String
    /// The places that the undisturbed run came by, in order.
    let places: [CrashPlace]
    /// How long each stage took in the undisturbed run, in seconds.
    let durations: [Double]
    private let duplicates: Int
    private let startIndex: [String: StoreContents]

    /// Makes the start in the test's folder and runs it undisturbed.
    init(files: Int) throws {
        restic = try #require(Restic.all.last, "the judge of these tests, restic, is not installed")
        let scene = try Scene { corpus, path in
            try corpus.small("\(path)/small", count: files)
            try corpus.large("\(path)/large", count: 2, size: 5 << 20)
            try corpus.nasty("\(path)/nasty")
        }
        start = scene.fleet
        try start.cistern("run", "nightly")
        var corpus = Corpus(seed: 3)
        _ = try corpus.churn(scene.module + "/small")
        // Wholly new content of many chunks, so that dehydrate has packs to write.
        try corpus.large("\(scene.module)/more", count: 2, size: 17 << 20)
        let contents = try StoreContents(start, restic)
        for blob in contents.blobs.filter({ !$0.isTree }).sorted(by: { $0.id < $1.id }).prefix(6) {
            try start.damage(blob)
        }

        var startIndex: [String: StoreContents] = [:]
        for id in start.objects("index") {
            startIndex[id] = try StoreContents(index: id, start, restic)
        }
        self.startIndex = startIndex
        reference = try start.copy(to: folder()("reference"))
        let log = try folder()("places")
        durations = try Trial.watch(reference.command(["run", "verify"]).noting(log).start(), log)
        places = try CrashPlace.read(log)
        var lists: [String: [JSON]] = [:]
        for stage in Trial.stages {
            lists[stage] = try UnitStream(reference.results("data", stage, of: "verify")).comparable
        }
        self.lists = lists
        tree = try reference.rootTree(restic, "data")
        duplicates = try StoreContents(reference, restic, known: startIndex).duplicates
    }

    /// Follows a run by its crash points and notes how long each stage took.
    private static func watch(_ running: RunningCommand, _ log: String) throws -> [Double] {
        var durations: [Double] = []
        var began = monotonicSeconds()
        while durations.count < stages.count {
            let next = durations.count + 1
            guard running.wait(until: { _ in finishedStages(log) >= next }) else { break }
            durations.append(monotonicSeconds() - began)
            began = monotonicSeconds()
        }
        try running.wait().expect()
        guard durations.count == stages.count else {
            throw TestError("only \(durations.count) stages were seen in \(log)")
        }
        return durations
    }

    /// How many stages have ended, by the crash points in `log`.
    static func finishedStages(_ log: String) -> Int {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").count { $0.hasPrefix("list-finished:") }
    }

    /// Runs from the start in a folder of its own, lets `disturb` do its worst, resumes until the
    /// run is done, and compares with the undisturbed run.
    ///
    /// - Parameters:
    ///   - thorough: read all content of the result too, not only lists and ids.
    ///   - prepare: lets the first run die, or note where it is.
    func run(
        _ name: String, thorough: Bool = true, prepare: (Command) -> Command,
        disturb: (RunningCommand, Fleet) throws -> Void
    ) throws {
        let began = monotonicSeconds()
        let fleet = try start.copy(to: folder()("trial"))
        defer { removeTree(fleet.folder) }
        let running = try prepare(fleet.command(["run", "verify"])).start()
        try disturb(running, fleet)
        var last = try running.wait()
        try running.waitForDescendants()
        var attempts = 1
        // A kill may come when the run is over already: then there is nothing to resume.
        while try last.status != .exited(0)
            && fleet.runs(of: "verify").first?["state"].string != "done"
        {
            attempts += 1
            guard attempts < 5 else { throw TestError("\(name): not done after 5 runs: \(last)") }
            last = try fleet.command(["run", "verify"]).run()
        }
        let compared = monotonicSeconds()
        let hasEnded = last.status == .exited(0)
        try compare(fleet, name, thorough && hasEnded)
        // What was killed when its run was over leaves its locks to the next run.
        if !hasEnded { try fleet.cistern("run", "verify") }
        #expect(fleet.objects("locks") == [], "\(name): a lock was left behind")
        print(
            "\(name): \(attempts) runs in \(seconds(compared - began)),",
            "compared in \(seconds(monotonicSeconds() - compared))")
        fflush(nil)
    }

    private func compare(_ fleet: Fleet, _ name: String, _ thorough: Bool) throws {
        let codes = try fleet.runs(of: "verify").map { $0["exit_code"].integer }
        #expect(codes == [0], "\(name): the run that was disturbed was not gone on with")
        for stage in Trial.stages {
            let list = try UnitStream(fleet.results("data", stage, of: "verify")).comparable
            let expected = lists[stage] ?? []
            let differing = zip(list, expected).first { $0 != $1 }
            #expect(
                list.count == expected.count && differing == nil,
                "\(name): the list of \(stage) differs: \(list.count) units against \(expected.count): \(differing.map { "\($0)" } ?? "")"
            )
        }
        #expect(try fleet.rootTree(restic, "data") == tree, "\(name): another tree")
        let contents = try StoreContents(fleet, restic, known: startIndex)
        let onDisk = Set(fleet.objects("data").map { String($0.suffix(64)) })
        #expect(onDisk.subtracting(contents.packs) == [], "\(name): packs that no index names")
        #expect(contents.packs.subtracting(onDisk) == [], "\(name): packs that are not there")
        // The open batch may be uploaded twice, nothing else.
        #expect(
            contents.duplicates - duplicates <= 1024,
            "\(name): \(contents.duplicates - duplicates) blobs were uploaded again")
        if thorough { try compareContent(fleet, name) }
    }

    /// restic finds no fault, and all that the snapshot needs is there and good.
    ///
    /// The damaged packs of the start lie there as they were; what was put back is elsewhere.
    private func compareContent(_ fleet: Fleet, _ name: String) throws {
        let check = try fleet.restic(restic, "check")
        #expect(check.text.contains("no errors were found"), "\(name): \(check)")
        let target = try folder()("restored")
        defer { removeTree(target) }
        try fleet.cistern("hydrate", "data", "--to", target)
        let differences = try TreeComparison.differences(start.modules["data"] ?? "", target)
        #expect(differences == [], "\(name)")
    }
}

private func seconds(_ value: Double) -> String { String(format: "%.1f s", value) }
