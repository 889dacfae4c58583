internal import Platform

/// The unit format: one JSON object a line, UTF-8, no newline inside.
///
/// The keys are in docs/formats/units.md.
package enum Codec {
    /// The longest line that is read, in bytes.
    package static let lineLimit = 64 << 20

    /// Appends `line` and a newline.
    package static func encode(_ line: ListLine, into output: inout [UInt8]) {
        switch line {
        case .unit(let unit): encode(unit, into: &output)
        case .overlay(let overlay): encode(overlay, into: &output)
        case .stats(let stats): encode(stats, into: &output)
        }
    }

    /// Appends `unit` and a newline.
    package static func encode(_ unit: Unit, into output: inout [UInt8]) {
        JSONWriter.append(to: &output, bound: unit.encodedBound) { $0.unit(unit) }
    }

    /// Appends what the unit `units[i]` has from the manifest, without the end of the line: a line
    /// that says more of the same unit begins with these bytes.
    ///
    /// By index, because a copy of a unit costs as much as writing it.
    package static func encodePrefix(of units: [Unit], at i: Int, into output: inout [UInt8]) {
        let bound = Unit.manifestBound(
            units[i].path, units[i].target, units[i].xattrs, units[i].error)
        JSONWriter.append(to: &output, bound: bound) { writer in
            writer.manifestFields(
                units[i].path, units[i].metadata, units[i].target, units[i].xattrs,
                units[i].error)
        }
    }

    /// Appends `overlay` and a newline.
    package static func encode(_ overlay: Overlay, into output: inout [UInt8]) {
        let bound = 128 + (overlay.check?.encodedBound ?? 0) + (overlay.repair?.encodedBound ?? 0)
        JSONWriter.append(to: &output, bound: bound) { writer in
            writer.raw("{\"seq\":")
            writer.number(overlay.seq)
            if overlay.count != 1 {
                writer.raw(",\"count\":")
                writer.number(overlay.count)
            }
            writer.results(overlay.check, overlay.repair)
            writer.raw("}\n")
        }
    }

    /// Appends `stats` and a newline.
    package static func encode(_ stats: Stats, into output: inout [UInt8]) {
        let names = stats.counters.reduce(0) { $0 + $1.name.utf8.count * 6 + 32 }
        let bound = 512 + names + stats.histogram.counts.count * 72
        JSONWriter.append(to: &output, bound: bound) { $0.stats(stats) }
    }
}

// How many bytes a value may take as JSON: each byte of a string at most six, numbers at most 40.
extension Unit {
    /// That of the fields that the manifest fills.
    fileprivate static func manifestBound(
        _ path: [UInt8], _ target: [UInt8]?, _ xattrs: [ExtendedAttribute], _ error: UnitError?
    ) -> Int {
        var bound = 512 + 6 * path.count
        if let target { bound += 32 + 6 * target.count }
        for xattr in xattrs { bound += 64 + 6 * xattr.name.count + 2 * xattr.value.count }
        if let error { bound += 128 + 6 * error.call.utf8.count }
        return bound
    }

    fileprivate var encodedBound: Int {
        var bound = Unit.manifestBound(path, target, xattrs, error)
        if let check { bound += check.encodedBound }
        if let repair { bound += repair.encodedBound }
        if let content { bound += 160 + 67 * content.ids.count + bytes(of: content.problems) }
        return bound
    }
}

extension CheckResult {
    fileprivate var encodedBound: Int { 320 + bytes(of: problems) }
}

extension RepairResult {
    fileprivate var encodedBound: Int {
        256 + before.encodedBound + after.encodedBound + 6 * (error?.utf8.count ?? 0)
    }
}

private func bytes(of texts: [String]) -> Int {
    texts.reduce(0) { $0 + 6 * $1.utf8.count + 3 }
}

extension JSONWriter {
    fileprivate mutating func unit(_ unit: Unit) {
        manifestFields(unit.path, unit.metadata, unit.target, unit.xattrs, unit.error)
        results(unit.check, unit.repair)
        if let content = unit.content { self.content(content) }
        raw("}\n")
    }

    fileprivate mutating func manifestFields(
        _ path: [UInt8], _ metadata: FileMetadata, _ target: [UInt8]?,
        _ xattrs: [ExtendedAttribute], _ error: UnitError?
    ) {
        kind(metadata.kind)
        if isUTF8(path.span) {
            raw(",\"path\":")
            string(path)
        } else {
            raw(",\"path_b64\":")
            base64(path)
        }
        raw(",\"mode\":")
        number(UInt64(metadata.permissions))
        raw(",\"uid\":")
        number(UInt64(metadata.uid))
        raw(",\"gid\":")
        number(UInt64(metadata.gid))
        raw(",\"size\":")
        number(metadata.size)
        raw(",\"mtime_ns\":")
        time(seconds: metadata.mtime.seconds, nanoseconds: metadata.mtime.nanoseconds)
        raw(",\"ctime_ns\":")
        time(seconds: metadata.ctime.seconds, nanoseconds: metadata.ctime.nanoseconds)
        raw(",\"inode\":")
        number(metadata.inode)
        raw(",\"device\":")
        number(metadata.device)
        raw(",\"links\":")
        number(UInt64(metadata.links))
        if metadata.kind == .chardev || metadata.kind == .blockdev {
            raw(",\"rdev\":")
            number(metadata.rdev)
        }
        if let target { self.target(target) }
        if !xattrs.isEmpty { self.xattrs(xattrs) }
        if let error { self.error(error) }
    }

