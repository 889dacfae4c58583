import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// Files are read in parts; where the parts end says nothing about where they are cut.
@Suite struct ContentWriterTests {
    static let contents: [[UInt8]] = {
        // What has no cut is cut at the maximum, and needs the largest buffer.
        let zeros = [UInt8](repeating: 0, count: 20 << 20)
        let sizes = [0, 1, Chunker.minimum, Chunker.minimum + 1, 4 << 20, 8 << 20, 13_000_001]
        return sizes.map { noise($0, seed: 31) }
            + [zeros, Array(zeros[..<Chunker.maximum]), noise(3 << 20, seed: 32) + zeros]
            + [zeros[..<(9 << 20)] + noise(7 << 20, seed: 33)]
    }()

    /// The same writer for all files, in an order that has it use its buffer again.
    @Test func filesAreCutAsAWhole() throws {
        let bench = try StoreBench(MemoryBackend())
        let session = StoreSession(store: bench.store)
        let sink = BlobSink(session: session)
        let writer = ContentWriter(store: bench.store, sink: sink)
        for content in Self.contents + Self.contents.reversed() {
            let path = bench.folder("file")
            try Data(content).write(to: URL(fileURLWithPath: path))
            let stored = try writer.store(Descriptor.open(path, .readOnly), batch: 0)
            let lengths = ChunkerTests.cuts(content, bench.store.chunker)
            var at = 0
            let ids = lengths.map { length in
                defer { at += length }
                return SHA256Hasher.hash(content.span.extracting(at..<(at + length)))
            }
            #expect(stored.ids == ids, "\(content.count) bytes")
            #expect(stored.size == UInt64(content.count))
        }
        try sink.flush()
        try session.finish()
    }
}
