import ContentStore
import Platform
import TestSupport
import Testing

/// The filter that tells without a look-up that the store surely lacks a blob.
@Suite struct FilterTests {
    /// Enough look-ups in vain for the filter to be made.
    private static let enough = 5000

    private static func content(_ number: Int) -> [UInt8] {
        noise(24, seed: UInt64(number) + 1)
    }

    /// What a session has uploaded itself is known from then on, also when the filter was made
    /// before, or looks at the index anew: nothing is stored twice.
    @Test(arguments: [false, true])
    func ownPacksAreKept(refreshing: Bool) throws {
        let bench = try StoreBench()
        let session = StoreSession(store: bench.store)
        let sink = BlobSink(session: session)
        for number in 0..<Self.enough {
            let stored = try sink.store(Self.content(number).span, .data, batch: 0)
            #expect(stored.newBytes > 0)
        }
        try sink.flush()
        try session.drain()
        // Another pack after the filter was made, and its index file too.
        for number in Self.enough..<(Self.enough + 50) {
            _ = try sink.store(Self.content(number).span, .data, batch: 0)
        }
        try sink.flush()
        try session.finish()
        let packs = session.uploadedPacks
        #expect(packs == 2)
        if refreshing { try sink.flushIfLagging(behind: 1) }
        let again = BlobSink(session: session)
        var twice = 0
        for number in 0..<(Self.enough + 50) {
            let stored = try again.store(Self.content(number).span, .data, batch: 1)
            if stored.newBytes > 0 { twice += 1 }
        }
        try again.flush()
        try session.finish()
        #expect(twice == 0, "\(twice) blobs were stored twice")
        #expect(session.uploadedPacks == packs)
    }

    /// The same while other threads make the filter: what becomes durable meanwhile is in it.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func packsOfTheMomentAreKept(seed: UInt64) throws {
        let bench = try StoreBench()
        let session = StoreSession(store: bench.store)
        let sink = BlobSink(session: session)
        let begin = Int(seed) * 1_000_000
        // Close to the look-up that makes the filter, which comes with one of the last blobs.
        for number in 0..<4000 {
            _ = try sink.store(Self.content(begin + number).span, .data, batch: 0)
        }
        try sink.flush()
        try session.drain()
        var stored: [Int] = []
        for round in 0..<40 {
            for number in 0..<5 {
                stored.append(begin + 100_000 + round * 5 + number)
                _ = try sink.store(Self.content(stored[stored.count - 1]).span, .data, batch: 0)
            }
            // The upload goes on in its own thread while the next blobs are looked up.
            try sink.flush()
        }
        try session.drain()
        let again = BlobSink(session: session)
        let twice = try stored.filter {
            try again.store(Self.content($0).span, .data, batch: 1).newBytes > 0
        }
        #expect(twice == [], "seed \(seed)")
    }
}
