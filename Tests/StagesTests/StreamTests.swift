import Checker
import ContentStore
import Foundation
import JobTable
import Manifest
import Platform
import Stages
import TestSupport
import Testing

/// The tools' side of the loop: NDJSON in, NDJSON out, and a checkpoint file.
@Suite struct StreamTests {
    struct Death: Error {}

    /// A module of which some files were removed since its last snapshot, also the very last.
    private func bench() throws -> (Workbench, [Unit]) {
        let bench = try Workbench()
        for number in 0..<30 { try bench.write("f\(100 + number)", [UInt8(number)]) }
        try bench.write("z1", [1])
        try bench.write("z2", [2])
        try bench.store("first")
        for name in ["f105", "f129", "z1", "z2"] { #expect(unlink(bench.module + "/" + name) == 0) }
        return (bench, try bench.walk())
    }

    /// `check --list --checkpoint >> output`, which dies before its `dieAt`-th commit.
    private func check(
        _ bench: Workbench, batchUnits: Int = 4, dieAt: Int = .max, beforeSave: Bool = false
    ) throws -> Stats {
        let output = try Descriptor.open(bench.folder("output"), [.readWrite, .create])
        let checkpoint = try StreamCheckpoint(
            path: bench.folder("checkpoint"), definition: "check",
            output: try output.metadata())
        try checkpoint.rewind(output)
        let position = checkpoint.position
        var statistics = StatsAccumulator()
        if !position.statistics.isEmpty {
            statistics = try StatsAccumulator(state: position.statistics.span)
        }
        let input = try Descriptor.open(bench.folder("list"), .readOnly)
        let sink = StreamSink(output, checkpoint: checkpoint)
        return try StageLoop(
            stage: CheckStage(
                root: bench.module, state: bench.state, store: bench.store, verify: false),
            source: StreamSource(
                NDJSONReader(input), resumeAfter: position.lastPath,
                firstBatch: position.batches, batchUnits: batchUnits),
            sink: DyingStream(sink, at: dieAt, path: beforeSave ? bench.folder("output") : nil),
            threads: 2, firstBatch: position.batches, statistics: statistics
        ).run()
    }

    /// Dies instead of a commit or of the end, perhaps with half of its output written.
    private final class DyingStream: BatchSink {
        private let sink: StreamSink
        private let left: Monitor<Int>
        private let torn: String?

        init(_ sink: StreamSink, at: Int, path: String?) {
            self.sink = sink
            left = Monitor(at)
            torn = path
        }

        func encode(
            _ output: StageOutput, of batch: UnitBatch, with compressor: ZstdCompressor
        ) -> EncodedBatch { sink.encode(output, of: batch, with: compressor) }

        func commit(_ batches: [EncodedBatch], checkpoint: Checkpoint) throws {
            try live(batches.first?.lines ?? [])
            try sink.commit(batches, checkpoint: checkpoint)
        }

        func finish(
            _ stats: Stats, checkpoint: Checkpoint, _ completion: StageCompletion
        ) throws {
            try live([])
            try sink.finish(stats, checkpoint: checkpoint, completion)
        }

        private func live(_ lines: [UInt8]) throws {
            try left.with { left in
                left -= 1
                if left >= 0 { return }
                if let torn, let file = FileHandle(forWritingAtPath: torn) {
                    _ = try file.seekToEnd()
                    try file.write(contentsOf: lines.prefix(lines.count / 2))
                }
                throw Death()
            }
        }
    }

    private func output(_ bench: Workbench) throws -> [String] {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: bench.folder("output")))
        #expect(!bytes.contains(0), "a hole")
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    @Test(arguments: 0...9, [false, true])
    func eachUnitIsThereOnceWhereverItDied(dieAt: Int, torn: Bool) throws {
        let (bench, units) = try bench()
        try writeList(units, to: bench.folder("list"))
        let whole = try check(bench)
        let expected = try output(bench)
        #expect(expected.count == units.count + 4 + 1)
        #expect(whole[counter: "check-removed"] == 4)
        #expect(!FileManager.default.fileExists(atPath: bench.folder("checkpoint")))
        #expect(unlink(bench.folder("output")) == 0)
        do {
            _ = try check(bench, dieAt: dieAt, beforeSave: torn)
        } catch is Death {
            // Once more, at the very next commit.
            #expect(throws: Death.self) { try check(bench, dieAt: 1, beforeSave: torn) }
            let resumed = try check(bench)
            #expect(resumed == whole)
        }
        #expect(try output(bench) == expected)
    }

