internal import ContentStore
internal import Dehydrator
internal import Dispatcher
internal import FoundationEssentials
internal import JobTable
internal import Manifest
internal import Platform
internal import Repairer

/// The options of stages, from pipelines into what the stages themselves take.
enum StageDefinitions {
    private struct Definition: Encodable {
        var stage: StageDefinition
        var module: ModuleDefinition
    }

    /// What a list's definition says: a list is only continued with the same options.
    static func encode(
        _ stage: StageDefinition, _ module: ModuleDefinition
    ) throws(Failure) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        do {
            return Array(try encoder.encode(Definition(stage: stage, module: module)))
        } catch {
            throw Failure(.bug, "a stage's options cannot be encoded", cause: "\(error)")
        }
    }

    /// The statistics in a stored stats line.
    static func stats(_ line: [UInt8]) throws(Failure) -> Stats {
        let end = line.last == 0x0A ? line.count - 1 : line.count
        guard case .stats(let stats) = try Codec.decode(line.span.extracting(..<end)) else {
            throw Failure(.module, "a list does not end with its statistics")
        }
        return stats
    }
}

extension StageDefinition {
    /// Whether the stage's list holds whole units; the others only hold what they add.
    var isFullList: Bool { kind == .manifest || kind == .dehydrate }
}

extension WalkOptions {
    /// How `module` is walked.
    init(_ module: ModuleDefinition) throws(Failure) {
        self.init()
        excludes = try Excludes(module.exclude)
        oneFileSystem = module.oneFileSystem
    }
}

extension RepairPolicy {
    /// The policy of a pipeline's repair stage.
    init(_ options: RepairOptions) {
        let limit: Limit =
            switch options.maxRepairs {
            case .count(let count): .count(UInt64(max(0, count)))
            case .percent(let percent): .percent(percent)
            }
        self.init(
            restoreRotted: options.rotted == .restore,
            restoreRemoved: options.removed == .restore,
            requeueStore: options.store == .requeue, limit: limit)
    }
}

extension Dehydrator.DehydrateOptions {
    /// The options of a pipeline's dehydrate stage.
    init(_ options: Dispatcher.DehydrateOptions, excludes: [String]) {
        self.init(
            compression: .init(options.compression), skipUnchanged: options.skipUnchanged,
            excludes: excludes)
    }
}

extension ContentStore.Compression {
    /// The compression that a pipeline names.
    init(_ compression: Dispatcher.Compression) {
        switch compression {
        case .auto: self = .auto
        case .off: self = .off
        case .max: self = .level(19)
        case .level(let level): self = .level(Int32(clamping: level))
        }
    }
}
