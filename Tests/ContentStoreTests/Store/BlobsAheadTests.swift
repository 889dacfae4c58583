import ContentStore
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// What a reader fetches before it is asked for.
@Suite struct BlobsAheadTests {
    /// 40 blobs of 300 KiB in one pack: seven windows of 2 MiB.
    private func bench(
        _ location: String
    ) throws -> (place: WatchedPlace, bench: StoreBench, ids: [Digest], blobs: [[UInt8]]) {
        let place = WatchedPlace(location)
        let bench = try StoreBench(place)
        let blobs = (0..<40).map { noise(300 << 10, seed: UInt64($0 + 1)) }
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

    /// Blobs that come more than once and fill windows of their own are fetched once in each.
    @Test func repeatedBlobsHoldNothingUp() throws {
        let (place, bench, ids, blobs) = try bench("memory:")
        let reader = BlobReader(store: bench.store)
        let order = Array(repeating: 0, count: 3000) + Array(1..<40)
        try reader.readAhead([order.map { ids[$0] }], .data)
        for number in order { try expect(reader, ids[number...number], blobs[number...number]) }
        #expect(place.reads.count <= 10, "\(place.reads)")
    }

    /// Blobs that are left out, that are read again, and that nobody announced.
    @Test func theOrderIsTheReadersOwn() throws {
        let (place, bench, ids, blobs) = try bench("memory:")
        let reader = BlobReader(store: bench.store)
        try reader.readAhead([Array(ids[..<20])], .data)
        // The third is passed over, the second is asked for again, the last was not announced.
        for number in [0, 1, 3, 1, 4, 5, 6, 30, 7] {
            try expect(reader, ids[number...number], blobs[number...number])
        }
        place.waitForReads(4)
        #expect(place.reads.count == 4, "\(place.reads)")
        // Begun anew, what was expected before is not.
        try reader.readAhead([Array(ids[34...])], .data)
        try expect(reader, ids[34...], blobs[34...])
        #expect(place.reads.count == 5, "\(place.reads)")
    }

    /// What could not be fetched is read alone, and its absence is told then.
    @Test func aFetchThatFailsIsNoLoss() throws {
        let (place, bench, ids, blobs) = try bench("memory:")
        let reader = BlobReader(store: bench.store)
        place.state.with { $0.failures = 2 }
        try reader.readAhead([ids], .data)
        place.waitForReads(2)
        try expect(reader, ids[...], blobs[...])
        place.state.with { $0.failures = .max }
        try reader.readAhead([ids], .data)
        var output: [UInt8] = [7]
        #expect(throws: Failure.self) { try reader.read(ids[0], .data, into: &output) }
        #expect(output == [7])
    }

    /// Over a network a small pack is one request, and one that cannot be read whole is read blob
    /// by blob.
    @Test(arguments: [(5, 0, 1), (40, 0, 3), (5, 1, 1 + 1 + 5)])
    func packsAreCheckedInFewReads(_ blobs: Int, _ failures: Int, _ reads: Int) throws {
        let place = WatchedPlace("memory:")
        let bench = try StoreBench(place)
        try bench.keep(
            (0..<blobs).map { noise(300 << 10, seed: UInt64($0 + 1)) }, compression: .off)
        let key = try #require(place.base.objects.keys.first { $0.kind == .pack }?.id)
        let pack = try #require(try bench.store.index.pack(key))
        place.state.with { state in
            state.failures = failures
            state.isDamage = true
        }
        let verdict = try PackChecker(store: bench.store, place: place)
            .check(pack, expected: nil, wasBad: false)
        #expect(place.reads.prefix(reads).count == reads)
        #expect(verdict.isGood == (failures == 0))
        #expect(verdict.bad.isEmpty && verdict.blobs == blobs, "\(verdict)")
        if failures == 0 { #expect(place.reads.count == reads, "\(place.reads)") }
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
        /// By the medium, in place of the way to it.
        var isDamage = false
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
        if fails {
            throw state.with { $0.isDamage }
                ? .damaged(key, cause: "rotten") : .temporary(key, cause: "out of order")
        }
        let isTogether = state.wait(seconds: 60) { $0.reads.count >= $0.together ? true : nil }
        if isTogether == nil { state.with { $0.wasAlone = true } }
        try base.read(key, range, into: &output)
    }
}
