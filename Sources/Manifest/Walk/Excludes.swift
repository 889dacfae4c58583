package import Platform

/// Patterns that leave files out of a module, as in gitignore(5).
///
/// - `*` and `?` and `[a-z]` do not match a slash; `**` as a whole component matches any number of
///   components; a backslash takes the next character as it is.
/// - A pattern with a slash at the start or inside is anchored at the module's root, others match a
///   name at any depth. A slash at the end matches directories only.
/// - `!` at the start takes back what an earlier pattern left out; the last pattern that matches
///   decides. What is inside of an excluded directory stays out.
package struct Excludes: Sendable {
    private var rules: [Rule] = []
    private var needComponents = false

    private struct Rule {
        var components: [GlobComponent]
        var isNegated: Bool
        var isForDirectories: Bool
        var isAnchored: Bool
    }

    /// Leaves nothing out.
    package init() {}

    /// Compiles `patterns`.
    ///
    /// Throws a `usage` failure that names the first bad one.
    package init(_ patterns: [String]) throws(Failure) {
        for pattern in patterns { rules.append(try Excludes.compile(pattern)) }
        needComponents = rules.contains { $0.isAnchored }
    }

    /// Whether nothing is left out.
    package var isEmpty: Bool { rules.isEmpty }

    /// Whether the entry `path` is left out, given that no directory above it is.
    package func excludes(_ path: [UInt8], isDirectory: Bool) -> Bool {
        if rules.isEmpty || path.isEmpty { return false }
        let slash = UInt8(ascii: "/")
        let components = needComponents ? path.split(separator: slash) : []
        let name = components.last ?? path[(path.lastIndex(of: slash).map { $0 + 1 } ?? 0)...]
        for rule in rules.reversed() {
            if rule.isForDirectories && !isDirectory { continue }
            let matches =
                rule.isAnchored
                ? matchPath(rule.components, components) : rule.components[0].matches(name)
            if matches { return !rule.isNegated }
        }
        return false
    }

    private static func compile(_ pattern: String) throws(Failure) -> Rule {
        func bad(_ why: String) -> Failure {
            Failure(
                .usage, "bad exclude pattern \"\(pattern)\"", cause: why,
                hint: "Patterns are those of gitignore(5)")
        }
        var bytes = ArraySlice(Array(pattern.utf8))
        let isNegated = bytes.first == UInt8(ascii: "!")
        if isNegated { bytes = bytes.dropFirst() }
        let slash = UInt8(ascii: "/")
        let isForDirectories = bytes.last == slash
        if isForDirectories { bytes = bytes.dropLast() }
        let isAnchored = bytes.contains(slash)
        if bytes.first == slash { bytes = bytes.dropFirst() }
        guard !bytes.isEmpty else { throw bad("it is empty") }
        guard !bytes.contains(0) else { throw bad("it contains a NUL") }
        var components: [GlobComponent] = []
        for part in bytes.split(separator: slash, omittingEmptySubsequences: false) {
            guard !part.isEmpty else { throw bad("it contains an empty name") }
            guard part != [0x2E], part != [0x2E, 0x2E] else {
                throw bad("no file is named . or ..")
            }
            do throws(GlobError) {
                components.append(try GlobComponent(part))
            } catch {
                throw bad(error.reason)
            }
        }
        return Rule(
            components: components, isNegated: isNegated, isForDirectories: isForDirectories,
            isAnchored: isAnchored)
    }
}

/// Matches a whole path; `**` stands for any number of components, at the end for at least one.
private func matchPath(_ pattern: [GlobComponent], _ path: [ArraySlice<UInt8>]) -> Bool {
    var p = 0
    var n = 0
    // Where to go on when a match fails: behind the last ** with one component more under it.
    var retry: (p: Int, n: Int)?
    while true {
        if p < pattern.count, pattern[p].isAnyDepth {
            if p + 1 == pattern.count { return n < path.count }
            retry = (p + 1, n)
            p += 1
        } else if p < pattern.count, n < path.count, pattern[p].matches(path[n]) {
            p += 1
            n += 1
        } else if p == pattern.count, n == path.count {
            return true
        } else {
            guard let last = retry, last.n < path.count else { return false }
            retry = (last.p, last.n + 1)
            p = last.p
            n = last.n + 1
        }
    }
}
