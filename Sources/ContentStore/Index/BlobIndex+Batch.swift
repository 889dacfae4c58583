internal import GRDB
internal import Platform

/// Look-ups of many blobs at once: one wait for the connection and one lock on the file for all.
extension BlobIndex {
    /// What makes a row of `blob` and `pack` a usable copy of the blob of an id and a type.
    static let isUsableCopy = """
        blob.id = ? AND blob.type = ? AND blob.bad = 0 AND pack.present = 1 AND pack.state >= 1
        """

    /// A usable copy of each blob, or nil for those that have none.
    func firstLocations(
        _ ids: [Digest], _ type: BlobType
    ) throws(Failure) -> [BlobLocation?] {
        try read { db in
            var result: [BlobLocation?] = []
            result.reserveCapacity(ids.count)
            try db.inTransaction(.deferred) {
                let statement = try IndexStatement(
                    db,
                    """
                    SELECT pack.id, blob.offset, blob.stored, blob.plain
                    FROM blob JOIN pack ON pack.pk = blob.pack
                    WHERE \(BlobIndex.isUsableCopy) LIMIT 1
                    """)
                try statement.bind(2, Int64(type.rawValue))
                for id in ids {
                    statement.restart()
                    try statement.bind(1, id)
                    result.append(try statement.step() ? BlobIndex.location(statement) : nil)
                }
                statement.restart()
                return .commit
            }
            return result
        }
    }

    /// The location in the columns pack, offset, length and plain length of a row.
    static func location(_ row: borrowing IndexStatement) -> BlobLocation? {
        guard let pack = row.digest(0) else { return nil }
        return BlobLocation(
            pack: pack, offset: UInt64(row.int(1)), storedLength: UInt32(row.int(2)),
            plainLength: row.optionalInt(3).map { UInt32($0) })
    }
}
