import ContentStore
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// What a reader fetches before it is asked for.
@Suite struct BlobsAheadTests {
    /// 40 blobs of 300 KiB in one pack: six windows of 2 MiB.
    private func bench(
        _ location: String
    ) throws -> (place: WatchedPlace, bench: StoreBench, ids: [Digest], blobs: [[UInt8]]) {
        let place = WatchedPlace(location)
        let bench = try StoreBench(place)
        let blobs = (0..<40).map { noise(300 << 10, seed: UInt64($0)) }
        let ids = try bench.keep(blobs, compression: .off)
        return (place, bench, ids, blobs)
    }

    private func expect(
        _ reader: BlobReader, _ ids: ArraySlice<Digest>, _ blobs: ArraySlice<[UInt8]>
    ) throws {
        for (id, blob) in zip(ids, blobs) {
            var output: [UInt8] = [7]
            try reader.read(id, .data, into: &output)
            #expect(output == [7] + blob)
        }
    }

    /// Few long reads, on a network several at once, also within one file.
    @Test func manyBlobsTakeFewReads() throws {
        let (place, bench, ids, blobs) = try bench("memory:")
        let reader = BlobReader(store: bench.store)
        // The first read ends when the second has begun.
        place.state.with { $0.together = 2 }
        try reader.readAhead([ids], .data)
        try expect(reader, ids[...], blobs[...])
        let reads = place.reads
        #expect(reads.count == 7, "\(reads)")
        #expect(reads.allSatisfy { $0.count <= 2 << 20 })
        #expect(!place.state.with { $0.wasAlone })
    }

    /// What is ahead is bounded, however much is expected.
    @Test func nothingIsReadFarAhead() throws {
        let (place, bench, ids, blobs) = try bench("memory:")
        let reader = BlobReader(store: bench.store)
        try reader.readAhead([ids], .data)
        try expect(reader, ids[..<1], blobs[..<1])
        place.waitForReads(2)
        try expect(reader, ids[1..<6], blobs[1..<6])
        #expect(place.reads.count == 2)
        try expect(reader, ids[6..<7], blobs[6..<7])
        place.waitForReads(3)
        #expect(place.reads.count == 3)
    }

    /// A disk is read by who needs the bytes, when they are needed.
    @Test func aDiskIsNotReadAhead() throws {
        let (place, bench, ids, blobs) = try bench("file:/nowhere")
        let reader = BlobReader(store: bench.store)
        try reader.readAhead([ids], .data)
        #expect(place.reads.isEmpty)
        try expect(reader, ids[..<6], blobs[..<6])
        #expect(place.reads.count == 1)
        try expect(reader, ids[6...], blobs[6...])
        #expect(place.reads.count == 7)
    }

    /// Blobs that come more than once, that are left out, and that nobody announced.
    @Test func theOrderIsTheReadersOwn() throws {
        let (place, bench, ids, blobs) = try bench("memory:")
        let reader = BlobReader(store: bench.store)
        let order = [0, 1, 0, 9, 1, 20, 0, 39, 20]
        try reader.readAhead(order.map { [ids[$0]] }, .data)
        for number in order + [3, 0] {
            try expect(reader, ids[number...number], blobs[number...number])
        }
        // Left out, gone back to, and begun anew.
        try reader.readAhead([Array(ids)], .data)
        for number in [8, 2, 30, 9] {
            try expect(reader, ids[number...number], blobs[number...number])
        }
        try reader.readAhead([Array(ids[20...])], .data)
        try expect(reader, ids[20...], blobs[20...])
        #expect(!place.reads.isEmpty)
    }

    /// What could not be fetched is read alone, and its absence is told then.
    @Test func aFetchThatFailsIsNoLoss() throws {
        let (place, bench, ids, blobs) = try bench("memory:")
        let reader = BlobReader(store: bench.store)
        place.state.with { $0.failures = 2 }
        try reader.readAhead([ids], .data)
        try expect(reader, ids[...], blobs[...])
        place.state.with { $0.failures = .max }
        try reader.readAhead([ids], .data)
        var output: [UInt8] = [7]
        #expect(throws: Failure.self) { try reader.read(ids[0], .data, into: &output) }
        #expect(output == [7])
    }
}

/// Notes what is read of packs.
final class WatchedPlace: ForwardingBackend {
    struct State {
        var reads: [Range<UInt64>] = []
        /// Reads wait until so many have begun.
        var together = 0
        var wasAlone = false
        /// So many reads fail.
        var failures = 0
    }

    let base = MemoryBackend()
    let location: String
    let state = Monitor(State())

    init(_ location: String) { self.location = location }

    var reads: [Range<UInt64>] { state.with { $0.reads } }

    func waitForReads(_ count: Int) {
        _ = state.wait(seconds: 60) { $0.reads.count >= count ? true : nil }
    }

    func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError) {
        let fails = state.with { state in
            state.reads.append(range)
            guard state.failures > 0 else { return false }
            state.failures -= 1
            return true
        }
        if fails { throw .temporary(key, cause: "out of order") }
        let isTogether = state.wait(seconds: 60) { $0.reads.count >= $0.together ? true : nil }
        if isTogether == nil { state.with { $0.wasAlone = true } }
        try base.read(key, range, into: &output)
    }
}
