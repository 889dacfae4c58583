package import JobTable
package import Manifest
package import Platform

/// Follows units in path order and knows the outermost directory above the next one that could
/// not be read: what the last snapshot has below it is unknown, not removed.
package struct UnreadableDirectories: Sendable {
    /// The directory, itself the last unit or above it; nil when there is none.
    package private(set) var current: [UInt8]?

    /// Begins below `current`.
    package init(_ current: [UInt8]? = nil) {
        self.current = current
    }

    /// Takes the next unit.
    package mutating func pass(_ unit: Unit) {
        if let current {
            if unit.isBelow(current) { return }
            self.current = nil
        }
        if unit.isUnreadableDirectory { current = unit.path }
    }

    /// Takes the next units.
    package mutating func pass(_ units: [Unit]) {
        // By index: a copy of each unit costs more than the look at it.
        for i in units.indices where current != nil || units[i].error != nil { pass(units[i]) }
    }

    /// Whether a unit that the list lacks is below the directory.
    package func cover(_ unit: Unit) -> Bool {
        current.map { unit.isBelow($0) } ?? false
    }
}

extension Unit {
    /// Whether this is a directory whose entries are not known, or not all.
    package var isUnreadableDirectory: Bool { metadata.kind == .directory && error != nil }
}

extension ModuleState {
    /// The outermost unreadable directory at or above `path`, as the list `key` of whole lines
    /// knows it: where a run goes on behind `path`.
    package func unreadableDirectory(
        in key: ListKey, at path: [UInt8]
    ) throws(Failure) -> [UInt8]? {
        var found = UnreadableDirectories()
        var units: (chunk: Int, units: [Unit])?
        // The root, each directory on the way, and the path itself.
        var ends = path.indices.filter { path[$0] == 0x2F }
        ends.insert(0, at: 0)
        if !path.isEmpty { ends.append(path.count) }
        for end in ends {
            let ancestor = Array(path[..<end])
            guard let number = try chunkNumber(key, containing: sortKey(ancestor)) else { break }
            if units?.chunk != number {
                guard let chunk = try chunk(key, number) else { continue }
                units = (number, try ListDecoder.units(of: chunk))
            }
            guard let unit = units?.units.first(where: { $0.path == ancestor }) else { continue }
            found.pass(unit)
            if found.current != nil { break }
        }
        return found.current
    }
}
