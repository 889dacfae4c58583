internal import Dispatcher
internal import JobTable
internal import Platform

/// What `cistern run --dry-run` prints.
struct DryRun {
    /// The JSON document.
    private struct Document: Encodable {
        struct Module: Encodable {
            var name: String
            var path: String
        }
        var pipeline: String
        var stages: [String]
        var workers: Int
        var resumes: String?
        var cancels: String?
        var modules: [Module]
    }

    private let document: Document

    init(
        _ request: RunRequest, _ configuration: Configuration, workers: Int?
    ) throws(Failure) {
        let unfinished = try configuration.existingJobTable()?.unfinishedRun(
            pipeline: request.pipeline.name)
        document = Document(
            pipeline: request.pipeline.name,
            stages: request.pipeline.stages.map(\.kind.rawValue),
            workers: workers ?? request.pipeline.workers ?? configuration.workers,
            resumes: request.fresh ? nil : unfinished?.id,
            cancels: request.fresh ? unfinished?.id : nil,
            modules: request.modules.map { Document.Module(name: $0.name, path: $0.path) })
    }

    func print(_ json: Bool) throws {
        if json { return try Print.out(JSON.document(document)) }
        if let id = document.resumes { try Print.line("would resume run \(id)") }
        if let id = document.cancels { try Print.line("would cancel run \(id) and start anew") }
        var table = Table([.left("MODULE"), .left("PATH")])
        for module in document.modules { table.add([module.name, module.path]) }
        try Print.out(table.text)
        try Print.line(
            "\nwould run \(document.stages.joined(separator: ", ")) over "
                + "\(document.modules.count) modules with \(document.workers) workers")
    }
}
