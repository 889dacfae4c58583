internal import Manifest
internal import Platform

/// The shortest way for a chunk of a module in which nothing changed: its units are compared with
/// the lines of the last list as text, and those lines are the result.
///
/// A line of the last list is the manifest's line of the same unit with the content behind it, and
/// one value has one spelling; so equal beginnings mean equal units, and nothing is decoded.
struct UnchangedLines {
    /// The lines of the new list.
    private(set) var lines: [UInt8] = []
    /// Whether `lines` are those of the last list to the byte.
    private(set) var isVerbatim = true
    /// Files among the units.
    private(set) var files: UInt64 = 0

    /// Compares `units` with `stored`, the lines of the last list for the same range of paths.
    ///
    /// Nil when anything differs or needs more than a look: errors, findings of a check.
    init?(_ units: [Unit], stored: Span<UInt8>) {
        lines.reserveCapacity(stored.count)
        var prefix: [UInt8] = []
        var position = 0
        for i in units.indices {
            guard units[i].error == nil, UnchangedLines.isPlain(units[i].check) else { return nil }
            prefix.removeAll(keepingCapacity: true)
            Codec.encodePrefix(of: units, at: i, into: &prefix)
            guard stored.extracting(position...).starts(with: prefix.span) else { return nil }
            let start = position
            guard
                let end = stored.firstIndex(
                    of: UInt8(ascii: "\n"), from: position + prefix.count)
            else { return nil }
            position = end + 1
            let isFile = units[i].metadata.kind == .file
            let line = stored.extracting(start..<position)
            guard append(line, behind: prefix.count, isFile: isFile) else { return nil }
            if isFile { files += 1 }
        }
        guard position == stored.count else { return nil }
    }

    /// What a check found that leaves the decision to the metadata.
    private static func isPlain(_ check: CheckResult?) -> Bool {
        switch check?.state {
        case nil, .intact, .new, .changed: true
        case .removed, .rotted, .unreadable: false
        }
    }

    /// Takes over a line of the last list: what was new in that run is not new in this one.
    private mutating func append(_ line: Span<UInt8>, behind prefix: Int, isFile: Bool) -> Bool {
        let rest = line.extracting(prefix...)
        guard isFile else {
            lines.append(copying: line)
            return rest.count == 2 && rest[0] == UInt8(ascii: "}")
        }
        guard rest.starts(with: UnchangedLines.content.span) else { return false }
        var digits = line.count - 2
        guard line[digits] == UInt8(ascii: "}") else { return false }
        let end = digits
        while digits > 0, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(line[digits - 1]) {
            digits -= 1
        }
        // Anything else at the end is a problem that was told of: that needs more than a look.
        guard digits < end, line.extracting(..<digits).ends(with: UnchangedLines.newBytes) else {
            return false
        }
        if end - digits == 1 && line[digits] == UInt8(ascii: "0") {
            lines.append(copying: line)
        } else {
            isVerbatim = false
            lines.append(copying: line.extracting(..<digits))
            lines.append(UInt8(ascii: "0"))
            lines.append(copying: line.extracting(end...))
        }
        return true
    }

    private static let content = Array(",\"content\":[".utf8)
    private static let newBytes = Array(",\"new_bytes\":".utf8)
}

extension Span<UInt8> {
    fileprivate func ends(with other: [UInt8]) -> Bool {
        count >= other.count && extracting((count - other.count)...).starts(with: other.span)
    }
}
