internal import Platform

/// The entries of one directory, sorted bytewise by name; about 16 bytes an entry plus the names.
struct EntryTable {
    // The sort looks at the first eight bytes without leaving the entry.
    private struct Entry {
        var prefix: UInt64
        var offset: UInt32
        var length: UInt16
        var kind: UInt8
    }

    private var arena: [UInt8] = []
    private var entries: [Entry] = []

    /// Whether a name came that offsets of 32 bits cannot hold any more.
    private(set) var isFull = false

    var count: Int { entries.count }

    /// Adds an entry; `kind` is nil where the file system does not tell it.
    mutating func append(_ name: Span<UInt8>, _ kind: FileKind?) {
        guard arena.count + name.count <= UInt32.max, name.count <= UInt16.max else {
            isFull = true
            return
        }
        let offset = UInt32(arena.count)
        var prefix: UInt64 = 0
        for i in 0..<name.count {
            let byte = name[i]
            if i < 8 { prefix |= UInt64(byte) << UInt64(56 - 8 * i) }
            arena.append(byte)
        }
        entries.append(
            Entry(
                prefix: prefix, offset: offset, length: UInt16(name.count),
                kind: kind.flatMap { FileKind.allCases.firstIndex(of: $0) }.map(UInt8.init) ?? 255))
    }

    /// Brings the entries into the order of lists.
    mutating func sort() {
        let names = arena
        let span = names.span
        entries.sort { a, b in
            if a.prefix != b.prefix { return a.prefix < b.prefix }
            // Names have no NUL, so equal prefixes shorter than eight bytes are equal names.
            var i = 8
            let shared = Int(min(a.length, b.length))
            while i < shared {
                let x = span[Int(a.offset) + i]
                let y = span[Int(b.offset) + i]
                if x != y { return x < y }
                i += 1
            }
            return a.length < b.length
        }
    }

    /// The name of entry `i`.
    func name(_ i: Int) -> [UInt8] {
        let entry = entries[i]
        let start = Int(entry.offset)
        return Array(arena[start..<(start + Int(entry.length))])
    }

    /// The kind of entry `i` as the directory has it.
    func kind(_ i: Int) -> FileKind? {
        let kinds = FileKind.allCases
        let kind = Int(entries[i].kind)
        return kind < kinds.count ? kinds[kind] : nil
    }

    /// The first entry whose name is not before `name`, `count` if there is none.
    func lowerBound(_ name: [UInt8]) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self.name(middle).lexicographicallyPrecedes(name) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
