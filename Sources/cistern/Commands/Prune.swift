internal import ArgumentParser
internal import ContentStore
internal import Dispatcher
internal import Platform

/// `cistern prune`: removes the snapshots that no keep rule keeps.
struct Prune: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove the snapshots that no keep rule keeps.",
        discussion: """
            The rules are those of `retention` in the configuration; a module that no group has \
            keeps everything, and every module keeps its newest snapshot. Space comes back with \
            `cistern gc`.

            Nothing is removed when a snapshot is from the future or the clock seems to have jumped.
            """)

    @Argument(help: "The modules; all that are configured without this.")
    var modules: [String] = []

    @Flag(help: "Only tell what would be removed, and why the rest stays.")
    var dryRun = false

    @Flag(
        help: ArgumentHelp(
            "Believe the clock.", discussion: "After more than a year without any snapshot."))
    var trustClock = false

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    private struct Document: Encodable {
        struct Snapshot: Encodable {
            var id: String
            var timeNs: Int64
            var tags: [String]
            var keep: Bool
            var reasons: [String]
        }
        struct Module: Encodable {
            var module: String
            var hasRules: Bool
            var kept: Int
            var removed: Int
            var snapshots: [Snapshot]
        }
        var dryRun: Bool
        var kept: Int
        var removed: Int
        var modules: [Module]
    }

    func run() throws {
        let configuration = try config.load()
        var names: [String] = []
        for name in modules where !names.contains(name) {
            names.append(try configuration.module(name).name)
        }
        if modules.isEmpty { names = configuration.modules.map(\.name) }
        Interruption.install()
        guard configuration.store.scope == .module else {
            return try StoreHandle.open(configuration).during {
                try prune(names, $0, configuration)
            }
        }
        let round = StoreRound(
            configuration: configuration, style: output.json ? .documents : .headings)
        try round.each(names) { own in
            try StoreHandle.open(own).during {
                try prune([own.store.module].compactMap(\.self), $0, own)
            }
        }
    }

    private func prune(
        _ names: [String], _ handle: StoreHandle, _ configuration: Configuration
    ) throws {
        let pruner = Pruner(handle, configuration, trustsClock: trustClock)
        // All are judged before the first one loses anything.
        let plans = try pruner.plan(names)
        if !output.json { try Print.out(table(plans)) }
        var removed = 0
        var document = Document(dryRun: dryRun, kept: 0, removed: 0, modules: [])
        for plan in plans {
            let count =
                dryRun
                ? plan.doomed.count : try pruner.remove(plan) { _ in try Interruption.check() }
            removed += count
            document.modules.append(item(plan, removed: count))
        }
        document.removed = removed
        document.kept = document.modules.reduce(0) { $0 + $1.kept }
        if output.json {
            return try Print.out(JSON.document(document, of: configuration.store.module))
        }
        let without = plans.filter { !$0.hasRules }.map(\.module)
        if !without.isEmpty {
            try Print.line("no keep rules, nothing removed: \(without.joined(separator: " "))")
        }
        try Print.line(
            "\(Format.count(Int64(removed))) \(removed == 1 ? "snapshot" : "snapshots") "
                + (dryRun ? "would be removed, " : "removed, ")
                + "\(Format.count(Int64(document.kept))) kept")
    }

    private func table(_ plans: [PrunePlan]) -> String {
        var table = Table([
            .left("MODULE"), .left("ID"), .left("TIME"), .left(""), .left("WHY"),
        ])
        for plan in plans where plan.hasRules {
            for decision in plan.decisions {
                table.add([
                    plan.module, decision.snapshot.id.short, Format.time(decision.snapshot.time),
                    decision.isKept ? "keep" : "remove",
                    decision.isKept
                        ? decision.reasons.joined(separator: ", ") : "no rule keeps it",
                ])
            }
        }
        return table.text
    }

    private func item(_ plan: PrunePlan, removed: Int) -> Document.Module {
        Document.Module(
            module: plan.module, hasRules: plan.hasRules,
            kept: plan.decisions.filter(\.isKept).count, removed: removed,
            snapshots: plan.decisions.map { decision in
                Document.Snapshot(
                    id: decision.snapshot.id.description,
                    timeNs: Int64(clamping: decision.snapshot.time.nanosecondsSinceEpoch),
                    tags: decision.snapshot.tags, keep: decision.isKept,
                    reasons: decision.reasons)
            })
    }
}
