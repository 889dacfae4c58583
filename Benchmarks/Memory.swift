internal import TestSupport

/// Peak memory of each stage against the number of files: it must not grow with them.
enum Memory: String, CaseIterable {
    case wide, small, mixed

    static let limit = 128 << 20

    /// What the command line calls it.
    var name: String { "memory-\(rawValue)" }

    /// Prints the table; the result says whether every figure is within the limit.
    static func measure(_ kinds: [Memory], _ workshop: Workshop) throws -> Bool {
        let counts = workshop.options.quick ? [1000, 10_000] : [10_000, 100_000, 1_000_000]
        let stages = ["manifest", "check", "dehydrate", "hydrate"]
        var rows: [[String]] = []
        var within = true
        for kind in kinds {
            var peaks: [[Int]] = []
            for count in counts {
                progress("memory: \(kind), \(count) files")
                let path =
                    switch kind {
                    case .wide: try workshop.wide(count: count)
                    case .small: try workshop.small(count: count)
                    case .mixed: try workshop.mixed(count: count)
                    }
                peaks.append(try peaksOfStages(workshop, path))
                workshop.drop(path)
            }
            for (i, stage) in stages.enumerated() {
                let values = peaks.map { $0[i] }
                within = within && values.allSatisfy { $0 <= limit }
                rows.append([stage, kind.rawValue] + values.map(mebibytes))
            }
        }
        print("\nPeak memory (limit \(mebibytes(limit))): \(within ? "within" : "NOT within")\n")
        printTable(["stage", "files are"] + counts.map { "\($0)" }, rows)
        return within
    }

    private static func peaksOfStages(_ workshop: Workshop, _ path: String) throws -> [Int] {
        let fleet = try workshop.fleet(path)
        let target = workshop.folder("target")
        defer {
            removeTree(target)
            removeTree(fleet.folder)
        }
        // The list in the module's file first; the tools by hand stream it again.
        let manifest = try fleet.command(["run", "list", "--fresh"]).quiet().run().expect()
        let dehydrate = try fleet.command(["dehydrate", "data"]).quiet().run().expect()
        let check = try fleet.command(["check", "data", "--verify"]).quiet().run().expect()
        let hydrate = try fleet.command(["hydrate", "data", "--to", target]).quiet().run().expect()
        return [manifest.peak, check.peak, dehydrate.peak, hydrate.peak]
    }
}
