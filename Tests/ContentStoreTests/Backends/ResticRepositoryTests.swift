import ContentStore
import Foundation
import Platform
import Testing

/// The restics of this machine: the installed one and the one that CISTERN_NEWER_RESTIC names.
///
/// None gives a visible notice instead of the tests.
private let restics: [String] = [
    "/usr/bin/restic", ProcessInfo.processInfo.environment["CISTERN_NEWER_RESTIC"] ?? "",
].filter { FileManager.default.isExecutableFile(atPath: $0) }

/// Runs a restic on `repository` with the password `secret`; returns what it printed.
@discardableResult
private func run(_ restic: String, _ repository: String, _ arguments: [String]) throws -> Data {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: restic)
    process.arguments = ["-r", repository, "--no-cache"] + arguments
    var environment = ProcessInfo.processInfo.environment
    environment["RESTIC_PASSWORD"] = "secret"
    process.environment = environment
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "restic \(arguments)")
    return data
}

/// What restic writes is read, and what is written here restic reads.
@Suite(.enabled(if: !restics.isEmpty, "restic is not installed: its repositories are not tested"))
struct ResticRepositoryTests {
    let password = Array("secret".utf8)

    func openKey(_ backend: FileBackend) throws -> MasterKey {
        var names: [Digest] = []
        try backend.list(.key) { id, _ in names.append(id) }
        let name = try #require(names.first)
        let bytes = try backend.get(ObjectKey(.key, name), limit: KeyFile.limit)
        #expect(throws: Failure.self) { try KeyFile.open(bytes, name: name, password: [1]) }
        return try KeyFile.open(bytes, name: name, password: password)
    }

    func ids(_ backend: FileBackend, _ kind: ObjectKind) throws -> [Digest] {
        var ids: [Digest] = []
        try backend.list(kind) { id, _ in ids.append(id) }
        return ids
    }

    @Test(arguments: restics) func readsWhatResticWrote(restic: String) throws {
        let folder = try ScratchFolder()
        let store = folder.path + "/store"
        try run(restic, store, ["init"])
        let source = folder.path + "/source"
        try FileManager.default.createDirectory(atPath: source, withIntermediateDirectories: true)
        for i in 0..<40 {
            try Data(noise(1000 * i, seed: UInt64(i + 1)))
                .write(to: URL(fileURLWithPath: "\(source)/\(i)"))
        }
        try run(restic, store, ["backup", "--tag", "a,b", "--exclude", "*.x", source])

        let backend = try FileBackend(path: store)
        let sealer = Sealer(key: try openKey(backend))
        var plain: [UInt8] = []
        let sealed = try backend.get(.config, limit: 1 << 20)
        try sealer.open(sealed.span, into: &plain)
        let config = try RepositoryConfig.decode(plain)
        #expect(config.version == 2)

        let snapshots = try ids(backend, .snapshot)
        let id = try #require(snapshots.first)
        let stored = try backend.get(ObjectKey(.snapshot, id), limit: 1 << 20)
        let json = try UnpackedFile.open(stored.span, expected: id, sealer: sealer)
        let snapshot = try Snapshot.decode(json)
        #expect(snapshot.paths == [source])
        #expect(snapshot.tags == ["a", "b"])
        #expect(snapshot.excludes == ["*.x"])
        #expect(snapshot.hostname == ProcessIdentity.hostName)
        #expect(try Snapshot.decode(snapshot.encode()) == snapshot)
        // But for the time's offset the fields are the same bytes.
        let ours = String(decoding: snapshot.encode(), as: UTF8.self)
        let theirs = String(decoding: json, as: UTF8.self)
        #expect(ours.drop { $0 != "," } == theirs.drop { $0 != "," })

        try readPacks(backend, sealer, snapshot.tree)
    }

    /// Every pack's header says what the index says, and every blob is what its id says.
    func readPacks(_ backend: FileBackend, _ sealer: Sealer, _ tree: Digest) throws {
        var blobs: Set<Digest> = []
        var indexed: [Digest: [PackEntry]] = [:]
        for id in try ids(backend, .index) {
            let bytes = try backend.get(ObjectKey(.index, id), limit: 1 << 20)
            let json = try UnpackedFile.open(bytes.span, expected: id, sealer: sealer)
            var encoder = IndexEncoder()
            var again: [UInt8] = []
            try IndexFile.read(bytes.span, expected: id, sealer: sealer) { pack, entries in
                indexed[pack] = entries
                encoder.append(pack: pack, entries) { again.append(copying: $0) }
            }
            encoder.finish { again.append(copying: $0) }
            #expect(try blobsByPack(again) == blobsByPack(json))
        }
        let decompressor = ZstdDecompressor()
        for pack in try ids(backend, .pack) {
            let key = ObjectKey(.pack, pack)
            let size = try #require(try backend.size(key))
            let entries = try PackHeader.decode(size: size, sealer: sealer) {
                range throws(Failure) in
                try backend.failing { store throws(BackendError) in
                    var bytes: [UInt8] = []
                    try store.read(key, range, into: &bytes)
                    return bytes
                }
            }
            #expect(entries == indexed[pack])
            for entry in entries {
                var sealed: [UInt8] = []
                try backend.read(key, entry.range, into: &sealed)
                var plain: [UInt8] = []
                try sealer.open(sealed.span, into: &plain)
                if let length = entry.plainLength {
                    var content: [UInt8] = []
                    try decompressor.decompress(plain.span, into: &content, limit: Int(length))
                    plain = content
                }
                #expect(plain.count == Int(entry.contentLength))
                #expect(SHA256Hasher.hash(plain.span) == entry.id)
                blobs.insert(entry.id)
            }
        }
        #expect(blobs.contains(tree))
        #expect(indexed.count == (try ids(backend, .pack).count))
    }

