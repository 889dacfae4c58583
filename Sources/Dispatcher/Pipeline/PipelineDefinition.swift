internal import FoundationEssentials
package import JobTable
package import Platform

/// What a pipeline file says: which modules go through which stages.
package struct PipelineDefinition: Sendable, Hashable, Codable {
    package var name: String
    /// Patterns over module names.
    package var modules: [Glob]
    package var stages: [StageDefinition]
    /// How many worker processes; nil: as cistern.yaml says.
    package var workers: Int?
    /// How many finished lists of each module are kept; nil: as cistern.yaml says.
    package var keepRuns: Int?
    /// Seconds without progress after which a worker is killed.
    package var stallTimeout: Int
    /// How often and when failed jobs are tried again.
    package var retry: RetryPolicy
    /// Whether the store's mirrors are brought up to date at the end; nil: no.
    package var mirror: Bool?

    /// The default of `stall_timeout`: five minutes.
    package static let defaultStallTimeout = 300

    /// Describes a pipeline.
    package init(
        name: String, modules: [Glob], stages: [StageDefinition], workers: Int? = nil,
        keepRuns: Int? = nil, stallTimeout: Int = PipelineDefinition.defaultStallTimeout,
        retry: RetryPolicy = RetryPolicy(), mirror: Bool? = nil
    ) {
        self.name = name
        self.modules = modules
        self.stages = stages
        self.workers = workers
        self.keepRuns = keepRuns
        self.stallTimeout = stallTimeout
        self.retry = retry
        self.mirror = mirror
    }

    /// Those of `modules` that one of the patterns matches, in their order.
    package func select(_ modules: [ModuleDefinition]) -> [ModuleDefinition] {
        modules.filter { module in self.modules.contains { $0.matches(module.name) } }
    }

    /// Reads and checks the file; the failure names every mistake.
    package static func load(_ path: String) throws(Failure) -> PipelineDefinition {
        let (pipeline, problems) = try check(path)
        if let pipeline { return pipeline }
        let errors = problems.filter { $0.severity == .error }
        throw Failure(
            .usage,
            "\(path) has \(errors.count) \(errors.count == 1 ? "mistake" : "mistakes"):\n"
                + errors.map { "  \($0)" }.joined(separator: "\n"))
    }

    /// Reads the file: the pipeline if it has no errors, and every error and warning; with
    /// `modules`, a pipeline that selects none of them gives a warning.
    ///
    /// Throws only when the file itself cannot be read.
    package static func check(
        _ path: String, modules: [ModuleDefinition]? = nil
    ) throws(Failure) -> (PipelineDefinition?, [ConfigurationProblem]) {
        var reader = NodeReader(file: path)
        guard let root = try readYAML(path, &reader) else { return (nil, reader.problems) }
        var builder = PipelineBuilder(path: path, reader: reader)
        builder.known = modules
        return builder.build(root)
    }

    /// The file of the pipeline `name`: `pipelines/NAME.yaml` beside the configuration, or `name`
    /// itself when it has a slash or ends in .yaml.
    package static func find(
        _ name: String, in configuration: Configuration
    ) throws(Failure) -> String {
        if name.contains("/") || name.hasSuffix(".yaml") || name.hasSuffix(".yml") { return name }
        let path = "\(configuration.pipelinesFolder)/\(name).yaml"
        if Path.kind(path) == .file { return path }
        let known = files(besides: configuration.folder).map {
            Path.name(of: $0).dropLast(".yaml".count)
        }
        let guess = nearest(name, known.map(String.init)).map { "Did you mean `\($0)`? " } ?? ""
        throw Failure(
            .usage, "there is no pipeline \(path)",
            hint: guess
                + (known.isEmpty
                    ? "`cistern init` writes two to start from"
                    : "There are: \(known.joined(separator: ", "))"))
    }

    /// The paths of all pipeline files in `pipelines/` of `folder`, sorted.
    package static func files(besides folder: String) -> [String] {
        let folder = folder == "/" ? "/pipelines" : folder + "/pipelines"
        var names: [String] = []
        guard let directory = try? Descriptor.open(folder, [.readOnly, .directory]) else {
            return []
        }
        // A folder that cannot be listed to its end shows in the missing pipeline's message.
        try? directory.readDirectory { name, _ in
            var bytes: [UInt8] = []
            for i in name.indices { bytes.append(name[i]) }
            let text = printable(bytes)
            if text.hasSuffix(".yaml") { names.append("\(folder)/\(text)") }
        }
        return names.sorted()
    }

    /// The definition as JSON, as runs keep it.
    package func encoded() throws(Failure) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        } catch {
            throw Failure(.bug, "cannot encode pipeline \(name)", cause: "\(error)")
        }
    }

    /// Reads `encoded` back.
    package init(encoded text: String) throws(Failure) {
        do {
            self = try JSONDecoder().decode(PipelineDefinition.self, from: Data(text.utf8))
        } catch {
            throw Failure(
                .module, "the run's pipeline definition cannot be read", cause: "\(error)",
                hint: "It was made by another version: start anew with --fresh")
        }
    }
}