    @inline(__always) private mutating func kind(_ kind: FileKind) {
        switch kind {
        case .file: raw("{\"type\":\"file\"")
        case .directory: raw("{\"type\":\"directory\"")
        case .symlink: raw("{\"type\":\"symlink\"")
        case .fifo: raw("{\"type\":\"fifo\"")
        case .socket: raw("{\"type\":\"socket\"")
        case .chardev: raw("{\"type\":\"chardev\"")
        case .blockdev: raw("{\"type\":\"blockdev\"")
        }
    }

    private mutating func target(_ target: [UInt8]) {
        if isUTF8(target.span) {
            raw(",\"target\":")
            string(target)
        } else {
            raw(",\"target_b64\":")
            base64(target)
        }
    }

    private mutating func xattrs(_ xattrs: [ExtendedAttribute]) {
        raw(",\"xattrs\":[")
        for (i, xattr) in xattrs.enumerated() {
            if i > 0 { raw(",") }
            if isUTF8(xattr.name.span) {
                raw("{\"name\":")
                string(xattr.name)
            } else {
                raw("{\"name_b64\":")
                base64(xattr.name)
            }
            raw(",\"value_b64\":")
            base64(xattr.value)
            raw("}")
        }
        raw("]")
    }

    private mutating func error(_ error: UnitError) {
        raw(",\"error\":{\"call\":")
        string(error.call)
        raw(",\"errno\":")
        string(Errno.name(error.code))
        raw(",\"code\":")
        signed(Int64(error.code))
        raw("}")
    }

    fileprivate mutating func results(_ check: CheckResult?, _ repair: RepairResult?) {
        if let check {
            raw(",\"check\":")
            self.check(check)
        }
        if let repair { self.repair(repair) }
    }

    private mutating func check(_ check: CheckResult) {
        raw("{\"state\":\"")
        switch check.state {
        case .intact: raw("intact")
        case .new: raw("new")
        case .changed: raw("changed")
        case .removed: raw("removed")
        case .rotted: raw("rotted")
        case .unreadable: raw("unreadable")
        }
        raw("\",\"healthy\":")
        bool(check.healthy)
        raw(",\"recoverable\":")
        bool(check.recoverable)
        raw(",\"verified\":")
        bool(check.verified)
        raw(",\"copies_expected\":")
        signed(Int64(check.copiesExpected))
        raw(",\"copies_good\":")
        signed(Int64(check.copiesGood))
        raw(",\"copies_corrupt\":")
        signed(Int64(check.copiesCorrupt))
        raw(",\"problems\":")
        texts(check.problems)
        raw("}")
    }

    private mutating func repair(_ repair: RepairResult) {
        raw(",\"repair\":{\"attempted\":")
        bool(repair.attempted)
        raw(",\"successful\":")
        bool(repair.successful)
        raw(",\"action\":")
        string(repair.action.rawValue)
        raw(",\"before\":")
        check(repair.before)
        raw(",\"after\":")
        check(repair.after)
        if let error = repair.error {
            raw(",\"error\":")
            string(error)
        }
        raw("}")
    }

    private mutating func content(_ content: ContentResult) {
        raw(",\"content\":[")
        var hex: [UInt8] = []
        hex.reserveCapacity(64)
        for (i, id) in content.ids.enumerated() {
            if i > 0 { raw(",") }
            hex.removeAll(keepingCapacity: true)
            id.appendHex(to: &hex)
            string(hex)
        }
        raw("],\"stored_bytes\":")
        number(content.storedBytes)
        raw(",\"new_bytes\":")
        number(content.newBytes)
        if !content.problems.isEmpty {
            raw(",\"content_problems\":")
            texts(content.problems)
        }
    }

    private mutating func texts(_ texts: [String]) {
        raw("[")
        for (i, text) in texts.enumerated() {
            if i > 0 { raw(",") }
            string(text)
        }
        raw("]")
    }

    fileprivate mutating func stats(_ stats: Stats) {
        raw("{\"type\":\"stats\",\"stats\":{\"api-version\":")
        number(Stats.apiVersion)
        raw(",\"count-files\":")
        number(stats.countFiles)
        raw(",\"count-directories\":")
        number(stats.countDirectories)
        raw(",\"count-symlinks\":")
        number(stats.countSymlinks)
        raw(",\"count-other\":")
        number(stats.countOther)
        raw(",\"count-errors\":")
        number(stats.countErrors)
        raw(",\"size-files\":")
        number(stats.sizeFiles)
        raw(",\"largest-file\":")
        number(stats.largestFile)
        raw(",\"largest-directory-children\":")
        number(stats.largestDirectoryChildren)
        raw(",\"size-files-histogram\":[")
        for (i, count) in stats.histogram.counts.enumerated() {
            guard let (low, high) = Histogram.bounds(i) else { break }
            raw(i > 0 ? ",[" : "[")
            number(low)
            raw(",")
            number(high)
            raw(",")
            number(count)
            raw("]")
        }
        raw("]")
        for counter in stats.counters {
            raw(",")
            string(counter.name)
            raw(":")
            number(counter.value)
        }
        raw("}}\n")
    }
}