    /// An index file as a JSON library sees it.
    struct Index: Decodable {
        struct Blob: Decodable, Hashable {
            var id: String
            var type: String
            var offset: UInt64
            var length: UInt32
            var uncompressed_length: UInt32?
        }
        struct Pack: Decodable {
            var id: String
            var blobs: Set<Blob>
        }
        var packs: [Pack]
    }

    /// The blobs of an index file; their order does not count.
    func blobsByPack(_ json: [UInt8]) throws -> [String: Set<Index.Blob>] {
        let packs = try JSONDecoder().decode(Index.self, from: Data(json)).packs
        #expect(!packs.isEmpty)
        return Dictionary(packs.map { ($0.id, $0.blobs) }) { $0.union($1) }
    }

    @Test(arguments: restics) func resticReadsWhatIsWrittenHere(restic: String) throws {
        let folder = try ScratchFolder()
        let store = folder.path + "/store"
        let backend = try FileBackend(path: store, create: true)
        let master = MasterKey.random()
        let sealer = Sealer(key: master)
        let now = SystemClock().now()
        let (name, key) = try KeyFile.create(
            master, password: password, cost: KeyFile.Cost(n: 1024, r: 8, p: 1), created: now,
            host: "here", user: "me")
        try backend.put(ObjectKey(.key, name), key.span)
        let config = RepositoryConfig.random()
        var sealed: [UInt8] = []
        let plain = config.encode()
        sealer.seal(plain.span, into: &sealed)
        try backend.put(.config, sealed.span)

        let shown = try JSONSerialization.jsonObject(
            with: run(restic, store, ["cat", "masterkey"]))
        let fields = try #require(shown as? [String: Any])
        #expect(fields["encrypt"] as? String == Data(master.encryption).base64EncodedString())
        let mac = try #require(fields["mac"] as? [String: Any])
        #expect(mac["k"] as? String == Data(master.macK).base64EncodedString())
        #expect(mac["r"] as? String == Data(master.macR).base64EncodedString())
        let read = try RepositoryConfig.decode(Array(run(restic, store, ["cat", "config"])))
        #expect(read == config)

        let tree = try writeTree(backend, sealer)
        let snapshot = Snapshot(
            time: now, tree: tree, paths: ["/m"], hostname: "here", username: "me",
            tags: ["cistern"])
        let json = snapshot.encode()
        let (id, bytes) = UnpackedFile.seal(
            json.span, sealer: sealer, compressor: ZstdCompressor(level: 3))
        try backend.put(ObjectKey(.snapshot, id), bytes.span)
        try run(restic, store, ["check", "--read-data"])
        let listed = try JSONSerialization.jsonObject(
            with: run(restic, store, ["snapshots", "--json"]))
        #expect((listed as? [[String: Any]])?.first?["id"] as? String == id.description)

        let lock = try RepositoryLock.take(
            backend, key: master, owner: LockOwner(username: "me", uid: 0, gid: 0),
            journal: LockJournal(isOurs: { _ in false }))
        let lockID = try #require(lock.id)
        let text = try run(restic, store, ["--no-lock", "cat", "lock", lockID.description])
        #expect(try LockFile.decode(Array(text)).pid == ProcessIdentity.current.pid)
        try lock.release()
    }

    /// A pack with an empty tree, and the index file of it; returns the tree's id.
    func writeTree(_ backend: FileBackend, _ sealer: Sealer) throws -> Digest {
        let plain = Array("{\"nodes\":[]}\n".utf8)
        let tree = SHA256Hasher.hash(plain.span)
        var compressed: [UInt8] = []
        ZstdCompressor(level: 3).compress(plain.span, into: &compressed)
        var pack: [UInt8] = []
        sealer.seal(compressed.span, into: &pack)
        let entry = PackEntry(
            type: .tree, id: tree, offset: 0, storedLength: UInt32(pack.count),
            plainLength: UInt32(plain.count))
        pack += PackHeader.encode([entry], sealer: sealer)
        let packID = SHA256Hasher.hash(pack.span)
        try backend.put(ObjectKey(.pack, packID), pack.span)
        let writer = IndexFileWriter()
        writer.append(pack: packID, [entry])
        let (index, bytes) = writer.finish(sealer: sealer)
        try backend.put(ObjectKey(.index, index), bytes.span)
        return tree
    }
}
