import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// What the store says of its copies, and what it takes that from.
@Suite struct CopyTests {
    let memory = MemoryBackend()
    let bench: StoreBench

    init() throws {
        bench = try StoreBench(memory)
    }

    private func pack(of id: Digest) throws -> (key: ObjectKey, location: BlobLocation) {
        let location = try #require(try bench.store.index.allLocations(id, .data).first)
        return (ObjectKey(.pack, location.pack), location)
    }

    private func flipped(_ bytes: [UInt8], at: UInt64) -> [UInt8] {
        var bytes = bytes
        bytes[Int(at)] ^= 1
        return bytes
    }

    @Test func aCopyThatIsWellAgainCountsAgain() throws {
        let id = try bench.keep([noise(3000, seed: 1)])[0]
        let (key, location) = try pack(of: id)
        let good = try #require(memory.objects[key])
        memory.damage(key, flipped(good, at: location.offset + 30))
        let reader = BlobReader(store: bench.store)
        #expect(try reader.verify(id, .data) == .corrupt)
        #expect(try reader.isPresent(id, .data) == .missing)
        memory.damage(key, good)
        #expect(try reader.verify(id, .data) == .good)
        #expect(try reader.isPresent(id, .data) == .good, "two checks contradict each other")
        var plain: [UInt8] = []
        try reader.read(id, .data, into: &plain)
    }

