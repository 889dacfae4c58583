package import JobTable
package import Manifest
package import Platform

/// Batches from the stored lists of a run: the manifest with everything that later stages added.
///
/// Chunk numbers agree over all lists of a run, so batch k is the join of their chunks k. A last
/// batch covers what lies behind the last unit of the manifest.
package final class ListSource: BatchSource {
    private let state: ModuleState
    /// The lists in the order of their stages; the first is the manifest.
    private let lists: [ListInfo]
    private let batches: Int
    private var number: Int
    private var after: [UInt8]?
    /// Followed only where the manifest has errors at all.
    private var unreadable: UnreadableDirectories?

    /// Reads the finished lists `keys` of `state` from batch `firstBatch` on.
    ///
    /// - Throws: `Failure` when one of them is not finished: nothing takes it for whole.
    package init(state: ModuleState, keys: [ListKey], firstBatch: Int) throws(Failure) {
        self.state = state
        var lists: [ListInfo] = []
        for key in keys {
            guard let info = try state.list(key), info.finished else {
                throw Failure(
                    .module, "list \(key) is not finished, so no later stage may read it")
            }
            lists.append(info)
        }
        self.lists = lists
        guard let manifest = lists.first else {
            throw Failure(.bug, "a stage without a list before it")
        }
        batches = manifest.chunks + 1
        number = firstBatch
        if firstBatch > 0 {
            after = try state.chunk(manifest.key, min(firstBatch, manifest.chunks) - 1)
                .map { path(ofSortKey: $0.lastKey) }
        }
        if try ListSource.hasErrors(manifest) {
            let current = try after.flatMap { (after) throws(Failure) in
                try state.unreadableDirectory(in: manifest.key, at: after)
            }
            unreadable = UnreadableDirectories(current)
        }
    }

    private static func hasErrors(_ manifest: ListInfo) throws(Failure) -> Bool {
        guard let line = manifest.stats, case .stats(let stats) = try Codec.decode(line.span)
        else { throw Failure(.bug, "the finished list \(manifest.key) has no statistics") }
        return stats.countErrors > 0
    }

    package func next() throws -> (any PendingBatch)? {
        guard number < batches else { return nil }
        var chunks: [ListChunk?] = []
        for list in lists { chunks.append(try state.chunk(list.key, number)) }
        let isLast = number == batches - 1
        let upTo = isLast ? nil : chunks.first.flatMap { $0 }.map { path(ofSortKey: $0.lastKey) }
        let batch = Pending(
            number: number, chunks: chunks, manifestUnits: lists[0].units, after: after,
            upTo: upTo, unreadable: unreadable?.current)
        if unreadable != nil, let chunk = chunks.first.flatMap({ $0 }) {
            unreadable?.pass(try ListDecoder.units(of: chunk))
        }
        number += 1
        after = upTo
        return batch
    }

    private struct Pending: PendingBatch {
        var number: Int
        var chunks: [ListChunk?]
        var manifestUnits: Int
        var after: [UInt8]?
        var upTo: [UInt8]?
        var unreadable: [UInt8]?

        func load() throws -> UnitBatch {
            var joined: (firstSeq: Int, units: [Unit]) = (manifestUnits, [])
            for chunk in chunks {
                // The last batch is in a list only when its stage found something behind the end.
                guard let chunk else { continue }
                joined = (chunk.firstSeq, try ListDecoder.apply(chunk, to: joined))
            }
            return UnitBatch(
                number: number, firstSeq: joined.firstSeq, units: joined.units, after: after,
                upTo: upTo, unreadable: unreadable)
        }
    }
}

/// Writes a stage's results into its list, results and checkpoint in one transaction.
package final class ListSink: BatchSink, Sendable {
    private let state: ModuleState
    private let key: ListKey
    private let onlyFull: Bool
    private let position: Monitor<(chunk: Int, seq: Int)>

    /// Continues the list `info` of `state`.
    ///
    /// - Parameter onlyFull: every unit is stored as a full line, see `ListEncoder`.
    package init(state: ModuleState, info: ListInfo, onlyFull: Bool) {
        self.state = state
        key = info.key
        self.onlyFull = onlyFull
        position = Monitor((info.chunks, info.units))
    }

    package func encode(
        _ output: StageOutput, of batch: UnitBatch, with compressor: ZstdCompressor
    ) -> EncodedBatch {
        let lastPath = batch.upTo ?? output.units.last?.path ?? batch.after
        if let chunk = output.chunk {
            return EncodedBatch(
                number: batch.number, lines: [], chunk: chunk, units: chunk.count,
                lastPath: lastPath)
        }
        let lines = ListEncoder.encode(output, of: batch, onlyFull: onlyFull)
        let chunk = ListChunk(
            number: batch.number, firstSeq: 0, count: output.units.count,
            lastKey: output.units.last.map { sortKey($0.path) } ?? lastPath.map(sortKey) ?? [],
            lines: lines)
        return EncodedBatch(
            number: batch.number, lines: [], chunk: ModuleState.compress(chunk, compressor),
            units: output.units.count, lastPath: lastPath)
    }

    package func commit(_ batches: [EncodedBatch], checkpoint: Checkpoint) throws {
        var (next, seq) = position.with { $0 }
        var chunks: [CompressedChunk] = []
        for batch in batches where batch.units > 0 {
            guard var chunk = batch.chunk else { continue }
            chunk.number = next
            chunk.firstSeq = seq
            chunks.append(chunk)
            next += 1
            seq += batch.units
        }
        _ = try state.append(key, chunks, checkpoint: checkpoint)
        position.with { $0 = (next, seq) }
    }

    package func finish(
        _ stats: Stats, checkpoint: Checkpoint, _ completion: StageCompletion
    ) throws {
        var line: [UInt8] = []
        Codec.encode(stats, into: &line)
        _ = try state.append(
            key, [], checkpoint: checkpoint, stats: line, baseline: completion.baseline,
            notes: completion.notes)
    }
}
