import ContentStore
import Platform
import StoreTestSupport
import TestSupport

/// Snapshots of a kind that tests can make and read in a line.
extension Store {
    /// Stores blobs, a tree that names them, and a snapshot of it.
    @discardableResult
    func keep(snapshotOf blobs: [[UInt8]], number: Int) throws -> Digest {
        let session = StoreSession(store: self)
        let sink = BlobSink(session: session, compression: .off)
        let ids = try blobs.map { try sink.store($0.span, .data, batch: 0).id }
        let names = Array(ids.map(\.description).joined(separator: ",").utf8)
        let tree = try sink.store(names.span, .tree, batch: 0).id
        try sink.flush()
        try session.finish()
        let json = Snapshot(
            time: Timestamp(seconds: 1_700_000_000 + Int64(number)), tree: tree, paths: ["/m"]
        ).encode()
        let sealed = UnpackedFile.seal(
            json.span, sealer: Sealer(key: key), compressor: ZstdCompressor(level: 3))
        try put(snapshot: sealed.id, sealed.bytes)
        return sealed.id
    }

    /// Reads all that the snapshots name, which throws when something is not there.
    @discardableResult
    func readSnapshots() throws -> Int {
        let reader = BlobReader(store: self)
        let all = try snapshots()
        for stored in all {
            var names: [UInt8] = []
            try reader.read(stored.snapshot.tree, .tree, into: &names)
            for name in names.split(separator: UInt8(ascii: ",")) {
                var plain: [UInt8] = []
                guard let id = Digest(hex: String(decoding: name, as: UTF8.self)) else {
                    throw TestError("a tree that is none")
                }
                try reader.read(id, .data, into: &plain)
            }
        }
        return all.count
    }
}

extension MemoryBackend {
    /// All objects but locks.
    var lasting: [ObjectKey: [UInt8]] { objects.filter { $0.key.kind != .lock } }

    /// The objects of one kind, in the order of their names.
    func keys(_ kind: ObjectKind) -> [ObjectKey] {
        objects.keys.filter { $0.kind == kind }.sorted { $0.path < $1.path }
    }

    /// Flips a bit in the middle.
    func flip(_ key: ObjectKey) {
        guard var bytes = objects[key] else { return }
        bytes[bytes.count / 2] ^= 4
        damage(key, bytes)
    }
}
