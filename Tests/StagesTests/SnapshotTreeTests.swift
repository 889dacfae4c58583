import ContentStore
import Dehydrator
import Foundation
import JobTable
import Manifest
import Platform
import Stages
import TestSupport
import Testing

@Suite struct SnapshotTreeTests {
    /// A list by hand that lacks a directory would put its files into another one.
    @Test(arguments: ["a", "a/b", ""])
    func aListWithoutADirectoryIsRefused(lacking: String) throws {
        let bench = try Workbench()
        try bench.write("a/b/c", [1])
        let units = try bench.walk().filter { $0.name != lacking }
        try bench.manifest("r", units)
        let failure = #expect(throws: Failure.self) { try bench.dehydrate("r") }
        #expect(failure?.kind == .usage)
        #expect(try bench.store.snapshots(of: "m").isEmpty)
    }

    /// Devices are numbered by path, whichever thread is the first to come to one.
    @Test func treesDoNotDependOnTheOrderOfThreads() throws {
        let bench = try Workbench()
        for name in ["a", "b", "c"] { try bench.write(name, [1]) }
        try bench.store("first")
        var units = try bench.walk()
        for i in units.indices where units[i].metadata.kind == .file {
            units[i].metadata.links = 2
            units[i].metadata.device &+= UInt64(i)
        }
        func tree(_ run: String, backwards: Bool) throws -> Digest {
            let stage = try bench.dehydrateStage(run)
            let worker = try stage.makeWorker()
            let numbers = Array(units.indices)
            var outputs: [Int: StageOutput] = [:]
            for number in backwards ? numbers.reversed() : numbers {
                let unit = units[number]
                outputs[number] = try worker.process(
                    UnitBatch(
                        number: number, firstSeq: number, units: [unit],
                        after: number == 0 ? nil : units[number - 1].path, upTo: unit.path))
            }
            for number in numbers {
                try stage.collect(try #require(outputs[number]), number: number)
            }
            return try #require(try stage.finish(Stats()).baseline).rootTree
        }
        #expect(try tree("x", backwards: false) == tree("y", backwards: true))
    }

    /// Ids of devices differ from boot to boot, and with the order of mounts: they only tell which
    /// files lie together.
    @Test func treesDoNotDependOnTheIdsOfDevices() throws {
        let bench = try Workbench()
        for name in ["a", "b", "c", "d", "e"] { try bench.write(name, [1]) }
        bench.settle()
        let units = try bench.walk()
        let own = try #require(units.first).metadata.device
        func tree(_ run: String, devices: [UInt64]) throws -> Digest {
            let state = try ModuleState(path: bench.folder("\(run).sqlite"), module: "m")
            let other = try Workbench(bench, state: state)
            // What is read is taken as it is found: only unchanged files are as the list has them.
            try other.manifest("as-it-is", units)
            try other.dehydrate("as-it-is")
            var units = units
            for (i, device) in devices.enumerated() {
                units[i + 1].metadata.links = 2
                units[i + 1].metadata.device = device
            }
            try other.manifest(run, units)
            try other.dehydrate(run)
            return try #require(try state.baseline()).rootTree
        }
        let first = try tree("first", devices: [own, own + 7, own + 3, own + 7, own])
        let booted = try tree("booted", devices: [own, own + 1, own + 40, own + 1, own])
        #expect(first == booted)
        let moved = try tree("moved", devices: [own, own + 1, own + 40, own + 40, own])
        #expect(first != moved, "which files lie together is lost")
    }

    /// A directory far larger than the memory for it: stored in a pack of its own, read back in
    /// order, and the same again the next time.
    @Test func aDirectoryOfHundredsOfThousandsPasses() throws {
        let store = try TemporaryFolder("wide")
        let backend = try FileBackend(path: store("store"), create: true)
        let bench = try Workbench(backend)
        let root = try #require(try bench.walk().first)
        let count = 300_000
        let digits = 6
        var units = [root]
        units.reserveCapacity(count + 1)
        for number in 0..<count {
            let text = String(number)
            let name = "link-" + String(repeating: "0", count: digits - text.count) + text
            var unit = Unit(path: Array(name.utf8), metadata: FileMetadata(kind: .symlink))
            unit.metadata.permissions = 0o777
            unit.metadata.links = 1
            unit.metadata.mtime = Timestamp(seconds: 1_000_000)
            unit.target = Array("target".utf8)
            units.append(unit)
        }
        try bench.manifest("r", units)
        let before = peakMemory()
        let stats = try bench.dehydrate("r")
        #expect(peakMemory() - before < 96 << 20, "\((peakMemory() - before) >> 20) MiB more")
        #expect(stats[counter: "new-trees"] == 2)
        let stranger = try bench.stranger()
        let reader = BlobReader(store: stranger)
        let snapshot = try #require(try stranger.snapshots(of: "m").first)
        let top = try SnapshotRoot.find(snapshot.snapshot, store: stranger, reader: reader)
        let cursor = try TreeCursor(top.subtree, reader: reader, store: stranger)
        var seen = 0
        while let node = try cursor.next() {
            if node.name != units[seen + 1].path { Issue.record("node \(seen) is another") }
            seen += 1
        }
        #expect(seen == count)
        try bench.manifest("again", units)
        let again = try bench.dehydrate("again")
        #expect(again[counter: "new-trees"] == 0)
        #expect(again[counter: "new-packs"] == 0)
        let password = store("password")
        try Data(Workbench.password).write(to: URL(fileURLWithPath: password))
        for restic in Restic.all {
            let result = try restic.command(
                ["check", "--read-data"], store: store("store"), passwordFile: password
            ).run()
            #expect(result.status == .exited(0), "\(restic): \(result)")
        }
    }

    private func peakMemory() -> Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss << 10
    }
}
