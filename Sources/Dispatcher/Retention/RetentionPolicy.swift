package import Platform

/// The keep rules of a group of modules: a snapshot goes only when every rule lets it go.
package struct RetentionPolicy: Sendable, Hashable, Codable {
    package var keep: [KeepRule]

    package init(keep: [KeepRule]) { self.keep = keep }

    /// The reason for which the newest snapshot of a module always stays.
    package static let newest = "newest"

    /// Seconds before the newest snapshot beyond which nothing is kept, when all rules that keep
    /// something of any snapshots go by time.
    package var reach: Int64? {
        let spans = keep.filter(\.keepsSomething).map(\.reach)
        return spans.contains(nil) ? nil : spans.compactMap(\.self).max()
    }

    /// What becomes of each of a module's snapshots, the newest first.
    ///
    /// Without rules everything stays. The newest stays whatever the rules say.
    package func decide(
        _ snapshots: [RetentionSnapshot], zone: LocalZone = .system
    ) -> [RetentionDecision] {
        let sorted = snapshots.sorted { $0.isNewer(than: $1) }
        var decisions = sorted.map { RetentionDecision(snapshot: $0, reasons: []) }
        guard !keep.isEmpty else {
            for place in decisions.indices { decisions[place].reasons = ["no rules"] }
            return decisions
        }
        for rule in keep {
            for (place, reason) in rule.reasons(sorted, zone).enumerated() {
                if let reason { decisions[place].reasons.append(reason) }
            }
        }
        if let first = decisions.first, !first.isKept {
            decisions[0].reasons = [RetentionPolicy.newest]
        }
        return decisions
    }
}

/// The keep rules that hold for some modules.
package struct RetentionGroup: Sendable, Hashable, Codable {
    /// Patterns over module names.
    package var modules: [Glob]
    package var policy: RetentionPolicy

    package init(modules: [Glob], policy: RetentionPolicy) {
        self.modules = modules
        self.policy = policy
    }
}
