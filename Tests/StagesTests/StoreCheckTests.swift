import Checker
import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// Checks of whole stores that restic made, intact and damaged in each way there is.
@Suite(.enabled(if: available("store check of restic's stores", !Restic.all.isEmpty)))
struct StoreCheckTests {
    private func make(
        _ restic: Restic, version: Int? = nil, files: Int = 300
    ) throws -> ResticStore {
        try ResticStore(restic, version: version) { source in
            var corpus = Corpus(seed: 7)
            try corpus.small(source, count: files)
            let name = Array("\u{FF}".utf8) + [0xFE, 0x0A]
            let folder = try Descriptor.open(source, [.readOnly, .directory])
            try folder.makeSymlink(name, to: Array("nowhere".utf8))
        }
    }

    @Test(arguments: Restic.all, [1, 2])
    func intactStoreIsHealthy(restic: Restic, version: Int) throws {
        let store = try make(restic, version: version)
        for readData in [false, true, false, true] {
            let (result, problems) = try store.check(readData: readData)
            #expect(problems == [])
            #expect(result.isHealthy)
            #expect(result.snapshots == 1 && result.files == 300)
            #expect(result.blobsRead == (readData ? result.blobs : 0))
            #expect(result.packsRead == (readData ? result.packs : 0))
        }
    }

    /// Only reading finds it; then it is remembered, until reading finds it mended.
    @Test func flippedByteInContent() throws {
        let store = try make(Restic.all[0])
        let pack = try store.pack(.data)
        let blob = pack.entries[pack.entries.count / 2]
        let at = Int(blob.offset) + Int(blob.storedLength) / 2
        try Damage.flipByte(pack.path, at: at)
        #expect(try store.check(readData: false).problems == [])
        for readData in [true, false, true] {
            let problems = try store.check(readData: readData).problems
            let files = problems.filter { $0.kind == .file }
            #expect(files.map(\.id) == [blob.id], "\(problems)")
            let path = printable(files.first?.path ?? [])
            #expect(path.hasPrefix(store.source.dropFirst()) && path.hasSuffix(".dat"))
            #expect(files.first?.snapshot == (try store.object(.snapshot).id))
            guard readData else { continue }
            #expect(problems.contains { $0.kind == .blob && $0.id == blob.id }, "\(problems)")
            #expect(problems.contains { $0.kind == .pack && $0.id == pack.id }, "\(problems)")
            #expect(problems.count == 3, "\(problems)")
        }
        try Damage.flipByte(pack.path, at: at)
        #expect(try store.check(readData: true).problems == [])
        #expect(try store.check(readData: false).problems == [])
    }

    @Test(arguments: [false, true]) func flippedByteInATree(readData: Bool) throws {
        let store = try make(Restic.all[0])
        let pack = try store.pack(.tree)
        let blob = pack.entries[0]
        try Damage.flipByte(pack.path, at: Int(blob.offset) + Int(blob.storedLength) / 2)
        let problems = try store.check(readData: readData).problems
        let trees = problems.filter { $0.kind == .tree }
        #expect(trees.map(\.id) == [blob.id], "\(problems)")
        #expect(trees.first?.snapshot != nil && trees.first?.path != nil)
        #expect(problems.contains { $0.kind == .pack } == readData, "\(problems)")
    }

    /// The blobs are good, so that nothing is lost and nothing is marked.
    @Test func flippedByteInAHeader() throws {
        let store = try make(Restic.all[0])
        let pack = try store.pack(.data)
        let end = try #require(pack.entries.last).range.upperBound
        try Damage.flipByte(pack.path, at: Int(end) + 20)
        let (result, problems) = try store.check(readData: true)
        #expect(!problems.isEmpty)
        #expect(problems.allSatisfy { $0.kind == .pack && $0.id == pack.id }, "\(problems)")
        #expect(result.blobsRead == result.blobs)
        // Nothing has mended it, and no blob is missed.
        let known = try store.check(readData: false).problems
        #expect(known.map(\.kind) == [.pack] && known.map(\.id) == [pack.id], "\(known)")
    }

