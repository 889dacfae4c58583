internal import GRDB
package import Platform

extension ModuleState {
    /// Compresses a chunk (zstd of the compressor's level; 1 is what lists use) with its checksum.
    package static func compress(
        _ chunk: ListChunk, _ compressor: ZstdCompressor
    ) -> CompressedChunk {
        var roomy: [UInt8] = []
        compressor.compress(chunk.lines.span, into: &roomy)
        // Many chunks may wait to be committed, and the compressor wants room for the worst case.
        var data: [UInt8] = []
        data.reserveCapacity(roomy.count)
        data.append(copying: roomy.span)
        return CompressedChunk(
            number: chunk.number, firstSeq: chunk.firstSeq, count: chunk.count,
            lastKey: chunk.lastKey, data: data, rawSize: chunk.lines.count,
            dataSum: xxHash64(data.span))
    }

    /// Appends chunks and moves the checkpoint, in one transaction with everything else given.
    ///
    /// - Parameters:
    ///   - stats: the encoded stats line: finishes the list.
    ///   - baseline: becomes the module's baseline; only together with `stats`.
    ///   - notes: changes of the journal.
    /// - Returns: the list as it is now.
    /// - Throws: `locked` when another process has continued the list; `bug` when the chunks do not
    ///   continue it exactly or the checkpoint goes back. Nothing is changed then.
    package func append(
        _ key: ListKey, _ chunks: [CompressedChunk], checkpoint: Checkpoint,
        stats: [UInt8]? = nil, baseline: Baseline? = nil, notes: [NoteChange] = []
    ) throws(Failure) -> ListInfo {
        let info = try write { db -> ListInfo in
            var meta = try MetaRow(db)
            guard var row = try self.find(db, meta, key) else {
                throw self.misuse(key, "it does not exist")
            }
            try self.checkSoleWriter(row.info)
            let before = meta
            try self.advance(&row.info, chunks, checkpoint)
            for chunk in chunks { try ChunkRow.insert(db, list: row.id, chunk) }
            if let stats {
                row.info.finished = true
                row.info.stats = stats
            }
            try row.save(db)
            if let baseline {
                guard stats != nil, baseline.key == key else {
                    throw self.misuse(key, "a baseline comes with the stats of its own list")
                }
                meta.baseline = MetaRow.BaselineRow(
                    list: row.id, snapshot: baseline.snapshot, rootTree: baseline.rootTree,
                    store: baseline.storeID, generation: baseline.storeGeneration,
                    time: baseline.time)
            }
            for note in notes { try self.change(db, &meta, note) }
            if meta != before { try meta.save(db) }
            CrashPoint.reached("list-append-written")
            return row.info
        }
        remember(info)
        CrashPoint.reached("list-appended")
        return info
    }

    /// Checks that the chunks continue the list, and counts them.
    private func advance(
        _ info: inout ListInfo, _ chunks: [CompressedChunk], _ checkpoint: Checkpoint
    ) throws(Failure) {
        guard !info.finished else { throw misuse(info.key, "it is finished") }
        guard checkpoint.inputChunks >= info.checkpoint.inputChunks else {
            throw misuse(info.key, "the checkpoint would go back to \(checkpoint.inputChunks)")
        }
        for chunk in chunks {
            guard chunk.number == info.chunks, chunk.number < ChunkRow.limit else {
                throw misuse(info.key, "chunk \(chunk.number) does not follow \(info.chunks)")
            }
            guard chunk.firstSeq == info.units, chunk.count > 0 else {
                throw misuse(
                    info.key, "unit \(chunk.firstSeq)+\(chunk.count) does not follow \(info.units)")
            }
            guard !chunk.lastKey.lexicographicallyPrecedes(info.lastKey) else {
                throw misuse(info.key, "chunk \(chunk.number) is not in order")
            }
            guard chunk.rawSize <= ModuleState.chunkLimit else {
                throw misuse(info.key, "chunk \(chunk.number) has \(chunk.rawSize) bytes")
            }
            info.chunks += 1
            info.units += chunk.count
            info.lastKey = chunk.lastKey
        }
        info.checkpoint = checkpoint
    }

    private func misuse(_ key: ListKey, _ cause: String) -> Failure {
        Failure(.bug, "list \(key) of module \(module) cannot be continued", cause: cause)
    }
}
