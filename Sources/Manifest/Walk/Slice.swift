internal import Platform

/// The output of one step while it grows, in path order.
struct Slice {
    var failure: Failure?
    private(set) var directories: [(before: Int, node: DirectoryNode)] = []
    private var units: [Unit] = []
    private var weight = 1
    private let prefix: [UInt8]?
    private let node: DirectoryNode
    // The whole prefix, made when a pattern first needs it.
    private var fullPrefix: [UInt8]?

    init(_ node: DirectoryNode) {
        self.node = node
        prefix = node.prefix
    }

    /// The path of an entry, or its name alone where the prefix is too long to be kept here.
    func path(_ name: [UInt8]) -> [UInt8] {
        guard let prefix else { return name }
        var path: [UInt8] = []
        path.reserveCapacity(prefix.count + name.count)
        path += prefix
        path += name
        return path
    }

    mutating func append(_ unit: consuming Unit) {
        // A long path or a large attribute weighs more than a typical unit.
        weight += 1 + unit.path.count >> 8
        for xattr in unit.xattrs { weight += 1 + xattr.value.count >> 8 }
        units.append(unit)
    }

    mutating func append(_ node: DirectoryNode) {
        weight += 2
        directories.append((units.count, node))
    }

    /// Whether the patterns leave the entry out.
    mutating func excludes(_ name: [UInt8], _ patterns: Excludes, _ kind: FileKind) -> Bool {
        if patterns.isEmpty { return false }
        guard prefix == nil else {
            return patterns.excludes(path(name), isDirectory: kind == .directory)
        }
        let full = fullPrefix ?? node.fullPrefix()
        fullPrefix = full
        return patterns.excludes(full + name, isDirectory: kind == .directory)
    }

    /// What the walk takes, once: everything in reverse, so that taking from the end is in order.
    mutating func output() -> SliceOutput {
        // Taken out and turned round in place: `reverse` copies each unit.
        var units: [Unit] = []
        swap(&units, &self.units)
        let count = units.count
        var span = units.mutableSpan
        for i in 0..<(count / 2) { span.swapAt(i, count - 1 - i) }
        return SliceOutput(
            units: units,
            directories: directories.reversed().map { (count - $0.before, $0.node) },
            weight: weight, failure: failure)
    }
}