    /// Every batch is done and the last line is not: what lies behind the end does not come twice.
    @Test func theLastBatchDoesNotComeTwice() throws {
        let (bench, units) = try bench()
        try writeList(units, to: bench.folder("list"))
        _ = try check(bench, batchUnits: 1000)
        let expected = try output(bench)
        #expect(unlink(bench.folder("output")) == 0)
        var died = 0
        for dieAt in 1...9 {
            do { _ = try check(bench, batchUnits: 1000, dieAt: dieAt) } catch is Death { died += 1 }
            if FileManager.default.fileExists(atPath: bench.folder("checkpoint")) {
                _ = try check(bench, batchUnits: 1000)
            }
            #expect(try output(bench) == expected, "dead at \(dieAt)")
            #expect(unlink(bench.folder("output")) == 0)
        }
        #expect(died > 0)
    }

    @Test func anOutputThatTheShellEmptiedIsRefused() throws {
        let (bench, units) = try bench()
        try writeList(units, to: bench.folder("list"))
        #expect(throws: Death.self) { try check(bench, dieAt: 2) }
        #expect(truncate(bench.folder("output"), 0) == 0)
        let failure = #expect(throws: Failure.self) { try check(bench) }
        #expect(failure?.kind == .usage)
        #expect(try output(bench).isEmpty)
    }

    /// The rest goes into another file: the two together have each unit once.
    @Test func anotherOutputGetsTheRest() throws {
        let (bench, units) = try bench()
        try writeList(units, to: bench.folder("list"))
        _ = try check(bench)
        let expected = try output(bench)
        #expect(unlink(bench.folder("output")) == 0)
        #expect(throws: Death.self) { try check(bench, dieAt: 2) }
        let first = try output(bench)
        #expect(rename(bench.folder("output"), bench.folder("first")) == 0)
        _ = try check(bench)
        #expect(first + (try output(bench)) == expected)
    }

    /// With >> the output has lines of somebody else in front.
    @Test func whatWasInTheOutputStays() throws {
        let (bench, units) = try bench()
        try writeList(units, to: bench.folder("list"))
        try Data("before\n".utf8).write(to: URL(fileURLWithPath: bench.folder("output")))
        #expect(throws: Death.self) { try check(bench, dieAt: 2, beforeSave: true) }
        _ = try check(bench)
        let lines = try output(bench)
        #expect(lines.first == "before")
        #expect(lines.count == 1 + units.count + 4 + 1)
    }

    @Test func aCheckpointOfSomethingElseIsRefused() throws {
        let folder = try TemporaryFolder()
        for text in ["", "{}", "[1]", #"{"version":9,"definition":"check","position":{}}"#] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder("c")))
            let failure = #expect(throws: Failure.self) {
                try StreamCheckpoint(
                    path: folder("c"), definition: "check",
                    output: FileMetadata(kind: .fifo))
            }
            #expect(failure?.kind == .usage)
        }
    }

    @Test(arguments: [1, 3, 7, 1000])
    func aListThatWasCutOffIsToldAfterWhatIsThere(batchUnits: Int) throws {
        let (bench, units) = try bench()
        try writeList(units, to: bench.folder("list"), stats: false)
        let failure = #expect(throws: Failure.self) { try check(bench, batchUnits: batchUnits) }
        #expect(failure?.kind == .truncated)
        let lines = try output(bench)
        // All that came is there, and nothing that would need to know the end.
        let present = lines.filter { !$0.contains("removed") }
        #expect(present.count == units.count)
        #expect(!lines.contains { $0.contains("\"stats\"") || $0.contains("\"z1\"") })
        let last = try #require(units.last)
        try writeList(units, to: bench.folder("list"))
        let resumed = try check(bench, batchUnits: batchUnits)
        #expect(resumed[counter: "check-removed"] == 4)
        #expect(try output(bench).count == units.count + 4 + 1, "behind \(last.name)")
    }

    @Test(arguments: [("f110", "f103"), ("f110", "f110")])
    func aListOutOfOrderIsRefused(a: String, b: String) throws {
        let (bench, units) = try bench()
        let first = try #require(units[a])
        let second = try #require(units[b])
        try writeList([first, second], to: bench.folder("list"))
        let failure = #expect(throws: Failure.self) { try check(bench, batchUnits: 1) }
        #expect(failure?.kind == .usage)
    }
}
