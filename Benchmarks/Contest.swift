internal import TestSupport

/// One of those who do the same work: what is done before the clock runs, and what is measured.
struct Contestant {
    var name: String
    /// What the command reads: in the page cache when the clock starts to run.
    var reads: String
    /// Makes every run start from the same state; not measured.
    var prepare: () throws -> Void = {}
    var command: () throws -> Command
    /// A look at what the run left behind, so that nothing is fast by doing nothing.
    var verify: (Command.Result) throws -> Void = { _ in }
}

/// The measured runs of one contestant.
struct Score {
    var name: String
    var seconds: [Double] = []
    var processor: [Double] = []
    var peak = 0

    var median: Double { Score.median(seconds) }
    var fastest: Double { seconds.min() ?? 0 }
    var slowest: Double { seconds.max() ?? 0 }

    static func median(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return 0 }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

/// Runs the contestants in turn, A B A B…, so that what else the machine does meets all of them.
func contest(_ contestants: [Contestant], runs: Int) throws -> [Score] {
    var scores = contestants.map { Score(name: $0.name) }
    for round in 0..<runs {
        for (i, contestant) in contestants.enumerated() {
            try contestant.prepare()
            // What the run before has not written yet is not this one's to wait for.
            try Command("sync").run().expect()
            try warm(contestant.reads)
            let result = try contestant.command().run().expect()
            try contestant.verify(result)
            scores[i].seconds.append(result.wall)
            scores[i].processor.append(result.processor)
            scores[i].peak = max(scores[i].peak, result.peak)
            progress("\(contestant.name) \(round + 1)/\(runs): \(seconds(result.wall))")
        }
    }
    return scores
}

/// Reads all files below `path`.
private func warm(_ path: String) throws {
    try Command("sh", ["-c", "find \"$0\" -type f -print0 | xargs -0 cat >/dev/null", path])
        .quiet().run().expect()
}
