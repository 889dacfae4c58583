import Manifest
import Platform
import Testing

@Suite struct StatsTests {
    @Test func bucketsAreTwoPerDecadeAndCoverEverySize() throws {
        let first = (0..<7).compactMap { Histogram.bounds($0) }
        #expect(first.map(\.min) == [0, 1, 4, 11, 32, 101, 317])
        #expect(first.map(\.max) == [0, 3, 10, 31, 100, 316, 1000])
        var next: UInt64 = 0
        var bucket = 0
        while let (low, high) = Histogram.bounds(bucket) {
            #expect(low == next)
            for size in [low, high] {
                var histogram = Histogram()
                histogram.add(size)
                #expect(histogram.counts.count == bucket + 1)
                #expect(histogram.counts[bucket] == 1)
            }
            bucket += 1
            if high == .max { break }
            next = high + 1
        }
        #expect(Histogram.bounds(bucket) == nil)
    }

    private static func units() -> [Unit] {
        let paths = ["", "a", "a/b", "a/b/x", "a/b/y", "a/b/z", "a/c", "b", "c"]
        return paths.map { path in
            let isDirectory = ["", "a", "a/b"].contains(path)
            return Unit(
                path: Array(path.utf8),
                metadata: FileMetadata(
                    kind: isDirectory ? .directory : path == "c" ? .symlink : .file,
                    size: UInt64(path.utf8.count)),
                error: path == "b" ? UnitError(call: "x", code: 5) : nil)
        }
    }

    @Test func unitsAreCounted() throws {
        var accumulator = StatsAccumulator()
        for unit in StatsTests.units() { accumulator.add(unit) }
        let stats = accumulator.stats
        #expect(stats.countFiles == 5)
        #expect(stats.countDirectories == 3)
        #expect(stats.countSymlinks == 1)
        #expect(stats.countErrors == 1)
        #expect(stats.sizeFiles == 19)
        #expect(stats.largestFile == 5)
        #expect(stats.largestDirectoryChildren == 3)
        #expect(stats.histogram.counts == [0, 2, 3])
    }

    @Test func countingGoesOnFromEverySavedState() throws {
        let units = StatsTests.units()
        var whole = StatsAccumulator()
        for unit in units { whole.add(unit) }
        for cut in 0...units.count {
            var head = StatsAccumulator()
            for unit in units[..<cut] { head.add(unit) }
            let state = head.state
            var tail = try StatsAccumulator(state: state.span)
            for unit in units[cut...] { tail.add(unit) }
            #expect(tail.stats == whole.stats, "cut at \(cut)")
            #expect(tail.state == whole.state)
        }
        let bad = Array("nonsense".utf8)
        #expect(throws: Failure.self) { try StatsAccumulator(state: bad.span) }
    }
}
