import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// Fewer requests, and the same bytes.
@Suite struct BlockCacheTests {
    private static let size = 3 << 20

    /// A backend with one pack behind a cache that knows of it.
    private func bench(
        size: Int = size, limit: Int = 32 << 20
    ) throws -> (base: MemoryBackend, cache: BlockCache, pack: Digest, bytes: [UInt8]) {
        let base = MemoryBackend()
        let bytes = noise(size, seed: 5)
        let pack = SHA256Hasher.hash(bytes.span)
        try base.put(ObjectKey(.pack, pack), bytes.span)
        let cache = BlockCache(base, limit: limit)
        try cache.list(.pack) { _, _ in }
        return (base, cache, pack, bytes)
    }

    private func reads(_ backend: MemoryBackend) -> Int { backend.counts[.read] ?? 0 }

    @Test func aWalkThroughAPackCostsFewRequests() throws {
        let (base, cache, pack, bytes) = try bench()
        var output: [UInt8] = []
        for start in stride(from: 0, to: Self.size, by: 1024) {
            try cache.read(
                ObjectKey(.pack, pack), UInt64(start)..<UInt64(start + 1024), into: &output)
        }
        #expect(output == bytes)
        // 256 KiB, then 1 MiB at a time.
        #expect(reads(base) == 4)
    }

    /// Many threads at once: each block is asked for once, whoever needs it first.
    @Test(arguments: 1...8 as ClosedRange<UInt64>) func threadsShareWhatIsFetched(
        seed: UInt64
    ) throws {
        let (base, cache, pack, bytes) = try bench()
        let wrong = Monitor(0)
        let threads = (0..<8).map { number in
            DedicatedThread(name: "reader-\(number)") {
                var random = SeededGenerator(seed: seed &* 100 &+ UInt64(number))
                for _ in 0..<200 {
                    let start = Int.random(in: 0..<(Self.size - 1), using: &random)
                    let length = Int.random(in: 1...300_000, using: &random)
                    let end = min(Self.size, start + length)
                    var output: [UInt8] = [1]
                    let read: ()? = try? cache.read(
                        ObjectKey(.pack, pack), UInt64(start)..<UInt64(end), into: &output)
                    if read == nil || output != [1] + bytes[start..<end] {
                        wrong.with { $0 += 1 }
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(wrong.with { $0 } == 0, "seed \(seed)")
        #expect(reads(base) <= 12, "seed \(seed)")
    }

    /// However small the cache and however bad the place: the right bytes, or an error.
    @Test(arguments: 1...30 as ClosedRange<UInt64>) func faultsAreNeverHidden(
        seed: UInt64
    ) throws {
        let (base, cache, pack, bytes) = try bench(limit: 600_000)
        base.setPlan(
            FaultPlan { call, number in
                guard call == .read else { return nil }
                var random = SeededGenerator(seed: seed &+ UInt64(number) &* 7919)
                let faults: [BackendFault?] = [.temporary, .truncatedRead, nil, nil]
                return faults[Int.random(in: 0..<4, using: &random)]
            })
        var random = SeededGenerator(seed: seed)
        var good = 0
        for _ in 0..<200 {
            let start = Int.random(in: 0..<(Self.size - 1), using: &random)
            let end = min(Self.size, start + Int.random(in: 1...400_000, using: &random))
            var output: [UInt8] = [7]
            do throws(BackendError) {
                try cache.read(
                    ObjectKey(.pack, pack), UInt64(start)..<UInt64(end), into: &output)
                #expect(output == [7] + bytes[start..<end], "seed \(seed)")
                good += 1
            } catch {
                #expect(output == [7], "seed \(seed)")
            }
        }
        #expect(good > 50, "seed \(seed)")
    }

    @Test func whatIsForgottenIsAskedForAgain() throws {
        let (base, cache, pack, bytes) = try bench()
        let key = ObjectKey(.pack, pack)
        func read() throws -> [UInt8] {
            var output: [UInt8] = []
            try cache.read(key, 100..<200, into: &output)
            return output
        }
        var spoiled = bytes
        spoiled[150] ^= 1
        base.damage(key, spoiled)
        #expect(try read() != Array(bytes[100..<200]))
        base.damage(key, bytes)
        #expect(try read() != Array(bytes[100..<200]), "it is cached")
        cache.forget(pack)
        #expect(try read() == Array(bytes[100..<200]))
        // A pack that is put again, or removed, is not served from memory.
        try cache.put(key, spoiled.span)
        #expect(try read() == Array(spoiled[100..<200]))
        try cache.remove(key)
        #expect(throws: BackendError.self) { try read() }
    }

    @Test func whatDoesNotFitTheCacheGoesThrough() throws {
        let (base, cache, pack, bytes) = try bench()
        let key = ObjectKey(.pack, pack)
        var output: [UInt8] = []
        try cache.read(key, 5..<(2 << 20), into: &output)
        #expect(output == Array(bytes[5..<(2 << 20)]))
        #expect(throws: BackendError.self) {
            try cache.read(key, UInt64(Self.size - 5)..<UInt64(Self.size + 5), into: &output)
        }
        // One that was never listed.
        let unlisted = BlockCache(base)
        output = []
        try unlisted.read(key, 5..<9, into: &output)
        #expect(output == Array(bytes[5..<9]))
    }

    /// What was spoiled on the way is in the cache too: it is not taken for damage of the store.
    @Test func spoiledBytesAreReadAgain() throws {
        let base = MemoryBackend()
        let bench = try StoreBench(BlockCache(base))
        let blobs = (0..<20).map { noise(3000, seed: UInt64($0)) }
        let ids = try bench.keep(blobs, compression: .off)
        let isFirst = Monitor(true)
        base.setPlan(
            FaultPlan { call, _ in
                guard call == .read else { return nil }
                return isFirst.with { first in
                    defer { first = false }
                    return first ? .wrongBytes : nil
                }
            })
        let reader = BlobReader(store: bench.store)
        try reader.readAhead([ids], .data)
        for (id, blob) in zip(ids, blobs) {
            var output: [UInt8] = []
            try reader.read(id, .data, into: &output)
            #expect(output == blob)
        }
        let isRead = isFirst.with { first in !first }
        #expect(isRead)
        for id in ids { #expect(try bench.store.index.contains(id, .data)) }
    }
}
