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
                let statement = try db.cachedStatement(
                    sql: """
                        SELECT pack.id, blob.offset, blob.stored, blob.plain
                        FROM blob JOIN pack ON pack.pk = blob.pack
                        WHERE \(BlobIndex.isUsableCopy) LIMIT 1
                        """)
                for id in ids {
                    let row = try Row.fetchOne(statement, arguments: [id.data, type.rawValue])
                    result.append(row.flatMap(BlobIndex.location))
                }
                return .commit
            }
            return result
        }
    }

    private static func location(_ row: Row) -> BlobLocation? {
        guard let pack = Digest(data: row[0]) else { return nil }
        return BlobLocation(
            pack: pack, offset: UInt64(row[1] as Int64), storedLength: UInt32(row[2] as Int64),
            plainLength: (row[3] as Int64?).map { UInt32($0) })
    }
}
