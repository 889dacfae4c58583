/// The `stages` list: each item is a stage's name, or its name with options.
extension PipelineBuilder {
    static let stageNames = StageKind.allCases.map(\.rawValue) + [mirrorStage]
    /// The stage that comes once, for the store, when all modules are through the others.
    static let mirrorStage = "mirror"
    static let laterStages = ["hydrate", "scrub"]

    mutating func readStages(_ entry: YAMLNode.Entry?, _ place: Place) -> [StageDefinition] {
        let example = "stages: [manifest, check, repair, dehydrate]"
        guard let entry else {
            reader.error(place, "`stages` is missing", example)
            return []
        }
        guard case .sequence(let all) = entry.value.content, !all.isEmpty else {
            reader.error(entry.value.place, "`stages` must be a list of stages", example)
            return []
        }
        var stages: [(stage: StageDefinition, place: Place)] = []
        var items = all[...]
        if let last = items.last, case .scalar(Self.mirrorStage, _) = last.content {
            endsWithMirror = true
            items.removeLast()
        }
        for item in items {
            if let stage = readStage(item) { stages.append((stage, item.place)) }
        }
        // The order is only judged when every stage is known: else it would blame the wrong one.
        if stages.count == items.count { checkOrder(stages) }
        if items.isEmpty {
            reader.error(
                entry.value.place, "`mirror` is the only stage",
                "`cistern store mirror` does it alone")
        }
        return stages.map(\.stage)
    }

    private mutating func readStage(_ node: YAMLNode) -> StageDefinition? {
        switch node.content {
        case .scalar(let name, _):
            return stage(name, node.place, YAMLNode(content: .mapping([]), place: node.place))
        case .mapping(let entries):
            guard let first = entries.first, entries.count == 1 else {
                reader.error(
                    node.place, "a stage has one name, not \(entries.count)",
                    "- check: {verify: true}")
                return nil
            }
            return stage(first.key, first.place, first.value)
        default:
            reader.error(
                node.place, "a stage cannot be \(node.kind)",
                "allowed: \(Self.stageNames.joined(separator: ", "))")
            return nil
        }
    }

    private mutating func stage(
        _ name: String, _ place: Place, _ options: YAMLNode
    ) -> StageDefinition? {
        switch StageKind(rawValue: name) {
        case .manifest: return .manifest(manifest(options))
        case .check: return .check(check(options))
        case .repair: return .repair(repair(options))
        case .dehydrate: return .dehydrate(dehydrate(options))
        case .prune:
            _ = reader.mapping(options, "stage `prune`", allowed: [])
            return .prune
        case nil where name == Self.mirrorStage:
            reader.error(
                place, "stage `mirror` comes last, once and without options",
                "it copies the store when all modules are done")
            return nil
        case nil:
            let allowed = "allowed: \(Self.stageNames.joined(separator: ", "))"
            if Self.laterStages.contains(name) {
                reader.error(
                    place, "stage `\(name)` is not supported in pipelines by this version", allowed)
            } else {
                let guess = nearest(name, Self.stageNames).map { "did you mean `\($0)`? " } ?? ""
                reader.error(place, "unknown stage `\(name)`", guess + allowed)
            }
            return nil
        }
    }

    private mutating func checkOrder(_ stages: [(stage: StageDefinition, place: Place)]) {
        guard let first = stages.first else { return }
        if first.stage.kind != .manifest {
            reader.error(
                first.place, "the first stage must be manifest, not \(first.stage.kind.rawValue)",
                "each stage reads the list of the one before")
        }
        var highest = -1
        var seen: [StageKind] = []
        for (stage, place) in stages {
            let rank = StageKind.allCases.firstIndex(of: stage.kind) ?? 0
            if seen.contains(stage.kind) {
                reader.error(place, "stage `\(stage.kind.rawValue)` comes twice")
            } else if rank < highest {
                reader.error(
                    place, "stage `\(stage.kind.rawValue)` comes too late",
                    "the order is \(Self.stageNames.joined(separator: ", "))")
            } else if stage.kind == .repair && !seen.contains(.check) {
                reader.error(place, "stage `repair` needs `check` before it")
            } else if stage.kind == .prune && !seen.contains(.dehydrate) {
                // Or a module that is not stored any more would still lose snapshots.
                reader.error(
                    place, "stage `prune` needs `dehydrate` before it",
                    "`cistern prune` does it alone")
            }
            highest = max(highest, rank)
            seen.append(stage.kind)
        }
    }

    private mutating func manifest(_ node: YAMLNode) -> ManifestOptions {
        var options = ManifestOptions()
        let entries = reader.mapping(node, "stage `manifest`", allowed: ["one_file_system"])
        if let entry = entries?["one_file_system"] {
            options.oneFileSystem = reader.bool(entry.value, "`one_file_system`")
        }
        return options
    }

    private mutating func check(_ node: YAMLNode) -> CheckOptions {
        var options = CheckOptions()
        let entries = reader.mapping(node, "stage `check`", allowed: ["verify"])
        if let entry = entries?["verify"], let verify = reader.bool(entry.value, "`verify`") {
            options.verify = verify
        }
        return options
    }

    private mutating func repair(_ node: YAMLNode) -> RepairOptions {
        var options = RepairOptions()
        let keys = ["rotted", "removed", "store", "max_repairs"]
        guard let entries = reader.mapping(node, "stage `repair`", allowed: keys) else {
            return options
        }
        if let entry = entries["rotted"],
            let value: RepairOptions.Rotted = reader.choice(
                entry.value, "`rotted`")
        {
            options.rotted = value
        }
        if let entry = entries["removed"],
            let value: RepairOptions.Removed = reader.choice(
                entry.value, "`removed`")
        {
            options.removed = value
        }
        if let entry = entries["store"],
            let value: RepairOptions.Store = reader.choice(
                entry.value, "`store`")
        {
            options.store = value
        }
        if let entry = entries["max_repairs"], let limit = repairLimit(entry.value) {
            options.maxRepairs = limit
        }
        return options
    }

    private mutating func repairLimit(_ node: YAMLNode) -> RepairLimit? {
        if case .scalar(let text, _) = node.content {
            if let count = Int(text), count >= 0 { return .count(count) }
            if text.hasSuffix("%"), let percent = Double(text.dropLast()), percent >= 0,
                percent <= 100
            {
                return .percent(percent)
            }
        }
        reader.error(
            node.place, "`max_repairs` cannot be \(node.kind)",
            "allowed: a number of units such as 100, or a share such as 10%")
        return nil
    }

    private mutating func dehydrate(_ node: YAMLNode) -> DehydrateOptions {
        var options = DehydrateOptions()
        let keys = ["compression", "skip_unchanged"]
        guard let entries = reader.mapping(node, "stage `dehydrate`", allowed: keys) else {
            return options
        }
        if let entry = entries["compression"], let value = compression(entry.value) {
            options.compression = value
        }
        if let entry = entries["skip_unchanged"],
            let value = reader.bool(entry.value, "`skip_unchanged`")
        {
            options.skipUnchanged = value
        }
        return options
    }

    private mutating func compression(_ node: YAMLNode) -> Compression? {
        if case .scalar(let text, _) = node.content {
            switch text {
            case "auto": return .auto
            case "off": return .off
            case "max": return .max
            default: if let level = Int(text), (1...19).contains(level) { return .level(level) }
            }
        }
        reader.error(
            node.place, "`compression` cannot be \(node.kind)",
            "allowed: auto, off, max, or a level from 1 to 19")
        return nil
    }
}
