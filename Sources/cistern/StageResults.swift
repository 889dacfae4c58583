internal import Dispatcher
internal import JobTable
internal import Manifest
internal import Platform
internal import Stages

/// Prints stored lists as whole units.
enum StageResults {
    /// Writes the list of a stage, joined with those before it, to standard output as NDJSON.
    ///
    /// - Throws: `truncated` after the last unit of a list that is not finished, `usage` when there
    ///   is no such list.
    static func write(
        configuration: Configuration, run: String, module: String, stage: StageKind
    ) throws {
        let path = ModuleStates.path(module, configuration)
        guard Path.kind(path) != nil else {
            throw Failure(.usage, "module \(module) has no lists yet")
        }
        let state = try ModuleState(path: path, module: module)
        let all = try state.lists().filter { $0.key.run == run }
        guard let list = all.first(where: { $0.key.stage == stage.rawValue }) else {
            throw Failure(
                .usage, "run \(run) has no list of stage \(stage.rawValue) for module \(module)",
                hint: "Lists of old runs are dropped, see keep_runs")
        }
        let kinds = StageKind.allCases.prefix { $0 != stage }.map(\.rawValue)
        // Dehydrate's list holds whole units; the others add to those before.
        let before =
            stage == .dehydrate
            ? [] : kinds.compactMap { kind in all.first { $0.key.stage == kind } }
        for number in 0..<list.chunks {
            var joined: (firstSeq: Int, units: [Unit]) = (before.first?.units ?? 0, [])
            for info in before + [list] {
                guard let chunk = try state.chunk(info.key, number) else { continue }
                joined = (chunk.firstSeq, try ListDecoder.apply(chunk, to: joined))
            }
            var lines: [UInt8] = []
            for unit in joined.units { Codec.encode(unit, into: &lines) }
            try Environment.write(lines, to: 1)
        }
        guard let stats = list.stats else {
            throw Failure(
                .truncated, "list \(list.key) is not finished: it ends after \(list.units) units")
        }
        try Environment.write(stats, to: 1)
    }
}
