internal import JobTable
internal import Platform

/// Turns the nodes of a pipeline file into a `PipelineDefinition`.
struct PipelineBuilder {
    let path: String
    var reader: NodeReader
    /// The configured modules, if they are known.
    var known: [ModuleDefinition]?
    /// Whether the last stage is `mirror`.
    var endsWithMirror = false

    init(path: String, reader: NodeReader) {
        self.path = path
        self.reader = reader
    }

    static let keys = [
        "name", "modules", "stages", "workers", "keep_runs", "stall_timeout", "retry",
    ]
    static let retryKeys = ["attempts", "delay", "max_delay", "max_time"]
    static let elsewhere = ["retention": "the keep rules of all pipelines are in cistern.yaml"]

    mutating func build(_ root: YAMLNode) -> (PipelineDefinition?, [ConfigurationProblem]) {
        guard
            let entries = reader.mapping(
                root, "the pipeline", allowed: Self.keys, elsewhere: Self.elsewhere)
        else { return (nil, reader.problems) }
        let name = readName(entries["name"], root.place)
        let modules = readModules(entries["modules"], root.place)
        let stages = readStages(entries["stages"], root.place)
        let workers = entries["workers"].flatMap {
            reader.integer($0.value, "`workers`", in: 1...1024)
        }
        let keepRuns = entries["keep_runs"].flatMap {
            reader.integer($0.value, "`keep_runs`", in: 1...1000)
        }
        let stall = entries["stall_timeout"].flatMap {
            reader.seconds($0.value, "`stall_timeout`", in: 5...86400)
        }
        let retry = entries["retry"].flatMap { readRetry($0.value) }
        guard !reader.hasErrors, let name else { return (nil, reader.problems) }
        let pipeline = PipelineDefinition(
            name: name, modules: modules, stages: stages, workers: workers, keepRuns: keepRuns,
            stallTimeout: stall ?? PipelineDefinition.defaultStallTimeout,
            retry: retry ?? RetryPolicy(), mirror: endsWithMirror ? true : nil)
        return (pipeline, reader.problems)
    }

    private mutating func readName(_ entry: YAMLNode.Entry?, _ place: Place) -> String? {
        guard let entry else {
            reader.error(place, "`name` is missing", "name: nightly")
            return nil
        }
        guard let name = reader.text(entry.value, "`name`") else { return nil }
        guard ModuleDefinition.isValid(name: name) else {
            reader.error(
                entry.value.place, "`\(name)` cannot name a pipeline", ModuleDefinition.nameRule)
            return nil
        }
        let file = Path.name(of: path)
        if file != "\(name).yaml" && file != "\(name).yml" {
            reader.warning(
                entry.value.place, "the pipeline is called `\(name)` in a file called \(file)",
                "`cistern run` finds it by the file's name, `status` shows the pipeline's")
        }
        return name
    }

    private mutating func readRetry(_ node: YAMLNode) -> RetryPolicy? {
        guard let entries = reader.mapping(node, "`retry`", allowed: Self.retryKeys) else {
            return nil
        }
        var policy = RetryPolicy()
        if let entry = entries["attempts"],
            let value = reader.integer(entry.value, "`attempts`", in: 1...100)
        {
            policy.maximumAttempts = value
            policy.maximumModuleAttempts = min(policy.maximumModuleAttempts, value)
        }
        let times: [(key: String, field: WritableKeyPath<RetryPolicy, Double>)] = [
            ("delay", \.baseDelay), ("max_delay", \.maximumDelay), ("max_time", \.maximumTime),
        ]
        for (key, field) in times {
            guard let entry = entries[key],
                let value = reader.seconds(entry.value, "`\(key)`", in: 0...604_800)
            else { continue }
            policy[keyPath: field] = Double(value)
        }
        return policy
    }

    private mutating func readModules(_ entry: YAMLNode.Entry?, _ place: Place) -> [Glob] {
        guard let entry else {
            reader.error(place, "`modules` is missing", "modules: [\"*\"] for all")
            return []
        }
        let globs = reader.globs(entry.value, "`modules`") ?? []
        if globs.isEmpty && !reader.hasErrors {
            reader.error(entry.value.place, "`modules` is empty", "modules: [\"*\"] for all")
        }
        for glob in globs {
            guard let known, !known.isEmpty, !known.contains(where: { glob.matches($0.name) })
            else { continue }
            reader.warning(entry.value.place, "no module matches `\(glob)`")
        }
        return globs
    }
}