    @Test func aPackThatIsCutShortIsDamagedAndNotMissing() throws {
        let id = try bench.keep([noise(3000, seed: 2)])[0]
        let (key, location) = try pack(of: id)
        memory.damage(
            key, Array(try #require(memory.objects[key]).prefix(Int(location.offset) + 99)))
        #expect(try BlobReader(store: bench.store).verify(id, .data) == .corrupt)
    }

    @Test func aPackThatIsGoneIsNoCopy() throws {
        let id = try bench.keep([noise(3000, seed: 3)])[0]
        memory.damage(try pack(of: id).key, nil)
        #expect(try BlobReader(store: bench.store).verify(id, .data) == .missing)
        try bench.store.refresh(session: StoreSession.newName())
        #expect(try !bench.store.index.contains(id, .data))
    }

    /// Nobody finds a blob that no index file names, however well its pack is.
    @Test func aBlobInNoIndexFileIsNoCopy() throws {
        let id = try bench.keep([noise(3000, seed: 4)])[0]
        for key in memory.objects.keys where key.kind == .index { memory.damage(key, nil) }
        try bench.store.refresh(session: StoreSession.newName())
        let reader = BlobReader(store: bench.store)
        #expect(try reader.isPresent(id, .data) == .missing)
        #expect(try reader.verify(id, .data) == .missing)
    }

    @Test(arguments: [13, 24])  // EACCES, EMFILE
    func trouble(code: Int32) throws {
        let backend = HookedBackend()
        let bench = try StoreBench(backend)
        let id = try bench.keep([noise(3000, seed: 5)])[0]
        let generation = try bench.store.index.generation()
        backend.set { $0.readError = .permanent(SystemError(code, "open", "pack")) }
        let reader = BlobReader(store: bench.store)
        var plain: [UInt8] = []
        #expect(throws: Failure.self) { try reader.read(id, .data, into: &plain) }
        #expect(throws: Failure.self, "what cannot be asked is not known to be missing") {
            try reader.verify(id, .data)
        }
        backend.set { $0.readError = nil }
        #expect(try bench.store.index.contains(id, .data), "no content was seen to be bad")
        #expect(try bench.store.index.generation() == generation)
    }

    @Test func readingFindsTheGoodOneOfTwoCopies() throws {
        let content = noise(3000, seed: 6)
        let id = try bench.keep([content])[0]
        let (key, location) = try pack(of: id)
        memory.damage(key, flipped(try #require(memory.objects[key]), at: location.offset + 30))
        var plain: [UInt8] = []
        #expect(throws: Failure.self) {
            try BlobReader(store: bench.store).read(id, .data, into: &plain)
        }
        // Known to be bad, so it is stored again.
        #expect(try bench.keep([content]) == [id])
        #expect(try bench.store.index.allLocations(id, .data).count == 2)
        plain = []
        try BlobReader(store: bench.store).read(id, .data, into: &plain)
        #expect(plain == content)
        #expect(try BlobReader(store: bench.store).verify(id, .data) == .good)
        let stranger = try bench.stranger()
        plain = []
        try BlobReader(store: stranger).read(id, .data, into: &plain)
        #expect(plain == content)
    }

    // MARK: Comparing files with blobs

    /// A file whose reading ends with an error after the first mebibyte: this process's own memory
    /// in front of a page that is not there.
    private func reading(failsBehind body: (borrowing Descriptor) throws -> Void) throws {
        let size = 3 << 20
        let map = mmap(
            nil, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        let base = try #require(map == MAP_FAILED ? nil : map)
        defer { munmap(base, size + 4096) }
        mprotect(base + size, 4096, PROT_NONE)
        munmap(base + size, 4096)
        let file = try Descriptor.open("/proc/self/mem", .readOnly)
        try file.seek(to: UInt64(UInt(bitPattern: base)))
        try body(file)
    }

    @Test func anUnreadableFileDoesNotMakeTheNextOneLookRotted() throws {
        let content = noise(5000, seed: 7)
        let id = try bench.keep([content])[0]
        let path = bench.folder("file")
        try Data(content).write(to: URL(fileURLWithPath: path))
        let verifier = ContentVerifier(store: bench.store)
        try reading { file in
            #expect(throws: SystemError.self) { try verifier.matches(file, ids: [id]) }
        }
        #expect(try verifier.matches(Descriptor.open(path, .readOnly), ids: [id]))
    }

    @Test(arguments: [false, true])
    func aFileOfManyChunksIsComparedWithAndWithoutTheIndex(forgotten: Bool) throws {
        let path = bench.folder("file")
        var content = noise(8 << 20, seed: 8)
        try Data(content).write(to: URL(fileURLWithPath: path))
        let session = StoreSession(store: bench.store)
        let sink = BlobSink(session: session)
        let writer = ContentWriter(store: bench.store, sink: sink)
        let stored = try writer.store(Descriptor.open(path, .readOnly), batch: 0)
        try sink.flush()
        try session.finish()
        #expect(stored.ids.count > 2 && stored.size == UInt64(content.count))
        if forgotten {
            for key in memory.objects.keys where key.kind == .index { memory.damage(key, nil) }
            try bench.reopen(forgettingIndex: true)
        }
        let verifier = ContentVerifier(store: bench.store)
        func matches() throws -> Bool {
            try verifier.matches(Descriptor.open(path, .readOnly), ids: stored.ids)
        }
        #expect(try matches())
        for change in [0, content.count / 2, content.count - 1] {
            content[change] ^= 0x20
            try Data(content).write(to: URL(fileURLWithPath: path))
            #expect(try !matches(), "byte \(change)")
            content[change] ^= 0x20
        }
        try Data(content + [0]).write(to: URL(fileURLWithPath: path))
        #expect(try !matches(), "longer")
        try Data(content.dropLast()).write(to: URL(fileURLWithPath: path))
        #expect(try !matches(), "shorter")
        try Data(content).write(to: URL(fileURLWithPath: path))
        #expect(try matches())
        // What the store has lost comes back from the file, whatever the index still knows.
        for key in memory.objects.keys where key.kind == .pack { memory.damage(key, nil) }
        try bench.store.refresh(session: StoreSession.newName())
        let again = StoreSession(store: bench.store)
        let secondSink = BlobSink(session: again)
        let whole = try ContentWriter(store: bench.store, sink: secondSink).storeAgain(
            Descriptor.open(path, .readOnly), ids: stored.ids, index: bench.store.index, batch: 0)
        try secondSink.flush()
        try again.finish()
        #expect(whole)
        let reader = BlobReader(store: try bench.stranger())
        for id in stored.ids { #expect(try reader.verify(id, .data) == .good) }
    }
}
