import ContentStore
import Dehydrator
import Foundation
import JobTable
import Manifest
import Platform
import Stages
import StoreTestSupport
import TestSupport
import Testing

/// Chunks of the last list that are taken over as text, and the trees that are then left out.
@Suite struct UnchangedChunkTests {
    /// A module of three parts whose batches are far smaller than they are.
    private func bench() throws -> Workbench {
        let bench = try Workbench()
        bench.batchUnits = 7
        for (number, part) in ["a", "m", "z"].enumerated() {
            for file in 0..<12 {
                // Some of them are the same as others: those add nothing to the store.
                let seed = UInt64(number * 10 + file % 10)
                try bench.write("\(part)/f\(file)", noise(200 + file % 10, seed: seed))
            }
            try bench.write("\(part)/sub/deep/file", noise(300, seed: UInt64(number + 90)))
            #expect(symlink("nowhere", "\(bench.module)/\(part)/link") == 0)
            #expect(mkdir("\(bench.module)/\(part)/empty", 0o755) == 0)
        }
        return bench
    }

    private func chunks(_ bench: Workbench, _ run: String) throws -> [ListChunk] {
        let key = ListKey(run: run, stage: "dehydrate")
        let count = try #require(try bench.state.list(key)).chunks
        return try (0..<count).map { try #require(try bench.state.chunk(key, $0)) }
    }

    private func tree(_ bench: Workbench) throws -> Digest {
        try #require(try bench.state.baseline()).rootTree
    }

    /// What a worker makes of each batch of the finished lists of a run, without any commit.
    private func outputs(
        _ bench: Workbench, _ run: String, after: [String] = ["manifest"]
    ) throws -> [StageOutput] {
        let stage = try bench.dehydrateStage("probe-\(run)")
        let worker = try stage.makeWorker()
        let source = try ListSource(
            state: bench.state, keys: after.map { ListKey(run: run, stage: $0) }, firstBatch: 0)
        var outputs: [StageOutput] = []
        while let batch = try source.next() { outputs.append(try worker.process(batch.load())) }
        return outputs
    }

    /// A pack is lost that nothing of the module is in, so that the store's generation moves on.
    private func moveGeneration(_ bench: Workbench) throws {
        let generation = try bench.store.index.generation()
        let session = StoreSession(store: bench.store)
        let sink = BlobSink(session: session)
        let id = try sink.store(noise(50, seed: generation.magnitude + 777).span, .data, batch: 0)
        try sink.flush()
        try session.finish()
        let location = try #require(try bench.store.index.locations(id.id, .data).first)
        try bench.memory.damage(ObjectKey(.pack, location.pack), nil)
        try bench.refresh()
        #expect(try bench.store.index.generation() > generation)
    }

    /// Gives the module a baseline of the same chunks with other units in them.
    private func rewriteBaseline(_ bench: Workbench, _ change: (inout Unit) throws -> Void) throws {
        var baseline = try #require(try bench.state.baseline())
        let key = ListKey(run: "\(baseline.key.run)-rewritten", stage: "dehydrate")
        let old = try chunks(bench, baseline.key.run)
        let info = try bench.state.openList(key, definition: [])
        for var chunk in old {
            var units = try ListDecoder.units(of: chunk)
            for i in units.indices { try change(&units[i]) }
            chunk.lines = []
            for unit in units { Codec.encode(unit, into: &chunk.lines) }
            _ = try bench.state.append(
                key, [ModuleState.compress(chunk, ZstdCompressor(level: 1))],
                checkpoint: Checkpoint(inputChunks: chunk.number + 1))
        }
        baseline.key = key
        _ = try bench.state.append(
            key, [], checkpoint: Checkpoint(inputChunks: info.chunks + old.count), stats: [],
            baseline: baseline)
    }

    /// The root tree that a store which has nothing yet gets of the module as it is now.
    private func freshTree(_ bench: Workbench, _ run: String) throws -> Digest {
        let other = try Workbench(bench, backend: MemoryBackend(), state: "fresh-\(run)")
        let fresh = try Workbench(
            other, state: ModuleState(path: bench.folder("fresh-\(run).sqlite"), module: "m"))
        try fresh.manifest(run)
        try fresh.dehydrate(run)
        return try tree(fresh)
    }

    /// How many entries the store has below a tree, read by somebody who knows nothing else.
    private func entries(below tree: Digest, _ bench: Workbench) throws -> Int {
        let stranger = try bench.stranger()
        let reader = BlobReader(store: stranger)
        var open = [tree]
        var entries = 0
        while let tree = open.popLast() {
            let cursor = try TreeCursor(tree, reader: reader, store: stranger)
            while let node = try cursor.next() {
                entries += 1
                if let subtree = node.subtree { open.append(subtree) }
                for id in node.content ?? [] { #expect(try reader.verify(id, .data) == .good) }
            }
        }
        return entries
    }

    @Test func whatIsTakenOverIsWhatTheLongWayGives() throws {
        let bench = try bench()
        let first = try bench.store("first")
        #expect(first[counter: "new-bytes"] > 0)
        let tree = try tree(bench)
        let fileCount = first.countFiles
        for run in ["second", "third"] {
            try bench.manifest(run)
            let outputs = try outputs(bench, run)
            // All but the last, which stands for what lies behind the last path.
            #expect(outputs.dropLast().allSatisfy { $0.lines != nil }, "\(run)")
            // The first run told what was new in it; the second has no more to tell than the third.
            #expect(
                outputs.dropLast().allSatisfy { $0.chunk != nil } == (run == "third"), "\(run)")
            let stats = try bench.dehydrate(run)
            #expect(try self.tree(bench) == tree)
            #expect(stats[counter: "files-unchanged"] == fileCount)
            for name in ["files-new", "files-changed", "read-bytes", "new-bytes", "new-trees"] {
                #expect(stats[counter: name] == 0, "\(run): \(name)")
            }
            let units = try bench.units(run, ["dehydrate"])
            #expect(units.allSatisfy { $0.content?.newBytes ?? 0 == 0 }, "\(run)")
            #expect(units.filter { $0.content != nil }.count == fileCount)
        }
        try moveGeneration(bench)
        try bench.manifest("slow")
        #expect(try outputs(bench, "slow").allSatisfy { $0.lines == nil })
        let slow = try bench.dehydrate("slow")
        #expect(try self.tree(bench) == tree)
        let expected = try chunks(bench, "slow")
        #expect(expected.count > 5)
        for run in ["second", "third"] {
            #expect(try chunks(bench, run) == expected, "\(run)")
            let key = ListKey(run: run, stage: "dehydrate")
            let line = try #require(try bench.state.list(key)?.stats)
            var expectedLine: [UInt8] = []
            Codec.encode(slow, into: &expectedLine)
            #expect(line == expectedLine, "\(run): the statistics differ")
        }
    }

    enum Change: CaseIterable, Sendable {
        case newFirst, newLast, content, fileMode, directoryMode, removed, removedDirectory, xattr
        case target, newDirectory, fileToDirectory, mtime
    }

    @Test(arguments: Change.allCases, ["a", "m", "z"])
    func aChangeMakesUpForTreesThatWereLeftOut(change: Change, part: String) throws {
        let bench = try bench()
        let folder = "\(bench.module)/\(part)"
        try setAttribute("\(folder)/f5", [1])
        try bench.store("first")
        let before = try tree(bench)
        switch change {
        case .newFirst: try bench.write("\(part)/!", noise(70, seed: 1000))
        case .newLast: try bench.write("\(part)/~", noise(70, seed: 1000))
        case .content: try bench.write("\(part)/f3", noise(777, seed: 1001))
        case .fileMode: #expect(chmod("\(folder)/f3", 0o400) == 0)
        case .directoryMode: #expect(chmod("\(folder)/sub/deep", 0o700) == 0)
        case .removed: #expect(unlink("\(folder)/sub/deep/file") == 0)
        case .removedDirectory: removeTree("\(folder)/sub")
        case .xattr: try setAttribute("\(folder)/f5", [2])
        case .target:
            #expect(unlink("\(folder)/link") == 0)
            #expect(symlink("elsewhere", "\(folder)/link") == 0)
        case .newDirectory: #expect(mkdir("\(folder)/~~", 0o755) == 0)
        case .fileToDirectory:
            #expect(unlink("\(folder)/f9") == 0)
            #expect(mkdir("\(folder)/f9", 0o755) == 0)
        case .mtime: #expect(utimes("\(folder)/f3", nil) == 0)
        }
        bench.settle()
        let units = try bench.manifest("second")
        let outputs = try outputs(bench, "second")
        if part != "a" { #expect(outputs.first?.lines != nil, "nothing was left out") }
        try bench.dehydrate("second")
        let after = try tree(bench)
        #expect(after != before)
        #expect(try after == freshTree(bench, "x"))
        #expect(try entries(below: after, bench) == units.count)
        // And this is what the run after it leaves alone.
        try bench.manifest("third")
        try bench.dehydrate("third")
        #expect(try tree(bench) == after)
    }

    private func setAttribute(_ path: String, _ value: [UInt8]) throws {
        let attribute = ExtendedAttribute(name: Array("user.a".utf8), value: value)
        try ExtendedAttributes.set(path: Array(path.utf8), attribute)
    }

    /// Units that were cut from the end: no batch differs, and yet the module does.
    @Test(arguments: [1, 7, 8, 20])
    func aShorterModuleIsNotTheSame(cut: Int) throws {
        let bench = try bench()
        let all = try bench.walk()
        // Only directories and files of the last part go, so that the list stays whole.
        let kept = Array(all.dropLast(cut))
        bench.settle()
        try bench.manifest("first", all)
        try bench.dehydrate("first")
        let before = try tree(bench)
        try bench.manifest("second", kept)
        let stats = try bench.dehydrate("second")
        let after = try tree(bench)
        #expect(after != before)
        #expect(stats[counter: "units-removed"] == UInt64(cut))
        let state = try ModuleState(path: bench.folder("other.sqlite"), module: "m")
        let other = try Workbench(bench, state: state)
        try other.manifest("first", kept)
        try other.dehydrate("first")
        #expect(try tree(other) == after)
        #expect(try entries(below: after, bench) == kept.count)
    }

    enum End: CaseIterable, Sendable { case death, stop }

    /// A run that ends in the middle of a module, of which nothing or only the end has changed,
    /// and goes on.
    @Test(arguments: End.allCases, [false, true])
    func aRunThatGoesOnGivesTheSameTree(end: End, changed: Bool) throws {
        let bench = try bench()
        bench.threads = 1
        try bench.store("first")
        if changed { try bench.write("z/~", noise(70, seed: 1000)) }
        bench.settle()
        try bench.manifest("second")
        let key = ListKey(run: "second", stage: "dehydrate")
        for number in [1, 2, 4] {
            switch end {
            case .death:
                #expect(throws: DyingSink.Death.self) {
                    try bench.dehydrate("second", stopAt: number == 4 ? 2 : 1)
                }
            case .stop:
                let failure = #expect(throws: Failure.self) {
                    try stop(bench, "second", afterBatches: 1)
                }
                #expect(failure?.kind == .cancelled)
            }
            let info = try #require(try bench.state.list(key))
            #expect(!info.finished && info.chunks > 0, "nothing was done before the end")
            try bench.reopen()
        }
        try bench.dehydrate("second")
        let resumed = try tree(bench)
        #expect(try resumed == freshTree(bench, "x"))
        #expect(try bench.units("second", ["dehydrate"]).count == bench.walk().count)
        try bench.manifest("third")
        try bench.dehydrate("third")
        #expect(try tree(bench) == resumed)
    }

