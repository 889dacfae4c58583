import ContentStore
import Foundation
import JobTable
import Manifest
import Platform
import Stages
import TestSupport
import Testing

/// What the last snapshot has below a directory that cannot be read is unknown: nobody may take it
/// for removed, wherever a batch happens to end.
@Suite struct UnreadableDirectoryTests {
    private static let eio = UnitError(call: "getdents64", code: 5)

    /// A module with directories, and its units when some of them cannot be read.
    private func bench(_ batchUnits: Int) throws -> (Workbench, [Unit]) {
        let bench = try Workbench()
        bench.batchUnits = batchUnits
        for name in [
            "a/1", "a/2", "b/b/1", "b/b/2", "b/c/1", "b/d/deep/er/1", "b/z", "c/1", "z/1", "z/2/3",
        ] {
            try bench.write(name, noise(700, seed: UInt64(name.utf8.reduce(0) { $0 &+ Int($1) })))
        }
        try bench.store("first")
        var units = try bench.walk()
        // `b` failed after its first entries, and among them `b/b` could not be read at all; `z` is
        // the last of the module; `c/1` was removed.
        let lost = ["b/b/1", "b/b/2", "b/d", "b/d/deep", "b/d/deep/er", "b/d/deep/er/1", "b/z"]
        units.removeAll {
            lost.contains($0.name) || $0.name.hasPrefix("z/") || $0.name == "c/1"
        }
        for i in units.indices where ["b", "b/b", "z"].contains(units[i].name) {
            units[i].error = Self.eio
        }
        return (bench, units)
    }

    @Test(arguments: 1...12)
    func whatIsBelowIsUnknownAndNotRemoved(batchUnits: Int) throws {
        let (bench, units) = try bench(batchUnits)
        try bench.manifest("r", units)
        try bench.check("r", verify: false)
        let checked = try bench.units("r", ["manifest", "check"])
        let removed = checked.filter { $0.check?.state == .removed }.map(\.name)
        #expect(removed == ["c/1"])
        let unknown = checked.filter { $0.check?.state == .unreadable && $0.error == nil }
        #expect(
            unknown.map(\.name) == [
                "b/b/1", "b/b/2", "b/d", "b/d/deep", "b/d/deep/er", "b/d/deep/er/1", "b/z", "z/1",
                "z/2", "z/2/3",
            ])
        #expect(unknown.allSatisfy { $0.check?.healthy == false && $0.check?.recoverable == true })
    }

    @Test(arguments: 1...12, [["manifest"], ["manifest", "check"]])
    func dehydrateKeepsWhatIsBelow(batchUnits: Int, lists: [String]) throws {
        let (bench, units) = try bench(batchUnits)
        let before = try #require(try bench.state.baseline())
        // Put back what was really removed: then the new tree has to be the same.
        var whole = units
        let removed = try #require(try bench.walk()["c/1"])
        let at = try #require(whole.firstIndex { $0.name == "c" })
        whole.insert(removed, at: at + 1)
        try bench.manifest("r", whole)
        if lists.count > 1 { try bench.check("r", verify: false) }
        let stats = try bench.dehydrate("r", after: lists)
        #expect(stats[counter: "units-kept"] == 10)
        #expect(stats[counter: "units-removed"] == 0)
        #expect(try bench.state.baseline()?.rootTree == before.rootTree)
    }

    /// A tool that goes on behind an unreadable directory, or inside of one.
    @Test(arguments: 1...10)
    func aResumedRunStillKnows(batchUnits: Int) throws {
        let (bench, units) = try bench(batchUnits)
        try bench.manifest("r", units)
        let keys = [ListKey(run: "r", stage: "manifest")]
        let whole = try ListSource(state: bench.state, keys: keys, firstBatch: 0)
        var expected: [[UInt8]?] = []
        while let batch = try whole.next() { expected.append(try batch.load().unreadable) }
        #expect(expected.count == (units.count + batchUnits - 1) / batchUnits + 1)
        for first in expected.indices {
            let source = try ListSource(state: bench.state, keys: keys, firstBatch: first)
            var found: [[UInt8]?] = []
            while let batch = try source.next() { found.append(try batch.load().unreadable) }
            #expect(found == Array(expected[first...]), "from batch \(first)")
        }
        // The same borders, out of a stream.
        let path = bench.folder("list")
        try writeList(units, to: path)
        let stream = StreamSource(
            NDJSONReader(try Descriptor.open(path, .readOnly)), batchUnits: batchUnits)
        var found: [[UInt8]?] = []
        while let batch = try stream.next() { found.append(try batch.load().unreadable) }
        #expect(
            Array(found.prefix(expected.count - 1)) == Array(expected.prefix(expected.count - 1)))
    }

    @Test func theBordersAreFoundByPath() throws {
        var tracker = UnreadableDirectories()
        func see(_ name: String, _ error: UnitError? = nil) -> String? {
            var unit = Unit(
                path: Array(name.utf8), metadata: FileMetadata(kind: .directory), error: error)
            if name.hasSuffix(".txt") { unit.metadata.kind = .file }
            tracker.pass(unit)
            return tracker.current.map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(see("") == nil)
        #expect(see("a", Self.eio) == "a")
        #expect(see("a/b", Self.eio) == "a", "the outermost covers all below it")
        #expect(see("a/c.txt") == "a")
        #expect(see("a-b") == nil)
        #expect(see("b.txt", Self.eio) == nil, "a file has nothing below it")
        #expect(see("", Self.eio) == "")
        #expect(see("anything/else") == "")
    }
}

/// Writes a whole list as the tools do.
func writeList(_ units: [Unit], to path: String, stats: Bool = true) throws {
    var lines: [UInt8] = []
    var statistics = StatsAccumulator()
    for unit in units {
        Codec.encode(unit, into: &lines)
        statistics.add(unit)
    }
    if stats { Codec.encode(statistics.stats, into: &lines) }
    try Data(lines).write(to: URL(fileURLWithPath: path))
}
