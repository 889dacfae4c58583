import JobTable
import Platform
import TestSupport
import Testing

@Suite("A module's state file")
struct ModuleStateTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(_ name: String = "m.sqlite") throws -> ModuleState {
        try ModuleState(path: folder(name), module: "m")
    }

    private func compress(_ chunk: ListChunk) -> CompressedChunk {
        ModuleState.compress(chunk, ZstdCompressor(level: 1))
    }

    @Test func givesBackWhatWasAppendedAfterReopening() throws {
        let chunks = (0..<5).map { makeChunk($0, from: $0 * 100, count: 100, padding: 50) }
        let state = try open()
        #expect(try state.openList(testKey, definition: [1]).units == 0)
        for chunk in chunks {
            _ = try state.append(
                testKey, [compress(chunk)],
                checkpoint: Checkpoint(
                    inputChunks: chunk.number, lastPath: chunk.lastKey, note: [9]))
        }
        try state.close()

        let again = try open()
        let info = try again.openList(testKey, definition: [1])
        #expect(info.chunks == 5)
        #expect(info.units == 500)
        #expect(!info.finished)
        #expect(info.stats == nil)
        #expect(info.lastKey == key(499))
        #expect(
            info.checkpoint == Checkpoint(inputChunks: 4, lastPath: key(499), note: [9]))
        for chunk in chunks { #expect(try again.chunk(testKey, chunk.number) == chunk) }
        #expect(try again.chunk(testKey, 5) == nil)
        #expect(try again.chunk(testKey, -1) == nil)
        #expect(try again.lists() == [info])
        try again.close()
    }

    @Test func appliesChunksStatsBaselineAndNotesTogether() throws {
        let state = try open()
        _ = try state.openList(testKey, definition: [])
        let digest = try #require(Digest(hex: String(repeating: "ab", count: 32)))
        let baseline = Baseline(
            key: testKey, snapshot: digest, rootTree: digest, storeID: "store",
            storeGeneration: 7, time: Timestamp(seconds: 1, nanoseconds: 2))
        // The checkpoint goes back in the second call, so nothing of it may be there.
        _ = try state.append(
            testKey, [compress(makeChunk(0, from: 0, count: 3))],
            checkpoint: Checkpoint(inputChunks: 2))
        let failure = #expect(throws: Failure.self) {
            try state.append(
                testKey, [compress(makeChunk(1, from: 3, count: 3))],
                checkpoint: Checkpoint(inputChunks: 1), stats: [1], baseline: baseline,
                notes: [NoteChange("n", [1])])
        }
        #expect(failure?.kind == .bug)
        #expect(try state.baseline() == nil)
        #expect(try state.note("n") == nil)
        #expect(try state.list(testKey)?.chunks == 1)

        let info = try state.append(
            testKey, [], checkpoint: Checkpoint(inputChunks: 2), stats: [1],
            baseline: baseline, notes: [NoteChange("n", [1]), NoteChange("o", [])])
        #expect(info.finished)
        #expect(info.stats == [1])
        #expect(try state.baseline() == baseline)
        #expect(try state.note("n") == [1])
        #expect(try state.noteNames() == ["n", "o"])
        try state.change([NoteChange("n", nil), NoteChange("o", [2]), NoteChange("x", nil)])
        #expect(try state.note("n") == nil)
        #expect(try state.note("o") == [2])
    }

    @Test(arguments: [
        (makeChunk(2, from: 10, count: 5), "a number left out"),
        (makeChunk(0, from: 10, count: 5), "a number twice"),
        (makeChunk(1, from: 11, count: 5), "a unit left out"),
        (makeChunk(1, from: 9, count: 5), "a unit twice"),
        (ListChunk(number: 1, firstSeq: 10, count: 0, lastKey: key(9), lines: []), "no unit"),
        (ListChunk(number: 1, firstSeq: 10, count: 1, lastKey: key(3), lines: [10]), "order"),
    ])
    func refusesWhatDoesNotContinueTheList(_ chunk: ListChunk, _ what: String) throws {
        let state = try open()
        _ = try state.openList(testKey, definition: [])
        _ = try state.append(
            testKey, [compress(makeChunk(0, from: 0, count: 10))], checkpoint: Checkpoint())
        let failure = #expect(throws: Failure.self) {
            try state.append(testKey, [compress(chunk)], checkpoint: Checkpoint())
        }
        #expect(failure?.kind == .bug)
        #expect(try state.list(testKey)?.units == 10)
    }

    @Test func tellsASecondWriterThatItIsNotAlone() throws {
        let stale = try open()
        let fresh = try open()
        _ = try stale.openList(testKey, definition: [])
        _ = try fresh.openList(testKey, definition: [])
        let chunk = compress(makeChunk(0, from: 0, count: 10))
        _ = try fresh.append(testKey, [chunk], checkpoint: Checkpoint(inputChunks: 1))
        let failure = #expect(throws: Failure.self) {
            try stale.append(testKey, [chunk], checkpoint: Checkpoint(inputChunks: 1))
        }
        #expect(failure?.kind == .locked)
        // Opened again, it goes on from what is there.
        #expect(try stale.openList(testKey, definition: []).chunks == 1)
        let next = compress(makeChunk(1, from: 10, count: 10))
        _ = try stale.append(testKey, [next], checkpoint: Checkpoint(inputChunks: 2))
    }

    @Test func refusesToGoOnWithAFinishedOrUnknownList() throws {
        let state = try open()
        #expect(throws: Failure.self) {
            try state.append(testKey, [], checkpoint: Checkpoint())
        }
        _ = try state.openList(testKey, definition: [])
        _ = try state.append(testKey, [], checkpoint: Checkpoint(), stats: [1])
        #expect(throws: Failure.self) {
            try state.append(testKey, [], checkpoint: Checkpoint())
        }
    }

    @Test func refusesOtherOptionsForAnUnfinishedListOnly() throws {
        let state = try open()
        _ = try state.openList(testKey, definition: [1])
        let failure = #expect(throws: Failure.self) {
            try state.openList(testKey, definition: [2])
        }
        #expect(failure?.kind == .usage)
        #expect(failure?.hint?.contains("--fresh") == true)
        _ = try state.append(testKey, [], checkpoint: Checkpoint(), stats: [1])
        #expect(try state.openList(testKey, definition: [2]).finished)
    }

    struct KeyRange: Sendable {
        var from: Int
        var to: Int?
        var chunks: [Int]

        static let table: [KeyRange] = [
            KeyRange(from: -1, to: 4, chunks: [0]), KeyRange(from: 0, to: 9, chunks: [0]),
            KeyRange(from: 0, to: 10, chunks: [0, 1]), KeyRange(from: 9, to: 9, chunks: [0]),
            KeyRange(from: 10, to: 19, chunks: [1]), KeyRange(from: 10, to: 20, chunks: [1, 2]),
            KeyRange(from: 15, to: 45, chunks: [1, 2, 3, 4]), KeyRange(from: 49, chunks: [4]),
            KeyRange(from: 50, chunks: []), KeyRange(from: 50, to: 60, chunks: []),
            KeyRange(from: 30, chunks: [3, 4]),
        ]
    }

    @Test(arguments: KeyRange.table)
    func findsTheChunksOfAKeyRange(_ range: KeyRange) throws {
        let state = try open()
        _ = try state.openList(testKey, definition: [])
        _ = try state.append(
            testKey, (0..<5).map { compress(makeChunk($0, from: $0 * 10, count: 10)) },
            checkpoint: Checkpoint())
        let found = try state.chunks(
            testKey, withKeysFrom: range.from < 0 ? [] : key(range.from),
            upTo: range.to.map { key($0) })
        #expect(found.map(\.number) == range.chunks)
        #expect(found.allSatisfy { $0 == makeChunk($0.number, from: $0.number * 10, count: 10) })
    }

    @Test func keepsTheNewestRunsTheBaselineAndUnfinishedOnes() throws {
        let state = try open()
        let digest = try #require(Digest(hex: String(repeating: "ab", count: 32)))
        func add(_ run: String, finished: Bool, baseline: Bool = false) throws {
            for stage in ["manifest", "dehydrate"] {
                let key = ListKey(run: run, stage: stage)
                _ = try state.openList(key, definition: [])
                let marks = Baseline(
                    key: key, snapshot: digest, rootTree: digest, storeID: "s",
                    storeGeneration: 1, time: Timestamp(seconds: 0))
                let chunks = (0..<600).map { compress(makeChunk($0, from: $0, count: 1)) }
                _ = try state.append(
                    key, chunks, checkpoint: Checkpoint(),
                    stats: finished || stage == "manifest" ? [1] : nil,
                    baseline: baseline && stage == "dehydrate" ? marks : nil)
            }
        }
        try add("1", finished: true)
        try add("2", finished: true, baseline: true)
        try add("3", finished: false)
        try add("4", finished: true)
        try add("5", finished: true)
        try add("6", finished: true)
        let shield = ListKey(run: "4", stage: "manifest")
        #expect(try state.keepRuns(2, except: [shield]) == ["1", "2", "4"])
        let left = try state.lists().map(\.key.description)
        #expect(
            left == [
                "2/dehydrate", "3/manifest", "3/dehydrate", "4/manifest", "5/manifest",
                "5/dehydrate", "6/manifest", "6/dehydrate",
            ])
        #expect(try state.baseline()?.key.run == "2")
        #expect(try state.chunk(ListKey(run: "2", stage: "dehydrate"), 599) != nil)
        #expect(throws: Failure.self) {
            try state.dropList(ListKey(run: "2", stage: "dehydrate"))
        }
        try state.dropList(shield)
        try state.dropList(shield)
        #expect(try state.list(shield) == nil)
        try state.close()
        #expect(try open().lists().count == 7)
    }

    @Test func readersSeeWholeTransactionsBesideTheWriter() async throws {
        let state = try open()
        _ = try state.openList(testKey, definition: [])
        let rounds = 100
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 0..<rounds {
                    let chunk = ModuleState.compress(
                        makeChunk(number, from: number * 10, count: 10), ZstdCompressor(level: 1))
                    _ = try state.append(
                        testKey, [chunk], checkpoint: Checkpoint(inputChunks: number + 1))
                }
            }
            group.addTask {
                var seen = 0
                while seen < rounds {
                    let info = try #require(try state.list(testKey))
                    #expect(info.units == info.chunks * 10)
                    #expect(info.checkpoint.inputChunks == info.chunks)
                    if info.chunks > 0 {
                        #expect(try state.chunk(testKey, info.chunks - 1) != nil)
                    }
                    seen = info.chunks
                }
            }
            try await group.waitForAll()
        }
    }

    @Test(arguments: [
        ("", 0xEF46_DB37_51D8_E999 as UInt64), ("a", 0xD24E_C4F1_A98C_6E5B),
        ("abc", 0x44BC_2CF5_AD77_0999),
        ("Nobody inspects the spammish repetition", 0xFBCE_A83C_8A37_8BF1),
    ])
    func checksumsAreThoseOfXXH64(_ text: String, _ sum: UInt64) {
        let bytes = Array(text.utf8)
        #expect(xxHash64(bytes.span) == sum)
    }
}
