internal import GRDB
package import Platform

extension ModuleState {
    /// Creates the list `key`, or finds it to go on.
    ///
    /// `definition` describes the stage's options; an unfinished list that was begun with others
    /// is a `usage` failure, because its halves would not fit together.
    package func openList(_ key: ListKey, definition: [UInt8]) throws(Failure) -> ListInfo {
        let info = try write { db -> ListInfo in
            var meta = try MetaRow(db)
            if let row = try self.find(db, meta, key) {
                guard row.info.finished || row.info.definition == definition else {
                    throw Failure(
                        .usage, "list \(key) of module \(self.module) was begun with other options",
                        hint: "Go back to those, or start anew with --fresh")
                }
                return row.info
            }
            let row = ListRow(
                id: meta.nextList,
                info: ListInfo(
                    key: key, finished: false, chunks: 0, units: 0, checkpoint: Checkpoint(),
                    stats: nil, lastKey: [], definition: definition))
            try row.save(db)
            meta.nextList += 1
            meta.lists += 1
            try meta.save(db)
            return row.info
        }
        remember(info)
        return info
    }

    /// What is known of a list; nil when there is none.
    package func list(_ key: ListKey) throws(Failure) -> ListInfo? {
        try read { db in try self.find(db, MetaRow(db), key)?.info }
    }

    /// All lists, oldest first.
    package func lists() throws(Failure) -> [ListInfo] {
        try read { db in
            try ListRow.all(db, MetaRow(db)).filter { !$0.dropped }.map(\.info)
        }
    }

    /// One chunk; nil when the list does not have that many (yet), or does not exist.
    package func chunk(_ key: ListKey, _ number: Int) throws(Failure) -> ListChunk? {
        let stored = try read { db -> CompressedChunk? in
            guard let row = try self.find(db, MetaRow(db), key) else { return nil }
            guard number >= 0, number < row.info.chunks else { return nil }
            return try ChunkRow.fetch(db, list: row.id, number: number)
        }
        guard let stored else { return nil }
        return try expand(stored)
    }

    /// A chunk as it is stored, and the last key of the chunk before it (empty for the first); nil
    /// where there is none.
    package func storedChunk(
        _ key: ListKey, _ number: Int
    ) throws(Failure) -> (chunk: CompressedChunk, keyBefore: [UInt8])? {
        try read { db in
            guard let row = try self.find(db, MetaRow(db), key) else { return nil }
            guard number >= 0, number < row.info.chunks else { return nil }
            let before =
                number == 0 ? [] : try ChunkRow.lastKey(db, list: row.id, number: number - 1)
            return (try ChunkRow.fetch(db, list: row.id, number: number), before)
        }
    }

    /// The chunks that together hold every unit whose sort key is from `first` up to and with
    /// `last` (nil: the end of the list), in order, at most `limit` of them.
    ///
    /// For merge joins; the first and last chunk hold units outside the range as well.
    package func chunks(
        _ key: ListKey, withKeysFrom first: [UInt8], upTo last: [UInt8]?, limit: Int = .max
    ) throws(Failure) -> [ListChunk] {
        let stored = try read { db -> [CompressedChunk] in
            guard let row = try self.find(db, MetaRow(db), key) else { return [] }
            var number = try self.firstChunk(db, row, notBefore: first)
            var found: [CompressedChunk] = []
            while number < row.info.chunks, found.count < limit {
                let chunk = try ChunkRow.fetch(db, list: row.id, number: number)
                found.append(chunk)
                if let last, !chunk.lastKey.lexicographicallyPrecedes(last) { break }
                number += 1
            }
            return found
        }
        return try stored.map(expand)
    }

    /// The number of the first chunk whose last key is not before `key`; `info.chunks` when every
    /// unit is before it.
    package func chunkNumber(
        _ list: ListKey, containing key: [UInt8]
    ) throws(Failure) -> Int? {
        try read { db in
            guard let row = try self.find(db, MetaRow(db), list) else { return nil }
            return try self.firstChunk(db, row, notBefore: key)
        }
    }

    /// Decompresses a stored chunk, whose sums were checked.
    package func expand(_ chunk: CompressedChunk) throws(Failure) -> ListChunk {
        var lines: [UInt8] = []
        guard chunk.rawSize >= 0, chunk.rawSize <= ModuleState.chunkLimit else {
            throw file.damaged("a chunk says it has \(chunk.rawSize) bytes")
        }
        do throws(Failure) {
            try ZstdDecompressor().decompress(
                chunk.data.span, into: &lines, limit: chunk.rawSize)
        } catch {
            throw file.damaged("chunk \(chunk.number) cannot be expanded: \(error)")
        }
        guard lines.count == chunk.rawSize else {
            throw file.damaged("chunk \(chunk.number) has \(lines.count) bytes")
        }
        return ListChunk(
            number: chunk.number, firstSeq: chunk.firstSeq, count: chunk.count,
            lastKey: chunk.lastKey, lines: lines)
    }

    /// The row of a list that was not dropped.
    func find(_ db: Database, _ meta: MetaRow, _ key: ListKey) throws -> ListRow? {
        try ListRow.all(db, meta).first { $0.info.key == key && !$0.dropped }
    }

    /// Binary search by number: the keys of a list never go back.
    private func firstChunk(_ db: Database, _ row: ListRow, notBefore key: [UInt8]) throws -> Int {
        var low = 0
        var high = row.info.chunks
        while low < high {
            let middle = (low + high) / 2
            let last = try ChunkRow.lastKey(db, list: row.id, number: middle)
            if last.lexicographicallyPrecedes(key) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
