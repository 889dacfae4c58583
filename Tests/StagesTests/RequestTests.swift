import ContentStore
import Dehydrator
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// What it costs in requests to fill a module from a place far away.
@Suite struct RequestTests {
    /// 510 small files of 8 MiB in all, in 51 directories, by somebody who has nothing but the
    /// store.
    @Test func hydratingSmallFilesTakesFewRequests() throws {
        let bench = try Workbench()
        for number in 0..<510 {
            try bench.write("d\(number % 51)/f\(number)", noise(16_448, seed: UInt64(number)))
        }
        try bench.store("first")

        func hydrate(_ backend: any Backend, _ name: String) throws -> [BackendCall: Int] {
            // One thread: of several, one may ask for what another is just about to have read.
            let options = HydrateOptions(threads: 1)
            let before = try bench.memory.counts
            let store = try Workbench.open(backend, bench.folder("state-\(name)"))
            let last = try #require(try store.snapshots(of: "m").last)
            let root = try SnapshotRoot.find(
                last.snapshot, store: store, reader: BlobReader(store: store))
            let target = bench.folder("copy-\(name)")
            let result = try Hydrator(store: store, target: target, options: options)
                .hydrate(tree: root.subtree, node: root.node)
            #expect(result.files == 510 && result.failed == 0)
            #expect(try TreeComparison.differences(bench.module, target) == [])
            return try bench.memory.counts.merging(before) { $0 - $1 }
        }
        let direct = try hydrate(bench.backend, "direct")
        let cached = try hydrate(BlockCache(bench.backend), "cached")
        print("requests to hydrate 510 files: \(direct) without a cache, \(cached) with it")
        #expect((direct[.read] ?? 0) > 100)
        #expect((cached[.read] ?? 0) <= 16)
        #expect(cached.values.reduce(0, +) <= 26)
    }
}
