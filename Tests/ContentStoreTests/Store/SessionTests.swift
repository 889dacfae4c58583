import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// What a session promises of the content that went into it.
@Suite struct SessionTests {
    /// Two threads store the same content at once: one of them loses the race, and is not held up
    /// by a pack that it never put anything into.
    @Test func threadsThatStoreTheSameDoNotHoldBackTheirBatches() throws {
        let bench = try StoreBench()
        for round in 0..<150 {
            let session = StoreSession(store: bench.store)
            let content = noise(64, seed: UInt64(round))
            let ready = Monitor(0)
            let threads = (0..<2).map { number in
                DedicatedThread(name: "sink-\(number)") {
                    let sink = BlobSink(session: session)
                    ready.with { $0 += 1 }
                    ready.wait { $0 == 2 ? () : nil }
                    _ = try? sink.store(content.span, .data, batch: number)
                    try? sink.flush()
                }
            }
            for thread in threads { thread.join() }
            try session.drain()
            #expect(try session.durableBelow() == .max, "round \(round)")
        }
    }

    /// What is compressed in vain, and what is larger than the room that is left, ends up in packs
    /// as it was; no pack is much larger than the target.
    @Test(arguments: [Compression.auto, .off, .level(3)])
    func blobsComeBackFromPacks(compression: Compression) throws {
        let bench = try StoreBench(MemoryBackend())
        let session = StoreSession(store: bench.store)
        let sink = BlobSink(session: session, compression: compression)
        let text = Array(String(repeating: "what compresses; ", count: 300_000).utf8)
        // The second fits into the room by its own size, and not by what zstd may make of it.
        let room = StoreSession.dataPackSize * 17 / 16
        let sizes =
            [10 << 20, room - (10 << 20) - 2 * Sealer.overhead, 1, 20_000]
            + [15 << 20, 3 << 20, 8 << 20, 8 << 20, (1 << 20) - 100, 33_000, 18 << 20]
        let contents =
            sizes.enumerated().map { noise($1, seed: UInt64($0 + 1)) }
            + [text, noise(20_000, seed: 90) + text]
        var ids: [Digest] = []
        for content in contents {
            ids.append(try sink.store(content.span, .data, batch: 0).id)
        }
        try sink.flush()
        try session.finish()
        let reader = BlobReader(store: bench.store)
        for (id, content) in zip(ids, contents) {
            var plain: [UInt8] = []
            try reader.read(id, .data, into: &plain)
            #expect(plain == content, "\(content.count) bytes")
        }
        let firstPacks = try ids.prefix(2).map {
            try bench.store.index.locations($0, .data)[0].pack
        }
        #expect(Set(firstPacks).count == 2, "a pack's buffer had to grow")
        var packs: [ObjectKey: UInt64] = [:]
        try bench.store.backend.list(.pack) { packs[ObjectKey(.pack, $0)] = $1 }
        #expect(packs.values.count { $0 > room + 1000 } == 1, "the blob longer than a pack")
        var found: Set<Digest> = []
        for (key, size) in packs {
            let bytes = try bench.store.backend.get(key, limit: Int(size))
            let entries = try PackHeader.decode(
                size: size, sealer: Sealer(key: bench.store.key)
            ) { range throws(Failure) in Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
            }
            found.formUnion(entries.map(\.id))
            for entry in entries {
                let location = try bench.store.index.locations(entry.id, .data)
                    .first { $0.pack == key.id }
                #expect(location?.offset == entry.offset)
                #expect(location?.storedLength == entry.storedLength)
            }
        }
        #expect(found == Set(ids))
    }