    /// Goes on with dehydrate, and is asked to stop after some batches.
    private func stop(_ bench: Workbench, _ run: String, afterBatches: Int) throws {
        let stage = try bench.dehydrateStage(run)
        let key = ListKey(run: run, stage: "dehydrate")
        let info = try bench.state.openList(key, definition: [])
        for number in 0..<info.chunks {
            let chunk = try #require(try bench.state.chunk(key, number))
            try stage.replay(ListDecoder.units(of: chunk), number: number)
        }
        var statistics = StatsAccumulator()
        if let note = info.checkpoint.note { statistics = try StatsAccumulator(state: note.span) }
        let first = info.checkpoint.inputChunks
        let asked = Monitor(0)
        _ = try StageLoop(
            stage: stage,
            source: ListSource(
                state: bench.state, keys: [ListKey(run: run, stage: "manifest")],
                firstBatch: first),
            sink: ListSink(state: bench.state, info: info, onlyFull: true), threads: 1,
            firstBatch: first, statistics: statistics,
            checkStop: {
                try asked.with { asked in
                    asked += 1
                    if asked > afterBatches { throw Failure(.cancelled, "asked to stop") }
                }
            }
        ).run()
    }

    /// Reading again what was left out takes its time: it tells, and can be stopped.
    @Test func makingUpForTreesCanBeStopped() throws {
        let bench = try bench()
        try bench.store("first")
        try bench.write("z/~", noise(70, seed: 1000))
        bench.settle()
        try bench.manifest("second")
        let told = Monitor(0)
        let stage = try DehydrateStage(
            module: "m", root: bench.module, state: bench.state,
            session: StoreSession(store: bench.store),
            list: ListKey(run: "second", stage: "dehydrate"), options: DehydrateOptions(),
            catchUp: { bytes in
                told.with { $0 += bytes }
                throw Failure(.cancelled, "asked to stop")
            })
        let failure = #expect(throws: Failure.self) {
            try bench.perform(stage, "second", after: ["manifest"], onlyFull: true)
        }
        #expect(failure?.kind == .cancelled)
        #expect(told.with { $0 } > 0)
        try bench.reopen()
        try bench.dehydrate("second")
        #expect(try tree(bench) == freshTree(bench, "x"))
    }

    @Test func whatTheStoreMayHaveLostIsLookedUp() throws {
        let bench = try bench()
        try bench.store("first")
        // In packs of their own: everything else stays where it is.
        try bench.write("m/later", noise(600, seed: 501))
        try bench.store("second")
        let tree = try tree(bench)
        let location = try #require(try bench.store.index.locations(tree, .tree).first)
        try bench.memory.damage(ObjectKey(.pack, location.pack), nil)
        try bench.losePack("m/later")
        try bench.manifest("third")
        #expect(try outputs(bench, "third").allSatisfy { $0.lines == nil })
        let stats = try bench.dehydrate("third")
        #expect(stats[counter: "read-bytes"] == 600)
        // The module's, m's, and the one above them; those of a and z were in the first pack.
        #expect(stats[counter: "new-trees"] == 3)
        #expect(try self.tree(bench) == tree)
        #expect(try entries(below: tree, bench) == bench.walk().count)
        // The generation stands again, and so do the chunks.
        try bench.manifest("fourth")
        #expect(
            try outputs(bench, "fourth").dropLast().allSatisfy { output in
                output.lines != nil || output.units.contains { $0.name == "m/later" }
            })
    }

    /// What was noted of a unit in the last run does not go on into the next one by itself.
    @Test(arguments: [
        "changed while it was read", "kept from the last snapshot: the local file is damaged",
        "ends like a number\",\"new_bytes\":0", "\"new_bytes\":7",
    ])
    func aProblemIsNotPassedOver(problem: String) throws {
        let bench = try bench()
        try bench.store("first")
        try rewriteBaseline(bench) { unit in
            if unit.name == "m/f3" { unit.content?.problems = [problem] }
        }
        try bench.manifest("second")
        let outputs = try outputs(bench, "second")
        let index = try #require(outputs.firstIndex { $0.units["m/f3"] != nil })
        for (number, output) in outputs.dropLast().enumerated() {
            #expect((output.lines == nil) == (number == index), "batch \(number)")
        }
        try bench.dehydrate("second")
        let unit = try #require(try bench.units("second", ["dehydrate"])["m/f3"])
        #expect(unit.content?.problems == [])
        #expect(try tree(bench) == freshTree(bench, "x"))
    }

    /// A unit that could not be stored is not in the tree: its line in the list is no content.
    @Test func aUnitThatFailedIsTriedAgain() throws {
        let bench = try bench()
        var units = try bench.walk()
        let index = try #require(units.firstIndex { $0.name == "m/f3" })
        units[index].error = UnitError(call: "openat", code: 13)
        bench.settle()
        try bench.manifest("first", units)
        let first = try bench.dehydrate("first")
        #expect(first[counter: "units-failed"] == 1)
        try bench.manifest("same", units)
        #expect(try bench.dehydrate("same")[counter: "units-failed"] == 1)
        try bench.manifest("second")
        #expect(try bench.dehydrate("second")[counter: "files-new"] == 1)
        #expect(try tree(bench) == freshTree(bench, "x"))
    }

    /// Between manifest and dehydrate a check has looked: what it found well goes the short way,
    /// what has rotted stays as the last snapshot has it.
    @Test func whatACheckFoundRottedIsKept() throws {
        let bench = try bench()
        try bench.store("first")
        let before = try tree(bench)
        // A change without a trace in the metadata.
        var bytes = try bench.read("m/f3")
        bytes[100] ^= 1
        let file = try #require(FileHandle(forWritingAtPath: bench.module + "/m/f3"))
        try file.write(contentsOf: bytes)
        try file.close()
        let now = try #require(try bench.walk()["m/f3"])
        try rewriteBaseline(bench) { if $0.name == "m/f3" { $0.metadata = now.metadata } }
        bench.settle()
        for run in ["second", "third"] {
            try bench.manifest(run)
            let checked = try bench.check(run, verify: true)
            #expect(checked[counter: "count-unhealthy"] == 1)
            let outputs = try outputs(bench, run, after: ["manifest", "check"])
            let index = try #require(outputs.firstIndex { $0.units["m/f3"] != nil })
            for (number, output) in outputs.dropLast().enumerated() {
                #expect((output.lines == nil) == (number == index), "\(run): batch \(number)")
            }
            let stats = try bench.dehydrate(run, after: ["manifest", "check"])
            #expect(stats[counter: "units-kept"] == 1)
            let units = try bench.units(run, ["dehydrate"])
            #expect(units["m/f3"]?.content?.problems.count == 1, "\(run)")
            #expect(units.allSatisfy { $0.check == nil && $0.repair == nil })
            let after = try tree(bench)
            #expect(try entries(below: after, bench) == units.count)
            let old = try content("m/f3", before, bench)
            #expect(try content("m/f3", after, bench) == old)
            #expect(units["m/f3"]?.content?.ids == old)
        }
    }

    /// The blobs of a file as the tree of a snapshot has them.
    private func content(_ path: String, _ tree: Digest, _ bench: Workbench) throws -> [Digest]? {
        let reader = BlobReader(store: bench.store)
        var tree = tree
        var names = ["m"] + path.split(separator: "/").map(String.init)
        while !names.isEmpty {
            let name = Array(names.removeFirst().utf8)
            let cursor = try TreeCursor(tree, reader: reader, store: bench.store)
            var found: TreeNode?
            while let node = try cursor.next() { if node.name == name { found = node } }
            let node = try #require(found)
            guard let subtree = node.subtree else { return node.content }
            tree = subtree
        }
        return nil
    }
}
