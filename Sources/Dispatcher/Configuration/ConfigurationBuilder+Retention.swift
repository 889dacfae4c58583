internal import Platform

/// The `retention` list: which snapshots of which modules are kept.
extension ConfigurationBuilder {
    static let retentionExample = "retention: [{modules: [\"*\"], keep: [{daily: 14}]}]"
    /// Each names one rule; `regex` is one and narrows `last_n` and `grid` as well.
    static let ruleKeys =
        ["last_n", "grid", "within"] + CalendarPeriod.allCases.map(\.rawValue)
        + CalendarPeriod.allCases.map { "within_\($0)" } + ["tags", "not_mirrored"]
    static let patternKeys = ["regex", "negate"]

    mutating func readRetention(
        _ entry: YAMLNode.Entry?, hasMirrors: Bool
    ) -> [RetentionGroup] {
        guard let entry else { return [] }
        guard case .sequence(let items) = entry.value.content else {
            reader.error(
                entry.value.place, "`retention` must be a list, not \(entry.value.kind)",
                Self.retentionExample)
            return []
        }
        return items.compactMap { readGroup($0, hasMirrors) }
    }

    private mutating func readGroup(_ node: YAMLNode, _ hasMirrors: Bool) -> RetentionGroup? {
        let what = "an item of `retention`"
        guard let entries = reader.mapping(node, what, allowed: ["modules", "keep"]) else {
            return nil
        }
        guard let modulesEntry = entries["modules"], let keepEntry = entries["keep"] else {
            reader.error(
                node.place, "\(what) without `\(entries["modules"] == nil ? "modules" : "keep")`",
                Self.retentionExample)
            return nil
        }
        let globs = reader.globs(modulesEntry.value, "`modules`") ?? []
        for glob in globs where !modules.isEmpty {
            guard !modules.contains(where: { glob.matches($0.definition.name) }) else { continue }
            reader.warning(modulesEntry.value.place, "no module matches `\(glob)`")
        }
        guard case .sequence(let items) = keepEntry.value.content else {
            reader.error(
                keepEntry.value.place,
                "`keep` must be a list of rules, not \(keepEntry.value.kind)",
                "keep: [{last_n: 10}, {daily: 14}]")
            return nil
        }
        let rules = items.compactMap { readRule($0, hasMirrors) }
        // Only judged when every rule is known.
        guard rules.count == items.count, !globs.isEmpty else { return nil }
        guard rules.contains(where: \.keepsSomething) else {
            reader.error(
                keepEntry.value.place, "these rules could remove every snapshot",
                "add one that always keeps some, such as {last_n: 1}: regex, tags and "
                    + "not_mirrored keep only what fits them")
            return nil
        }
        return RetentionGroup(modules: globs, policy: RetentionPolicy(keep: rules))
    }

    private mutating func readRule(_ node: YAMLNode, _ hasMirrors: Bool) -> KeepRule? {
        guard
            let entries = reader.mapping(
                node, "a keep rule", allowed: Self.ruleKeys + Self.patternKeys)
        else { return nil }
        let named = entries.values.filter { Self.ruleKeys.contains($0.key) }
        guard named.count <= 1, let entry = named.first ?? entries["regex"] else {
            reader.error(
                node.place,
                entries.isEmpty
                    ? "a keep rule without a name"
                    : named.isEmpty ? "`negate` without `regex`" : "two rules in one item",
                "one of \((Self.ruleKeys + ["regex"]).joined(separator: ", "))")
            return nil
        }
        guard let pattern = readPattern(entries, node.place) else { return nil }
        if let pattern {
            switch entry.key {
            case "last_n", "grid": break
            case "regex": return .matching(pattern)
            default:
                reader.error(
                    entry.place, "`regex` cannot narrow `\(entry.key)`",
                    "it is a rule of its own, or narrows last_n and grid")
                return nil
            }
        }
        return rule(entry, pattern, hasMirrors)
    }

