internal import ContentStore
internal import JobTable
internal import Manifest
internal import Platform
internal import Stages
internal import Synchronization

/// What one thread does for dehydrate: decides for each unit whether the last snapshot's content
/// still holds, reads what is new, and never gives up a good version for a bad one.
final class DehydrateWorker: StageWorker {
    private let stage: DehydrateStage
    private let sink: BlobSink
    private let writer: ContentWriter
    private let files: ModuleFiles
    private let baseline: BaselineReader?
    private let storeUnchanged: Bool
    private let clock = SystemClock()

    init(stage: DehydrateStage, sink: BlobSink) throws {
        self.stage = stage
        self.sink = sink
        writer = ContentWriter(store: stage.session.store, sink: sink)
        files = try ModuleFiles(root: stage.root)
        baseline = stage.baseline.map { BaselineReader(state: stage.state, key: $0.key) }
        storeUnchanged = stage.baseline?.storeGeneration == stage.generation
    }

    func process(_ batch: UnitBatch) throws -> StageOutput {
        if let output = try unchanged(batch) { return output }
        let stored = try baseline?.units(after: batch.after, upTo: batch.upTo) ?? []
        var output = StageOutput()
        output.units.reserveCapacity(batch.units.count)
        output.origins.reserveCapacity(batch.units.count)
        var tally = Tally()
        var unreadable = UnreadableDirectories(batch.unreadable)
        try forEachPair(batch.units, stored) { index, stored in
            let unit: Unit?
            if let index {
                unreadable.pass(batch.units[index])
                unit = try dehydrate(batch.units[index], stored, batch.number, &tally)
            } else if let stored, unreadable.cover(stored) {
                unit = try keep(stored, "its directory could not be read", &tally)
            } else {
                tally.removed += 1
                unit = nil
            }
            if let unit { output.append(unit, origin: nil) }
        }
        try sink.flushIfLagging(behind: batch.number)
        tally.add(to: &output)
        if batch.units.isEmpty && stored.isEmpty {
            output.payload = SkippedTrees(chunk: nil)
        } else {
            output.payload = try stage.fragments(output.units)
        }
        return output
    }

    /// The output for a batch that is to the letter what a chunk of the last list stands for.
    private func unchanged(_ batch: UnitBatch) throws -> StageOutput? {
        guard storeUnchanged, batch.unreadable == nil, let baseline,
            let chunk = try baseline.chunk(batch.number, after: batch.after, upTo: batch.upTo)
        else { return nil }
        let found = chunk.lines.lines.span
        guard let same = UnchangedLines(batch.units, stored: found) else { return nil }
        var tally = Tally()
        tally.unchanged = same.files
        var output = StageOutput()
        output.units = batch.units
        output.lines = same.lines
        if same.isVerbatim { output.chunk = chunk.stored }
        try sink.flushIfLagging(behind: batch.number)
        tally.add(to: &output)
        output.payload =
            stage.buildsTrees.load(ordering: .relaxed)
            ? try stage.fragments(ListDecoder.units(of: chunk.lines))
            : SkippedTrees(chunk: batch.number)
        return output
    }

    /// The unit as the snapshot holds it; nil when it does not.
    private func dehydrate(
        _ unit: Unit, _ stored: Unit?, _ batch: Int, _ tally: inout Tally
    ) throws -> Unit? {
        if let check = unit.check, !(unit.repair?.successful ?? false) {
            switch check.state {
            case .removed where unit.repair?.attempted ?? false:
                // It was to come back: that it could not must not make the snapshot forget it.
                if let stored { return try keep(stored, "it could not be restored", &tally) }
            case .removed:
                tally.removed += 1
                return nil
            case .rotted:
                if let stored { return try keep(stored, "the local file is damaged", &tally) }
            case .unreadable where unit.error == nil:
                if let stored { return try keep(stored, "its directory could not be read", &tally) }
            case .unreadable, .intact, .new, .changed: break
            }
        }
        var unit = unit
        unit.check = nil
        unit.repair = nil
        if let error = unit.error, unit.metadata.kind != .directory {
            return try failed(unit, error, stored, &tally)
        }
        guard unit.metadata.kind == .file else { return unit }
        if let stored, let content = stored.content, unit.isUnchanged(since: stored),
            try hasContent(content.ids)
        {
            tally.unchanged += 1
            unit.content = ContentResult(ids: content.ids, storedBytes: content.storedBytes)
            return unit
        }
        return try read(unit, stored, batch, &tally)
    }

