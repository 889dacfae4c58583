import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

struct IndexedPack: Equatable {
    var id: Digest
    var entries: [PackEntry]
}

@Suite struct IndexTests {
    func parse(_ json: [UInt8], step: Int = 1 << 20) throws -> [IndexedPack] {
        var parser = IndexParser()
        var packs: [IndexedPack] = []
        for start in stride(from: 0, to: json.count, by: step) {
            let part = json.span.extracting(start..<min(start + step, json.count))
            try parser.feed(part) { id, entries in
                packs.append(IndexedPack(id: id, entries: entries))
            }
        }
        try parser.finish()
        return packs
    }

    func encode(_ packs: [IndexedPack]) -> [UInt8] {
        var encoder = IndexEncoder()
        var json: [UInt8] = []
        for pack in packs {
            encoder.append(pack: pack.id, pack.entries) { json.append(copying: $0) }
        }
        encoder.finish { json.append(copying: $0) }
        return json
    }

    func packs(_ count: Int, blobs: Int) -> [IndexedPack] {
        (0..<count).map { i in
            let id = someDigest(UInt64(1000 + i))
            let type: BlobType = i % 2 == 0 ? .data : .tree
            return IndexedPack(id: id, entries: packEntries(blobs, seed: UInt64(i + 1), type: type))
        }
    }

    @Test(arguments: [1, 2, 3, 7, 64, 1000, 1 << 20])
    func readsBackWhatItWroteInPartsOfAnySize(step: Int) throws {
        let written = packs(5, blobs: 20)
        #expect(try parse(encode(written), step: step) == written)
    }

    /// The text of a pack leaves the encoder in blocks.
    @Test func longTextsAreWhole() throws {
        let written = packs(3, blobs: 2000)
        #expect(try parse(encode(written), step: 1 << 20) == written)
    }

    @Test func writesWhatAJSONLibraryReads() throws {
        let written = packs(2, blobs: 4)
        let value = try JSONSerialization.jsonObject(with: Data(encode(written)))
        let list = try #require((value as? [String: Any])?["packs"] as? [[String: Any]])
        #expect(list.map { $0["id"] as? String } == written.map(\.id.description))
        let blobs = try #require(list[1]["blobs"] as? [[String: Any]])
        let entry = written[1].entries[1]
        #expect(blobs[1]["id"] as? String == entry.id.description)
        #expect(blobs[1]["type"] as? String == "tree")
        #expect(blobs[1]["offset"] as? UInt64 == entry.offset)
        #expect(blobs[1]["length"] as? UInt32 == entry.storedLength)
        #expect(blobs[1]["uncompressed_length"] as? UInt32 == entry.plainLength)
        #expect(blobs[0]["uncompressed_length"] == nil, "a raw blob has no plain length")
    }

    static let p = String(repeating: "ab", count: 32)
    static let b = String(repeating: "cd", count: 32)
    static let blob = "{\"id\":\"\(b)\",\"type\":\"data\",\"offset\":5,\"length\":40}"

