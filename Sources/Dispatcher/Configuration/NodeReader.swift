/// Takes typed values out of YAML nodes and collects every mistake instead of stopping at one.
///
/// Each `read` method returns nil after it has noted what was wrong.
struct NodeReader {
    let file: String
    private(set) var problems: [ConfigurationProblem] = []

    init(file: String) { self.file = file }

    /// Whether an error (not just a warning) was noted.
    var hasErrors: Bool { problems.contains { $0.severity == .error } }

    /// Notes an error.
    mutating func error(_ place: Place, _ message: String, _ hint: String? = nil) {
        note(.error, place, message, hint)
    }

    /// Notes a warning.
    mutating func warning(_ place: Place, _ message: String, _ hint: String? = nil) {
        note(.warning, place, message, hint)
    }

    private mutating func note(
        _ severity: ConfigurationProblem.Severity, _ place: Place, _ message: String,
        _ hint: String?
    ) {
        problems.append(
            ConfigurationProblem(
                severity, file: file, line: place.line, column: place.column, message: message,
                hint: hint))
    }

    /// The entries of a mapping by key.
    ///
    /// Keys outside of `allowed` are errors; `elsewhere` says where some of them belong.
    mutating func mapping(
        _ node: YAMLNode, _ what: String, allowed: [String], elsewhere: [String: String] = [:]
    ) -> [String: YAMLNode.Entry]? {
        let entries: [YAMLNode.Entry]
        switch node.content {
        case .mapping(let list): entries = list
        case .null: entries = []
        default:
            error(
                node.place, "\(what) must be a mapping, not \(node.kind)",
                "allowed keys: \(allowed.joined(separator: ", "))")
            return nil
        }
        var result: [String: YAMLNode.Entry] = [:]
        for entry in entries {
            if allowed.contains(entry.key) {
                result[entry.key] = entry
            } else {
                let guess =
                    elsewhere[entry.key].map { "\($0); " }
                    ?? nearest(entry.key, allowed).map { "did you mean `\($0)`? " } ?? ""
                error(
                    entry.place, "unknown key `\(entry.key)` in \(what)",
                    "\(guess)allowed keys: \(allowed.joined(separator: ", "))")
            }
        }
        return result
    }

    /// A text that is not empty.
    mutating func text(_ node: YAMLNode, _ what: String) -> String? {
        switch node.content {
        case .scalar(let text, _) where !text.isEmpty && !text.utf8.contains(0): return text
        default:
            error(node.place, "\(what) must be a text, not \(node.kind)")
            return nil
        }
    }

    /// A list of texts; one text alone stands for a list of one.
    mutating func texts(_ node: YAMLNode, _ what: String) -> [YAMLNode]? {
        switch node.content {
        case .scalar: return [node]
        case .sequence(let items):
            var good: [YAMLNode] = []
            for item in items where text(item, "each of \(what)") != nil { good.append(item) }
            return good
        default:
            error(node.place, "\(what) must be a list of texts, not \(node.kind)", "[] for none")
            return nil
        }
    }

    /// A whole number within `range`.
    mutating func integer(_ node: YAMLNode, _ what: String, in range: ClosedRange<Int>) -> Int? {
        if case .scalar(let text, plain: true) = node.content, let value = Int(text),
            range.contains(value)
        {
            return value
        }
        error(
            node.place, "\(what) must be a whole number, not \(node.kind)",
            "allowed: \(range.lowerBound) to \(range.upperBound)")
        return nil
    }

    /// `true` or `false`.
    mutating func bool(_ node: YAMLNode, _ what: String) -> Bool? {
        if case .scalar(let text, plain: true) = node.content {
            if text == "true" { return true }
            if text == "false" { return false }
        }
        error(node.place, "\(what) must be true or false, not \(node.kind)", "allowed: true, false")
        return nil
    }

    /// One of the raw values of `Choice`.
    mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ node: YAMLNode, _ what: String, _: Choice.Type = Choice.self
    ) -> Choice? where Choice.RawValue == String {
        if case .scalar(let text, _) = node.content, let value = Choice(rawValue: text) {
            return value
        }
        let names = Choice.allCases.map(\.rawValue)
        var guess = ""
        if case .scalar(let text, _) = node.content, let near = nearest(text, names) {
            guess = "did you mean `\(near)`? "
        }
        error(
            node.place, "\(what) cannot be \(node.kind)",
            "\(guess)allowed: \(names.joined(separator: ", "))")
        return nil
    }

    /// A time in seconds, written as `30s`, `5m`, `2h` or `1d`, within `range` of seconds.
    mutating func seconds(
        _ node: YAMLNode, _ what: String, in range: ClosedRange<Int>
    ) -> Int? {
        if case .scalar(let text, _) = node.content, let unit = text.last,
            let scale = ["s": 1, "m": 60, "h": 3600, "d": 86400][unit],
            let number = Int(text.dropLast()), number >= 0
        {
            let (value, overflow) = number.multipliedReportingOverflow(by: scale)
            if !overflow && range.contains(value) { return value }
        }
        error(
            node.place, "\(what) must be a time, not \(node.kind)",
            "a number with s, m, h or d, from \(range.lowerBound)s to \(range.upperBound)s")
        return nil
    }

    /// Bytes a second, written as a number with K, M or G (of 1024) or without, from 1K on.
    mutating func rate(_ node: YAMLNode, _ what: String) -> Int? {
        if case .scalar(let text, _) = node.content {
            let scales: [Character: Int] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30]
            let scale = text.last.flatMap { scales[$0] }
            if let number = Int(scale == nil ? text[...] : text.dropLast()), number > 0 {
                let (value, overflow) = number.multipliedReportingOverflow(by: scale ?? 1)
                if !overflow && (1024...(1 << 40)).contains(value) { return value }
            }
        }
        error(
            node.place, "\(what) must be bytes a second, not \(node.kind)",
            "a number with K, M or G, from 1K on: 500K, 20M")
        return nil
    }

    /// A list of name patterns.
    mutating func globs(_ node: YAMLNode, _ what: String) -> [Glob]? {
        guard let items = texts(node, what) else { return nil }
        var result: [Glob] = []
        for item in items {
            guard case .scalar(let text, _) = item.content else { continue }
            if let glob = Glob(text) {
                result.append(glob)
            } else {
                error(item.place, "`\(text)` is not a pattern", "`[` without `]`")
            }
        }
        return result
    }
}

/// The candidate that a typing mistake most likely meant, if one is near enough.
func nearest(_ word: String, _ candidates: [String]) -> String? {
    let limit = max(1, min(3, word.utf8.count / 3))
    var best: (String, Int)?
    for candidate in candidates {
        let distance = editDistance(Array(word.utf8), Array(candidate.utf8))
        if distance <= limit && distance < best?.1 ?? .max { best = (candidate, distance) }
    }
    return best?.0
}

/// Insertions, deletions and replacements that make `b` of `a` (Levenshtein); long words are far.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    guard a.count <= 64 && b.count <= 64 else { return .max }
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let replaced = diagonal + (x == y ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
        }
    }
    return row[b.count]
}
