package import Platform

/// Builds the stats of a list from its units in path order, and can be stopped and gone on with.
package struct StatsAccumulator: Sendable {
    /// The stats of the units so far.
    package var stats = Stats()
    // Children seen of each directory on the path of the last unit, outermost first.
    private var children: [UInt64] = []

    package init() {}

    /// Counts some units.
    package mutating func add(_ units: [Unit]) {
        // By index: a copy of each unit costs more than the count.
        for i in units.indices {
            add(units[i].path, units[i].metadata, isError: units[i].error != nil)
        }
    }

    /// Counts one unit.
    package mutating func add(_ unit: Unit) {
        add(unit.path, unit.metadata, isError: unit.error != nil)
    }

    private mutating func add(_ path: [UInt8], _ metadata: FileMetadata, isError: Bool) {
        switch metadata.kind {
        case .file:
            stats.countFiles += 1
            stats.sizeFiles &+= metadata.size
            stats.largestFile = max(stats.largestFile, metadata.size)
            stats.histogram.add(metadata.size)
        case .directory: stats.countDirectories += 1
        case .symlink: stats.countSymlinks += 1
        case .fifo, .socket, .chardev, .blockdev: stats.countOther += 1
        }
        if isError { stats.countErrors += 1 }
        var depth = path.isEmpty ? 0 : 1
        for byte in path where byte == UInt8(ascii: "/") { depth += 1 }
        countChild(depth, isDirectory: metadata.kind == .directory)
    }

    private mutating func countChild(_ depth: Int, isDirectory: Bool) {
        if children.count > depth { children.removeLast(children.count - depth) }
        if depth > 0, children.count == depth {
            children[depth - 1] += 1
            stats.largestDirectoryChildren = max(
                stats.largestDirectoryChildren, children[depth - 1])
        }
        if isDirectory, children.count == depth { children.append(0) }
    }

    /// The stats and what is needed to go on, as bytes for a checkpoint.
    package var state: [UInt8] {
        var bytes: [UInt8] = []
        Codec.encode(stats, into: &bytes)
        for count in children { bytes += Array("\(count) ".utf8) }
        return bytes
    }

    /// Goes on from `state`.
    ///
    /// Throws a `usage` failure for anything else.
    package init(state: Span<UInt8>) throws(Failure) {
        var end = 0
        while end < state.count, state[end] != UInt8(ascii: "\n") { end += 1 }
        guard end < state.count,
            case .stats(let stats) = try Codec.decode(state.extracting(0..<end))
        else { throw Failure(.usage, "the saved statistics are damaged") }
        self.stats = stats
        var number: UInt64 = 0
        for i in (end + 1)..<state.count {
            if state[i] == UInt8(ascii: " ") {
                children.append(number)
                number = 0
            } else {
                let digit = UInt64(state[i] &- UInt8(ascii: "0"))
                let (product, over) = number.multipliedReportingOverflow(by: 10)
                guard digit <= 9, !over, product <= .max - digit else {
                    throw Failure(.usage, "the saved statistics are damaged")
                }
                number = product + digit
            }
        }
    }
}