    @Test(arguments: [
        ("{}", 0, 0), (" {\"packs\" : null }\n", 0, 0), ("{\"packs\":[]}", 0, 0),
        ("{\"packs\":[{\"id\":\"\(p)\",\"blobs\":null}]}", 1, 0),
        ("{\"packs\":[{\"blobs\":[\(blob)],\"id\":\"\(p)\"}]}", 1, 1),
        ("{\"supersedes\":[\"\(p)\"],\"packs\":[{\"id\":\"\(p)\",\"blobs\":[\(blob)]}]}", 1, 1),
        ("{\"packs_to_delete\":[{\"id\":\"\(p)\",\"blobs\":[\(blob)]}],\"packs\":[]}", 0, 0),
        (
            "{\"x\":{\"packs\":[{}],\"y\":[1,-2.5e3,true,\"\\\"}\\\\\"]},"
                + "\"packs\":[{\"time\":\"x\",\"size\":null,\"id\":\"\(p)\",\"blobs\":["
                + "{\"q\":[[]],\"length\":40,\"uncompressed_length\":0,\"offset\":5,"
                + "\"type\":\"tree\",\"id\":\"\(b)\"}]}]}", 1, 1
        ),
    ])
    func readsEveryShape(json: String, packs: Int, blobs: Int) throws {
        for step in [1, 1000] {
            let read = try parse(Array(json.utf8), step: step)
            #expect(read.count == packs)
            #expect(read.reduce(0) { $0 + $1.entries.count } == blobs)
            #expect(
                read.first?.entries.first.map { $0.offset == 5 && $0.plainLength == nil } != false)
        }
    }

    @Test(arguments: [
        "", "[]", "null", "{", "{\"packs\"", "{\"packs\":[}", "{\"packs\":{}}", "{\"packs\":[1]}",
        "{\"packs\":[{}]}", "{\"packs\":[]}x", "{\"packs\":[],}", "{\"packs\":[],\"packs\":3}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[{}]}]}", "{\"packs\" []}", "{,}", "{\"a\":tru}",
        "{\"packs\":[{\"id\":\"abc\",\"blobs\":[]}]}", "{\"\\u0070acks\":[]}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[\(blob)],\"blobs\":[\(blob)]}]}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[{\"id\":\"\(b)\",\"type\":\"leaf\",\"offset\":1,"
            + "\"length\":40}]}]}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[{\"id\":\"\(b)\",\"type\":\"data\",\"offset\":-1,"
            + "\"length\":40}]}]}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[{\"id\":\"\(b)\",\"type\":\"data\",\"offset\":1,"
            + "\"length\":4294967296}]}]}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[{\"id\":\"\(b)\",\"type\":\"data\",\"offset\":1,"
            + "\"length\":31}]}]}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[{\"id\":\"\(b)\",\"type\":\"data\",\"offset\":1,"
            + "\"length\":40,\"uncompressed_length\":4294967296}]}]}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[{\"id\":\"\(b)\",\"type\":\"data\","
            + "\"offset\":1000000000000000000000,\"length\":40}]}]}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[\(blob)\(blob)]}]}",
        "{\"packs\":[{\"id\":\"\(p)\",\"blobs\":[\(blob),]}]}",
        String(repeating: "{\"a\":", count: 100),
    ])
    func refusesDamage(json: String) {
        for step in [1, 1000] {
            #expect(throws: Failure.self) { try parse(Array(json.utf8), step: step) }
        }
    }

    @Test func sortsBlobsByTheirPlace() throws {
        var pack = packs(1, blobs: 9)
        let sorted = pack
        pack[0].entries.reverse()
        #expect(try parse(encode(pack)) == sorted)
    }

    @Test func sealedFilesComeBack() throws {
        let sealer = Sealer(key: .random())
        let written = packs(3, blobs: 300)
        let writer = IndexFileWriter()
        for _ in 0..<2 {
            for pack in written { writer.append(pack: pack.id, pack.entries) }
            #expect(writer.blobCount == 900)
            #expect(writer.packCount == 3)
            let (id, bytes) = writer.finish(sealer: sealer)
            #expect(bytes.count < 900 * 60)
            var read: [IndexedPack] = []
            try IndexFile.read(bytes.span, expected: id, sealer: sealer) { id, entries in
                read.append(IndexedPack(id: id, entries: entries))
            }
            #expect(read == written)
            let other = SHA256Hasher.hash([1].span)
            #expect(throws: Failure.self) {
                try IndexFile.read(bytes.span, expected: other, sealer: sealer) { _, _ in }
            }
        }
    }

    /// The pack with the most blobs that its header has room for passes, one with more does not.
    @Test func takesTheLargestPack() throws {
        let id = someDigest(1)
        let one = PackEntry(type: .data, id: id, offset: 0, storedLength: 40, plainLength: 9)
        let many = [PackEntry](repeating: one, count: PackHeader.maximumEntries)
        #expect(try parse(encode([IndexedPack(id: id, entries: many)])).first?.entries == many)
        let tooMany = [PackEntry](repeating: one, count: IndexParser.maximumEntries + 1)
        #expect(throws: Failure.self) {
            try parse(encode([IndexedPack(id: id, entries: tooMany)]))
        }
    }

    /// Whatever is accepted in one piece is accepted with the same result byte by byte.
    @Test func survivesFuzzing() throws {
        let shapes = [Self.blob, "{\"packs\":[{\"id\":\"\(Self.p)\",\"blobs\":[\(Self.blob)]}]}"]
        let corpus = [encode(packs(2, blobs: 2))] + shapes.map { Array($0.utf8) }
        fuzz("index", corpus: corpus) { json in
            let whole = try? parse(json)
            #expect(whole == (try? parse(json, step: 1)))
            if let whole { #expect((try? parse(encode(whole))) == whole) }
        }
    }
}