    private func hasContent(_ ids: [Digest]) throws -> Bool {
        if storeUnchanged { return true }
        for id in ids {
            guard try stage.session.store.index.contains(id, .data) else { return false }
        }
        return true
    }

    private func read(
        _ unit: Unit, _ stored: Unit?, _ batch: Int, _ tally: inout Tally
    ) throws -> Unit? {
        var unit = unit
        do {
            var content = StoredContent()
            var changing = true
            for _ in 0..<2 where changing {
                let file = try files.open(unit.path)
                let started = clock.now()
                unit.metadata = file.metadata
                content = try writer.store(file.descriptor, batch: batch)
                tally.readBytes += content.size
                tally.newBytes += content.newBytes
                let after = try file.descriptor.metadata()
                changing =
                    after.mtime != unit.metadata.mtime || after.ctime != unit.metadata.ctime
                    || after.size != content.size
                unit.metadata.distrustIfRecent(started)
            }
            unit.metadata.size = content.size
            unit.content = ContentResult(
                ids: content.ids, storedBytes: content.newBytes, newBytes: content.newBytes)
            if changing {
                unit.content?.problems = ["changed while it was read"]
                tally.changedWhileRead += 1
            }
        } catch let error as SystemError {
            if error.code == Errno.noEntry {
                tally.vanished += 1
                return nil
            }
            return try failed(unit, UnitError(error), stored, &tally)
        }
        if stored == nil { tally.new += 1 } else { tally.changed += 1 }
        return unit
    }

    private func failed(
        _ unit: Unit, _ error: UnitError, _ stored: Unit?, _ tally: inout Tally
    ) throws -> Unit {
        if let stored, stored.metadata.kind == unit.metadata.kind {
            return try keep(stored, "\(error.call): \(Errno.name(error.code))", &tally)
        }
        var unit = unit
        unit.error = error
        tally.failed += 1
        return unit
    }

    /// The last snapshot's version of a unit, because the local one cannot be had.
    private func keep(_ stored: Unit, _ reason: String, _ tally: inout Tally) throws -> Unit {
        tally.kept += 1
        var unit = stored
        unit.check = nil
        unit.repair = nil
        guard let content = stored.content else { return unit }
        for id in content.ids {
            guard try stage.session.store.index.contains(id, .data) else {
                tally.lost += 1
                break
            }
        }
        unit.content?.newBytes = 0
        unit.content?.problems = ["kept from the last snapshot: \(reason)"]
        return unit
    }

    /// What one batch counts.
    private struct Tally {
        var new: UInt64 = 0
        var changed: UInt64 = 0
        var unchanged: UInt64 = 0
        var removed: UInt64 = 0
        var failed: UInt64 = 0
        var kept: UInt64 = 0
        var lost: UInt64 = 0
        var changedWhileRead: UInt64 = 0
        var vanished: UInt64 = 0
        var readBytes: UInt64 = 0
        var newBytes: UInt64 = 0

        func add(to output: inout StageOutput) {
            output.count(DehydrateCounters.new, new)
            output.count(DehydrateCounters.changed, changed)
            output.count(DehydrateCounters.unchanged, unchanged)
            output.count(DehydrateCounters.removed, removed)
            output.count(DehydrateCounters.readBytes, readBytes)
            output.count(DehydrateCounters.newBytes, newBytes)
            for (name, value) in [
                (DehydrateCounters.failed, failed), (DehydrateCounters.kept, kept),
                (DehydrateCounters.lost, lost), (DehydrateCounters.vanished, vanished),
                (DehydrateCounters.changedWhileRead, changedWhileRead),
            ] where value > 0 {
                output.count(name, value)
            }
        }
    }
}