    /// With a local copy from before the damage, and without one.
    @Test(arguments: [false, true]) func flippedByteInTheIndex(isKnown: Bool) throws {
        let store = try make(Restic.all[0])
        if isKnown { _ = try store.check(readData: false) }
        let index = try store.object(.index)
        try Damage.flipByte(index.path)
        let problems = try store.check(readData: false).problems
        #expect(problems.contains { $0.kind == .index && $0.id == index.id }, "\(problems)")
        // What is known from before is still found in the store.
        #expect(problems.contains { $0.kind == .tree } == !isKnown, "\(problems)")
    }

    @Test func flippedByteInASnapshot() throws {
        let store = try make(Restic.all[0])
        let snapshot = try store.object(.snapshot)
        _ = try store.check(readData: false)
        try Damage.flipByte(snapshot.path)
        let problems = try store.check(readData: false).problems
        #expect(problems.map(\.kind) == [.snapshot])
        #expect(problems.map(\.id) == [snapshot.id])
    }

    @Test(arguments: [BlobType.data, .tree], [false, true])
    func packThatIsCutOrGone(type: BlobType, isGone: Bool) throws {
        let store = try make(Restic.all[0])
        let pack = try store.pack(type)
        if isGone {
            try FileManager.default.removeItem(atPath: pack.path)
        } else {
            try Command("chmod", ["u+w", pack.path]).run().expect()
            try Damage.truncate(pack.path, to: 100)
        }
        let problems = try store.check(readData: true).problems
        let packs = problems.filter { $0.kind == .pack }
        #expect(packs.map(\.id) == [pack.id], "\(problems)")
        #expect(packs.first?.message.contains(isGone ? "is missing" : "has 100 bytes") ?? false)
        let needed = problems.filter { $0.kind == (type == .data ? .file : .tree) }
        #expect(needed.count == (type == .data ? 300 : 1), "\(needed.count)")
        #expect(needed.allSatisfy { $0.snapshot != nil && $0.path != nil })
    }

    /// What a stopped writer left, or one at work writes, is no damage.
    @Test func packInNoIndexIsANote() throws {
        let store = try make(Restic.all[0])
        let bytes = Array("left over".utf8)
        let id = SHA256Hasher.hash(bytes.span)
        try FileBackend(path: store.path).put(ObjectKey(.pack, id), bytes.span)
        let (result, problems) = try store.check(readData: true)
        #expect(result.isHealthy && result.unlistedPacks == 1)
        #expect(problems.map(\.id) == [id] && problems.allSatisfy(\.isNote))
    }

    /// The pack is another one under this name, intact in itself.
    @Test func packWithAnotherOnesBytes() throws {
        let store = try make(Restic.all[0])
        let data = try store.pack(.data)
        let tree = try store.pack(.tree)
        let size = try Data(contentsOf: URL(fileURLWithPath: data.path)).count
        var bytes = try Data(contentsOf: URL(fileURLWithPath: tree.path))
        bytes = Data(repeating: 0, count: max(0, size - bytes.count)) + bytes
        try FileManager.default.removeItem(atPath: data.path)
        try bytes.write(to: URL(fileURLWithPath: data.path))
        let problems = try store.check(readData: true).problems
        #expect(problems.contains { $0.kind == .pack && $0.id == data.id }, "\(problems)")
        let bad = Set(problems.filter { $0.kind == .blob }.compactMap(\.id))
        #expect(bad == Set(data.entries.map(\.id)))
        #expect(problems.filter { $0.kind == .file }.count == 300)
    }

    /// A directory whose tree is checked in pieces.
    @Test func largeTree() throws {
        let store = try ResticStore(Restic.all[0]) { source in
            try Corpus().wide(source + "/wide", count: 60_000)
        }
        let (result, problems) = try store.check(readData: true)
        #expect(problems == [])
        #expect(result.files == 60_000)
        let pack = try store.pack(.tree)
        let large = try #require(pack.entries.max { $0.contentLength < $1.contentLength })
        try #require(large.contentLength > 12 << 20, "the tree is not large")
        for place in [16, Int(large.storedLength) / 2, Int(large.storedLength) - 1] {
            try Damage.flipByte(pack.path, at: Int(large.offset) + place)
            let problems = try store.check(readData: true).problems
            #expect(problems.contains { $0.kind == .blob && $0.id == large.id }, "\(place)")
            try Damage.flipByte(pack.path, at: Int(large.offset) + place)
            #expect(try store.check(readData: true).problems == [], "\(place)")
        }
    }
}