    private mutating func rule(
        _ entry: YAMLNode.Entry, _ pattern: SnapshotPattern?, _ hasMirrors: Bool
    ) -> KeepRule? {
        switch entry.key {
        case "last_n": return readCount(entry).map { .last($0, pattern) }
        case "grid": return readGrid(entry.value).map { .grid($0, pattern) }
        case "within": return readSpan(entry).map { .within($0) }
        case "tags": return readTags(entry.value).map { .tags($0) }
        case "not_mirrored": return readNotMirrored(entry, hasMirrors)
        default: break
        }
        if let period = CalendarPeriod(rawValue: entry.key) {
            return readCount(entry).map { .periods(period, $0) }
        }
        guard let period = CalendarPeriod(rawValue: String(entry.key.dropFirst("within_".count)))
        else { return nil }
        return readSpan(entry).map { .periodsWithin(period, $0) }
    }

    /// The pattern, nil when the rule has none; nil in nil after a mistake.
    private mutating func readPattern(
        _ entries: [String: YAMLNode.Entry], _ place: Place
    ) -> SnapshotPattern?? {
        guard let entry = entries["regex"] else {
            guard entries["negate"] == nil else {
                reader.error(place, "`negate` without `regex`")
                return nil
            }
            return .some(nil)
        }
        var negated = false
        if let negate = entries["negate"] {
            guard let value = reader.bool(negate.value, "`negate`") else { return nil }
            negated = value
        }
        guard let text = reader.text(entry.value, "`regex`") else { return nil }
        do throws(Failure) {
            return .some(try SnapshotPattern(text, negated: negated))
        } catch {
            reader.error(entry.value.place, error.message, error.cause)
            return nil
        }
    }

    private mutating func readCount(_ entry: YAMLNode.Entry) -> KeepCount? {
        if case .scalar(let text, _) = entry.value.content {
            if text == "all" || text == "-1" { return .all }
            if let count = Int(text), (1...1_000_000).contains(count) { return .atMost(count) }
        }
        reader.error(
            entry.value.place, "`\(entry.key)` cannot be \(entry.value.kind)",
            "allowed: 1 to 1000000, or all")
        return nil
    }

    private mutating func readSpan(_ entry: YAMLNode.Entry) -> CalendarSpan? {
        if case .scalar(let text, _) = entry.value.content, let span = CalendarSpan(text) {
            return span
        }
        reader.error(
            entry.value.place, "`\(entry.key)` cannot be \(entry.value.kind)",
            "years, months, days and hours, such as 30d or 1y5m7d2h")
        return nil
    }

    private mutating func readGrid(_ node: YAMLNode) -> RetentionGrid? {
        guard let text = reader.text(node, "`grid`") else { return nil }
        do throws(RetentionGrid.Mistake) {
            return try RetentionGrid(text)
        } catch {
            reader.error(
                node.place, "in `grid`: \(error.message)", "such as 1x1h(keep=all) | 24x1h | 14x1d")
            return nil
        }
    }

    private mutating func readTags(_ node: YAMLNode) -> [String]? {
        guard let items = reader.texts(node, "`tags`") else { return nil }
        let tags = items.compactMap {
            if case .scalar(let text, _) = $0.content, !text.isEmpty { text } else { nil }
        }
        guard !tags.isEmpty else {
            reader.error(node.place, "`tags` is empty", "tags: [keep]")
            return nil
        }
        return tags
    }

    private mutating func readNotMirrored(
        _ entry: YAMLNode.Entry, _ hasMirrors: Bool
    ) -> KeepRule? {
        guard let value = reader.bool(entry.value, "`not_mirrored`") else { return nil }
        guard value else {
            reader.error(entry.value.place, "`not_mirrored` can only be true", "or remove it")
            return nil
        }
        guard hasMirrors else {
            reader.error(
                entry.place, "`not_mirrored` in a store without mirrors",
                "it would keep everything for ever")
            return nil
        }
        return .notMirrored
    }
}
