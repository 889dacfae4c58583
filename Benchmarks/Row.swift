internal import TestSupport

/// A row of the table: some work, who does it, and how much faster than the peer is aimed at.
struct Row: Sendable {
    let name: String
    let work: String
    /// The ratio to reach: the peer's time through Cistern's.
    let target: Double
    let contestants: @Sendable (Workshop) throws -> [Contestant]

    /// The rows in the order of the budget.
    static var all: [Row] {
        [
            .manifest, .checkVerify, .dehydrateSmall, .dehydrateLarge, .dehydrateUnchanged,
            .storeCheckSmall, .storeCheckLarge, .storeSums, .hydrateSmall, .hydrateLarge,
            .garbage, .mirror, .storeCheckS3, .hydrateSmallS3, .hydrateLargeS3, .mirrorS3,
        ]
    }

    static let header = [
        "work", "who", "median", "min … max", "processor", "peak", "ratio", "to reach",
    ]

    /// Measures the row and gives its lines of the table: Cistern first, then each peer.
    func measure(_ workshop: Workshop) throws -> [[String]] {
        progress("\(name): \(work)")
        let scores = try contest(try contestants(workshop), runs: workshop.options.runs)
        guard let own = scores.first else { return [] }
        return scores.enumerated().map { i, score in
            let ratio = score.median / own.median
            let verdict = ratio >= target ? "reached" : "missed"
            return [
                i == 0 ? work : "", score.name, seconds(score.median),
                "\(fixed(score.fastest, 3)) … \(fixed(score.slowest, 3))",
                seconds(Score.median(score.processor)), mebibytes(score.peak),
                i == 0 ? "" : "\(fixed(ratio, 2)) ×",
                // What stands in brackets is another of our own ways.
                i == 0 || score.name.hasPrefix("(") ? "" : "≥ \(fixed(target, 1)) × \(verdict)",
            ]
        }
    }
}