    /// Sinks share content in an order chosen by a seed, over a backend whose puts stop after some
    /// time: what a batch relies on is in the backend before the batch may be committed.
    @Test(arguments: 1...25 as ClosedRange<UInt64>)
    func noBatchIsCommittedBeforeItsContentIsDurable(seed: UInt64) throws {
        let backend = HookedBackend()
        let bench = try StoreBench(backend)
        var generator = SeededGenerator(seed: seed &* 7_919)
        let failAt = Int.random(in: 1...12, using: &generator)
        let puts = Monitor(0)
        backend.set { hooks in
            hooks.beforePut = { key throws(BackendError) in
                let number = puts.with { count in
                    count += 1
                    return count
                }
                if number >= failAt { throw .temporary(key, cause: "it was to fail") }
            }
        }
        let session = StoreSession(store: bench.store)
        var sinks = (0..<3).map { _ in BlobSink(session: session, compression: .off) }
        let contents = (0..<40).map { noise(900, seed: seed &* 1000 + $0) }
        var needs: [[Digest]] = []
        var failed = false
        do {
            for batch in 0..<60 {
                var ids: [Digest] = []
                for _ in 0..<4 {
                    let content = contents[Int.random(in: 0..<40, using: &generator)]
                    let sink = sinks[Int.random(in: 0..<3, using: &generator)]
                    ids.append(try sink.store(content.span, .data, batch: batch).id)
                }
                needs.append(ids)
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    try sinks[Int.random(in: 0..<3, using: &generator)].flush()
                    if Bool.random(using: &generator) { try session.drain() }
                }
                let durable = min(try session.durableBelow(), needs.count)
                for (number, ids) in needs[..<durable].enumerated() {
                    for id in ids {
                        let pack = try bench.store.index.locations(id, .data).first?.pack
                        let there = pack.map { backend.base.objects[ObjectKey(.pack, $0)] != nil }
                        #expect(there == true, "seed \(seed): batch \(number) of \(durable)")
                    }
                }
            }
            for sink in sinks { try sink.flush() }
            try session.finish()
            #expect(try session.durableBelow() == .max)
        } catch {
            failed = true
        }
        sinks = []
        if failed, try !needs.joined().allSatisfy({ try bench.store.index.contains($0, .data) }) {
            // Nothing is promised any more, whatever is asked.
            #expect(throws: Failure.self, "seed \(seed)") { try session.durableBelow() }
            #expect(throws: Failure.self, "seed \(seed)") { try session.drain() }
        }
        // What this process knows to be stored is so for others, once an index file names it.
        backend.set { $0.beforePut = nil }
        let last = StoreSession(store: bench.store)
        try last.finish()
        let reader = BlobReader(store: try bench.stranger())
        for id in Set(needs.joined()) where try bench.store.index.contains(id, .data) {
            #expect(try reader.verify(id, .data) == .good, "seed \(seed)")
        }
    }

    /// A pack on its way in one sink holds back the batch of another that relies on it.
    @Test func aBatchWaitsForTheOpenPackOfAnotherSink() throws {
        let bench = try StoreBench()
        let session = StoreSession(store: bench.store)
        let first = BlobSink(session: session)
        let second = BlobSink(session: session)
        let content = noise(500, seed: 1)
        _ = try first.store(content.span, .data, batch: 7)
        #expect(try second.store(content.span, .data, batch: 3).newBytes == 0)
        try second.flush()
        try session.drain()
        #expect(try session.durableBelow() == 3)
        try first.flush()
        try session.drain()
        #expect(try session.durableBelow() == .max)
    }

    @Test func aPackThatLagsIsClosed() throws {
        let bench = try StoreBench()
        let session = StoreSession(store: bench.store)
        let sink = BlobSink(session: session)
        _ = try sink.store(noise(500, seed: 2).span, .data, batch: 1)
        try sink.flushIfLagging(behind: BlobSink.maximalLag)
        try session.drain()
        #expect(try session.durableBelow() == 1)
        try sink.flushIfLagging(behind: BlobSink.maximalLag + 1)
        try session.drain()
        #expect(try session.durableBelow() == .max)
    }

    // MARK: kill -9

    private static let contents: [[UInt8]] = (0..<30).map { noise(2000, seed: 500 + $0) }

    /// Stores all contents, five to a pack: what a run does, and does again after it was killed.
    private static func work(_ folder: String) throws -> [Digest] {
        let backend = try FileBackend(path: folder + "/store", create: false)
        let store = try StoreBench.open(backend, state: folder + "/state")
        let session = StoreSession(store: store)
        let sink = BlobSink(session: session, compression: .off)
        var ids: [Digest] = []
        for (number, content) in contents.enumerated() {
            ids.append(try sink.store(content.span, .data, batch: number).id)
            guard number % 5 == 4 else { continue }
            try sink.flush()
            if number % 10 == 9 { try session.finish() }
        }
        try session.finish()
        return ids
    }

    @Test(
        arguments: [
            "pack-before-journal", "pack-journalled", "pack-uploaded", "pack-marked",
            "index-before-put", "index-put", "index-marked",
        ], 1...3)
    func nothingUploadedIsUploadedAgain(point: String, count: Int) async throws {
        let folder = try TemporaryFolder("crash")
        let backend = try FileBackend(path: folder("store"), create: true)
        try Store.create(
            on: backend, password: StoreBench.password, cost: KeyFile.Cost(n: 2, r: 1, p: 1))
        let path = folder.path
        let at = "\(point):\(count)"
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [path = path as String, at = at as String] in
            setenv("CISTERN_CRASH_AT", at, 1)
            _ = try SessionTests.work(path)
        }
        func packs() throws -> [Digest: UInt64] {
            var packs: [Digest: UInt64] = [:]
            try backend.list(.pack) { packs[$0] = $1 }
            return packs
        }
        let before = try packs()
        let ids = try Self.work(path)
        let after = try packs()
        #expect(before.allSatisfy { after[$0.key] == $0.value })
        // Six packs hold it all, and only those that the killed process did not send are new.
        #expect(after.count == 6, "\(before.count) packs were there, \(after.count) are now")
        // Everything is to be found by somebody who has the store alone.
        let stranger = try StoreBench.open(backend, state: folder("stranger"))
        let reader = BlobReader(store: stranger)
        for id in ids { #expect(try reader.verify(id, .data) == .good) }
        #expect(try stranger.index.counts().blobs == ids.count, "a blob is listed twice")
    }
}
