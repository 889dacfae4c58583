import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

@Suite struct SnapshotTests {
    static let full: Snapshot = {
        var summary = Snapshot.Summary(
            start: Timestamp(seconds: 1_700_000_000), end: Timestamp(seconds: 1_700_000_009))
        summary.filesNew = 1
        summary.dataBlobs = 2
        summary.totalBytesProcessed = UInt64.max
        return Snapshot(
            time: Timestamp(seconds: 1_700_000_000, nanoseconds: 120_000_000),
            tree: someDigest(1), paths: ["/photos & <more>", "/ü\u{2028}\u{1}\""],
            hostname: "host", username: "root", uid: 1, gid: 2,
            tags: ["cistern", "module=photos"], parent: someDigest(2), excludes: ["*.tmp"],
            original: someDigest(3), programVersion: "cistern 0.1", summary: summary)
    }()

    @Test func comesBack() throws {
        let least = Snapshot(time: Timestamp(seconds: -5), tree: someDigest(4), paths: [])
        for snapshot in [Self.full, least] {
            #expect(try Snapshot.decode(snapshot.encode()) == snapshot)
            #expect(throws: Never.self) {
                try JSONSerialization.jsonObject(with: Data(snapshot.encode()))
            }
        }
        #expect(
            String(decoding: least.encode(), as: UTF8.self)
                == #"{"time":"1969-12-31T23:59:55Z","tree":"\#(someDigest(4))","paths":[]}"#)
    }

    @Test func writesTextAsGoDoes() {
        let text = String(decoding: Self.full.encode(), as: UTF8.self)
        #expect(text.contains(#""/photos \u0026 \u003cmore\u003e""#))
        #expect(text.contains(#""/ü\u2028\u0001\"""#))
        #expect(text.contains(#""time":"2023-11-14T22:13:20.12Z""#))
    }

    @Test(arguments: [
        ("2023-11-14T23:13:20.12+01:00", 1_700_000_000, 120_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000, 0),
        ("2023-11-14T22:13:20.000000001Z", 1_700_000_000, 1),
        ("2023-11-14T16:43:20.5-05:30", 1_700_000_000, 500_000_000),
        ("1969-12-31T23:59:59.9Z", -1, 900_000_000), ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("9999-12-31T23:59:59Z", 253_402_300_799, 0), ("2024-02-29T00:00:00Z", 1_709_164_800, 0),
    ])
    func readsTimesOfAnyOffset(text: String, seconds: Int64, nanoseconds: UInt32) throws {
        let json = #"{"time":"\#(text)","tree":"\#(someDigest(1))","paths":null,"new":{"a":[1]}}"#
        let snapshot = try Snapshot.decode(Array(json.utf8))
        #expect(snapshot.time == Timestamp(seconds: seconds, nanoseconds: nanoseconds))
        #expect(snapshot.paths == [])
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"time":"2023-11-14T22:13:20Z","paths":[]}"#,
        #"{"time":"2023-11-14T22:13:20Z","tree":null,"paths":[]}"#,
        #"{"time":"yesterday","tree":"\#(someDigest(1))"}"#,
        #"{"time":"2023-11-14T22:13:20Z","tree":"abc"}"#,
        #"{"time":"2023-11-14T22:13:20Z","tree":"\#(someDigest(1))","parent":"x"}"#,
        #"{"time":"2023-11-14T22:13:20Z","tree":"\#(someDigest(1))","uid":-1}"#,
    ])
    func refusesDamage(json: String) {
        let failure = #expect(throws: Failure.self) { try Snapshot.decode(Array(json.utf8)) }
        #expect(failure?.kind == .store)
    }

    @Test func survivesFuzzing() {
        let corpus = [
            Self.full.encode(), RepositoryConfig.random().encode(),
            LockFile(
                time: Timestamp(seconds: 1), exclusive: true, hostname: "h", username: "u", pid: 3
            ).encode(),
        ]
        fuzz("snapshot, config, lock", corpus: corpus, rounds: 5000) { json in
            if let snapshot = try? Snapshot.decode(json) {
                // Years outside of 0...9999 come back clamped, offsets can lead there.
                let again = try? Snapshot.decode(snapshot.encode())
                #expect(again?.tree == snapshot.tree && again?.paths == snapshot.paths)
            }
            if let config = try? RepositoryConfig.decode(json) {
                #expect((try? RepositoryConfig.decode(config.encode())) == config)
            }
            _ = try? LockFile.decode(json)
        }
    }
}

