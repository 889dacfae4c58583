internal import FoundationEssentials
internal import GRDB
package import Platform

/// A pack as the local index knows it.
package struct IndexedPack: Sendable, Equatable {
    /// The pack's number in the local index.
    package var number: Int
    package var id: Digest
    /// The size in bytes that its entries give.
    package var size: UInt64
    /// Whether the last listing had it, with that size.
    package var present: Bool

    package init(number: Int, id: Digest, size: UInt64, present: Bool) {
        self.number = number
        self.id = id
        self.size = size
        self.present = present
    }
}

/// What the local index holds of each pack, in 16 bytes a pack: to compare it with the store's own
/// files without looking every blob up.
package struct PackSums: Sendable {
    /// An order-free sum over the entries of one pack.
    package struct Sum: Sendable, Equatable {
        package private(set) var count: UInt32 = 0
        private var value: UInt64 = 0

        package init() {}

        /// The sum of `entries`.
        package init(_ entries: [PackEntry]) {
            for entry in entries { add(entry) }
        }

        package mutating func add(_ entry: PackEntry) {
            let (a, b, c, d) = entry.id.words
            var hash = mix(a ^ mix(b ^ mix(c ^ mix(d))))
            hash = mix(hash ^ entry.offset)
            hash = mix(hash ^ (UInt64(entry.storedLength) << 32 | UInt64(entry.plainLength ?? 0)))
            hash = mix(
                hash ^ (UInt64(entry.type.rawValue) << 1 | (entry.plainLength == nil ? 0 : 1)))
            value &+= hash
            count &+= 1
        }

        // The finaliser of SplitMix64.
        private func mix(_ x: UInt64) -> UInt64 {
            var x = x &+ 0x9E37_79B9_7F4A_7C15
            x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
            x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
            return x ^ (x >> 31)
        }
    }

    private var sums: [Sum] = []
    private var marked: Set<Int> = []

    /// How many copies of blobs there are, and how many of them are marked as bad.
    package private(set) var blobs = 0
    package private(set) var bad = 0

    /// The sum of a pack's entries.
    package subscript(pack: Int) -> Sum { sums.indices.contains(pack) ? sums[pack] : Sum() }

    /// Whether the index marks any blob of a pack as bad.
    package func hasBad(_ pack: Int) -> Bool { marked.contains(pack) }

    mutating func add(_ entry: PackEntry, _ pack: Int, bad isBad: Bool) {
        while sums.count <= pack { sums.append(Sum()) }
        sums[pack].add(entry)
        blobs += 1
        guard isBad else { return }
        bad += 1
        marked.insert(pack)
    }
}

/// What a check of the whole store asks the index.
extension BlobIndex {
    /// Durable packs with numbers above `number`, in their order, at most `limit`.
    package func packs(after number: Int, limit: Int) throws(Failure) -> [IndexedPack] {
        try read { db in
            try Row.fetchAll(
                db.cachedStatement(
                    sql: """
                        SELECT pk, id, size, present FROM pack
                        WHERE pk > ? AND state >= 1 ORDER BY pk LIMIT ?
                        """), arguments: [number, limit]
            ).compactMap { BlobIndex.pack($0) }
        }
    }

    /// The durable pack `id`; nil when the index has none.
    package func pack(_ id: Digest) throws(Failure) -> IndexedPack? {
        try read { db in
            try Row.fetchOne(
                db.cachedStatement(
                    sql: "SELECT pk, id, size, present FROM pack WHERE id = ? AND state >= 1"),
                arguments: [id.data]
            ).flatMap { BlobIndex.pack($0) }
        }
    }

    static func pack(_ row: Row) -> IndexedPack? {
        guard let id = Digest(data: row[1]) else { return nil }
        return IndexedPack(
            number: row[0], id: id, size: UInt64(row[2] as Int64), present: row[3] as Int == 1)
    }

    /// The packs of the last listing by this process that no index file lists or marks and no
    /// writer of this host knows: how many, their bytes, and the first `limit`.
    package func unlistedPacks(
        limit: Int
    ) throws(Failure) -> (count: Int, bytes: UInt64, first: [Digest]) {
        do {
            return try writer.writeWithoutTransaction { db in
                try db.execute(
                    sql: """
                        CREATE TEMP TABLE IF NOT EXISTS listing (
                            id BLOB PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID
                        """)
                let rows = try Row.fetchCursor(
                    db,
                    sql: """
                        SELECT id, size FROM listing WHERE NOT EXISTS (
                            SELECT 1 FROM pack WHERE pack.id = listing.id AND (state >= 0
                                OR pk IN (SELECT pack FROM marked_in)))
                        """)
                var result: (count: Int, bytes: UInt64, first: [Digest]) = (0, 0, [])
                while let row = try rows.next() {
                    result.count += 1
                    result.bytes += UInt64(row[1] as Int64)
                    if result.first.count < limit, let id = Digest(data: row[0]) {
                        result.first.append(id)
                    }
                }
                return result
            }
        } catch {
            throw BlobIndex.failure(error, path)
        }
    }

    /// Sums the entries of every pack in one pass over the index.
    package func sums() throws(Failure) -> PackSums {
        try read { db in
            var sums = PackSums()
            let rows = try IndexStatement(
                db, "SELECT id, type, pack, offset, stored, plain, bad FROM blob")
            while try rows.step() {
                guard let entry = BlobIndex.entry(rows) else {
                    throw Failure(.store, "an entry of it cannot be read")
                }
                sums.add(entry, Int(rows.int(2)), bad: rows.int(6) != 0)
            }
            return sums
        }
    }

    /// The entries of one pack by their offsets.
    ///
    /// There is no index for this, so it takes a pass over all blobs: for packs whose own header is
    /// damaged.
    package func entries(ofPack number: Int) throws(Failure) -> [PackEntry] {
        try read { db in
            let rows = try IndexStatement(
                db,
                """
                SELECT id, type, pack, offset, stored, plain FROM blob WHERE pack = ?
                ORDER BY offset
                """)
            try rows.bind(1, Int64(number))
            var entries: [PackEntry] = []
            while try rows.step() {
                if let entry = BlobIndex.entry(rows) { entries.append(entry) }
            }
            return entries
        }
    }

    /// The entry in the columns id, type, pack, offset, length and plain length of a row.
    static func entry(_ row: borrowing IndexStatement) -> PackEntry? {
        guard let id = row.digest(0),
            let type = BlobType(rawValue: UInt8(truncatingIfNeeded: row.int(1))),
            let offset = UInt64(exactly: row.int(3)), let stored = UInt32(exactly: row.int(4))
        else { return nil }
        return PackEntry(
            type: type, id: id, offset: offset, storedLength: stored,
            plainLength: row.optionalInt(5).flatMap { UInt32(exactly: $0) })
    }
}
