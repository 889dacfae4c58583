internal import Platform

/// One directory that the walk goes into, from the moment its parent's entries are known until its
/// last entry is handed out.
///
/// Unchecked: each field is written by one thread at a time. `entries`, `first` and `error` by the
/// reader that lists the directory, before its step is reported done; `unit` by the thread that
/// calls the walk; `handle` under the lock of `HandleCache`.
final class DirectoryNode: @unchecked Sendable {
    /// What of this directory a resumed walk has handed out before.
    enum Resumption {
        /// Nothing: the usual case.
        case none
        /// Its own unit, and its entries up to where the components from `from` on lead.
        case after([[UInt8]], from: Int)
        /// Its own unit, which was the last one.
        case last
    }

    /// How many entries are read by one step.
    static let sliceLength = 1024
    /// Longer prefixes are not kept in each node: a deep tree would hold depth × length of them.
    static let prefixLimit = 4096

    let parent: DirectoryNode?
    let name: [UInt8]
    /// How many directories are above this one.
    let depth: Int
    /// The path with a slash behind it, empty for the root; nil when it is too long to keep.
    let prefix: [UInt8]?
    let resumption: Resumption
    /// The directory's own unit, until it is handed out.
    var unit: Unit?
    var entries = EntryTable()
    /// The first entry to hand out.
    var first = 0
    var error: UnitError?
    var handle: OpenDirectory?

    init(parent: DirectoryNode?, name: [UInt8], unit: Unit?, resumption: Resumption = .none) {
        self.parent = parent
        self.name = name
        self.unit = unit
        self.resumption = resumption
        depth = parent.map { $0.depth + 1 } ?? 0
        guard let parent else {
            prefix = []
            return
        }
        guard let above = parent.prefix, above.count + name.count < DirectoryNode.prefixLimit else {
            prefix = nil
            return
        }
        prefix = above + name + [UInt8(ascii: "/")]
    }

    /// Into how many steps the entries are cut; at least one.
    var sliceCount: Int {
        let length = DirectoryNode.sliceLength
        return max(1, (entries.count - first + length - 1) / length)
    }

    /// The entries of one step.
    func slice(_ number: Int) -> Range<Int> {
        let start = first + number * DirectoryNode.sliceLength
        return start..<min(entries.count, start + DirectoryNode.sliceLength)
    }

    /// The path with a slash behind it, however long.
    func fullPrefix() -> [UInt8] {
        if let prefix { return prefix }
        var names: [[UInt8]] = []
        var node = self
        while node.prefix == nil, let parent = node.parent {
            names.append(node.name)
            node = parent
        }
        var path = node.prefix ?? []
        for name in names.reversed() {
            path += name
            path.append(UInt8(ascii: "/"))
        }
        return path
    }
}

/// An open directory that several threads may use.
final class OpenDirectory: Sendable {
    let descriptor: Descriptor

    init(_ descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }
}