@Suite struct RepositoryConfigTests {
    @Test func comesBack() throws {
        let config = RepositoryConfig.random()
        #expect(config.version == 2)
        #expect(try RepositoryConfig.decode(config.encode()) == config)
        #expect(String(decoding: config.encode(), as: UTF8.self).contains("\"25b468838dcb75\""))
        #expect(config.id != RepositoryConfig.random().id)
    }

    @Test(arguments: [(0, false), (1, true), (2, true), (3, false)])
    func knowsItsVersions(version: Int, known: Bool) {
        let json =
            #"{"version":\#(version),"id":"\#(someDigest(1))","#
            + #""chunker_polynomial":"25b468838dcb75","new":1}"#
        #expect(((try? RepositoryConfig.decode(Array(json.utf8))) != nil) == known)
    }
}

@Suite struct UnpackedFileTests {
    let sealer = Sealer(key: .random())

    @Test(arguments: [2, 100, 300_000])
    func comesBack(count: Int) throws {
        let json = Array("{".utf8) + noise(count, seed: 3)
        let compressor = ZstdCompressor(level: 3)
        let sealed = UnpackedFile.seal(json.span, sealer: sealer, compressor: compressor)
        let plain = UnpackedFile.seal(plain: json.span, sealer: sealer)
        for (id, bytes) in [sealed, plain] {
            #expect(try UnpackedFile.open(bytes.span, expected: id, sealer: sealer) == json)
            #expect(try UnpackedFile.open(bytes.span, expected: nil, sealer: sealer) == json)
            #expect(throws: Failure.self) {
                try UnpackedFile.open(bytes.span, expected: someDigest(1), sealer: sealer)
            }
            #expect(throws: Failure.self, "more than the limit") {
                try UnpackedFile.open(bytes.span, expected: id, sealer: sealer, limit: count)
            }
            #expect(throws: Failure.self, "cut off") {
                try UnpackedFile.open(
                    bytes.span.extracting(0..<(bytes.count - 1)), expected: nil, sealer: sealer)
            }
        }
    }

    @Test func refusesUnknownFormsAndCutFrames() {
        var frame: [UInt8] = [2]
        ZstdCompressor(level: 1).compress(noise(1000, seed: 1).span, into: &frame)
        for plain in [[], [1, 2], [3], Array("x".utf8), Array(frame.dropLast()), [2]] {
            let (id, bytes) = UnpackedFile.seal(plain: plain.span, sealer: sealer)
            #expect(throws: Failure.self, "\(plain.prefix(4))") {
                let json = try UnpackedFile.open(bytes.span, expected: id, sealer: sealer)
                if json.isEmpty { throw Failure(.store, "nothing") }
            }
        }
    }

    @Test func streamsCompressAndDecompress() throws {
        let plain = noise(400_000, seed: 8) + [UInt8](repeating: 7, count: 3_000_000)
        let compressor = ZstdStreamCompressor(level: 3)
        let decompressor = ZstdStreamDecompressor()
        for _ in 0..<2 {
            var stored: [UInt8] = []
            for start in stride(from: 0, to: plain.count, by: 99_999) {
                let part = start..<min(start + 99_999, plain.count)
                compressor.update(plain.span.extracting(part), into: &stored)
            }
            compressor.finish(into: &stored)
            #expect(stored.count < 500_000)
            var output: [UInt8] = []
            for start in stride(from: 0, to: stored.count, by: 1001) {
                let part = start..<min(start + 1001, stored.count)
                try decompressor.update(
                    stored.span.extracting(part), into: &output, limit: plain.count)
            }
            try decompressor.finish()
            #expect(output == plain)
            #expect(throws: Failure.self) {
                try decompressor.update(stored.span, limit: plain.count - 1) { _ in }
            }
            decompressor.reset()
            try decompressor.update(stored.span.extracting(0..<1000), limit: plain.count) { _ in }
            #expect(throws: Failure.self) { try decompressor.finish() }
        }
    }
}
