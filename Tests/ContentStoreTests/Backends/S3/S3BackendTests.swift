import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// What a real server, which checks signatures, makes of the backend's requests.
@Suite(.enabled(if: S3Server.isThere)) struct S3BackendTests {
    func key(_ bytes: [UInt8]) -> ObjectKey { ObjectKey(.pack, SHA256Hasher.hash(bytes.span)) }

    /// The failure that a person sees.
    func failure(_ bench: S3Bench, _ body: (S3Backend) throws -> Void) throws -> Failure {
        let error = #expect(throws: BackendError.self) { try body(bench.backend) }
        return try #require(error).failure(at: bench.backend.location)
    }

    @Test func otherBytesAreNotTakenUnderAName() throws {
        let bench = try S3Bench()
        let key = key([1, 2, 3])
        #expect(throws: BackendError.self) { try bench.backend.put(key, [1, 2, 4].span) }
        #expect(try bench.backend.size(key) == nil)
    }

    @Test func aFileIsUploadedInParts() throws {
        let bench = try S3Bench {
            $0.s3.multipartThreshold = 1 << 20
            $0.s3.partSize = 5 << 20
        }
        let folder = try ScratchFolder()
        let bytes = noise(11 << 20, seed: 5)
        let file = try Descriptor.temporary(in: folder.path)
        try file.write(bytes.span)
        let key = key(bytes)
        try bench.backend.put(key, from: file, size: UInt64(bytes.count))
        // One to begin, three parts, one to complete.
        #expect(bench.backend.counters.totals.requests == ["POST": 2, "PUT": 3])
        #expect(try bench.backend.get(key, limit: bytes.count) == bytes)
        #expect(try bench.backend.size(key) == UInt64(bytes.count))
        var part: [UInt8] = []
        try bench.backend.read(key, UInt64(5 << 20) - 3..<UInt64(5 << 20) + 3, into: &part)
        #expect(part == Array(bytes[(5 << 20) - 3..<(5 << 20) + 3]))
        #expect(try bench.uploads() == [])
    }

    /// The file is not what its name says: nothing gets the name, no parts stay.
    @Test func anUploadThatFailsIsAborted() throws {
        let bench = try S3Bench { $0.s3.multipartThreshold = 100 }
        let folder = try ScratchFolder()
        let file = try Descriptor.temporary(in: folder.path)
        try file.write(noise(1000, seed: 1).span)
        let key = key([1])
        #expect(throws: BackendError.self) {
            try bench.backend.put(key, from: file, size: 1000)
        }
        #expect(try bench.backend.size(key) == nil)
        #expect(try bench.uploads() == [])
    }

    @Test func oldUploadsAreRemoved() throws {
        let bench = try S3Bench()
        let other = try S3Bench()
        let id = SHA256Hasher.hash([1].span).description
        for path in ["data/\(id.prefix(2))/\(id)", "index/\(id)", "somebody/elses"] {
            #expect(try bench.raw(.post, path, query: [("uploads", "")]).isSuccess)
        }
        #expect(try other.raw(.post, "index/\(id)", query: [("uploads", "")]).isSuccess)
        let now = SystemClock().now().seconds
        #expect(
            try bench.backend.removeLeftovers(olderThan: Timestamp(seconds: now - 3600)) == 0)
        #expect(try bench.uploads().count == 3)
        #expect(
            try bench.backend.removeLeftovers(olderThan: Timestamp(seconds: now + 3600)) == 2)
        #expect(try bench.uploads() == ["\(bench.location.prefix)/somebody/elses"])
        #expect(try other.uploads().count == 1)
    }

    @Test func foreignNamesArePassedOver() throws {
        let bench = try S3Bench()
        let id = SHA256Hasher.hash([1].span).description
        for path in [
            "data/00/\(id)", "data/\(id)", "data/README", "index/\(id)x", "index/a b&<c>+%41",
            "index/\(id)/\(id)",
        ] {
            try bench.putRaw(path, [1])
        }
        for kind in [ObjectKind.pack, .index] {
            try bench.backend.list(kind) { id, _ in Issue.record("listed \(kind) \(id)") }
        }
    }

    @Test func twoWhoMakeAStoreAtOnceDoNotReplaceEachOther() throws {
        let backend = RetryingBackend(try S3Bench().backend)
        let results = Monitor<[[UInt8]]>([])
        let errors = Monitor<[BackendError]>([])
        let threads = (0..<6).map { number in
            DedicatedThread(name: "test") {
                let bytes = [UInt8(number)]
                do throws(BackendError) {
                    try backend.put(.config, bytes.span)
                    results.with { $0.append(bytes) }
                } catch {
                    errors.with { $0.append(error) }
                }
            }
        }
        for thread in threads { thread.join() }
        let won = results.with { $0 }
        #expect(won.count == 1, "\(errors.with { $0 })")
        #expect(try backend.get(.config, limit: 10) == won.first)
    }

    // MARK: Refusals

    @Test func aWrongSecret() throws {
        let bench = try S3Bench(variables: ["AWS_SECRET_ACCESS_KEY": "wrong-secret"])
        for call in [
            { (b: S3Backend) in try b.put(key([1]), [1].span) },
            { b in _ = try b.get(.config, limit: 10) }, { b in _ = try b.size(.config) },
            { b in try b.list(.pack) { _, _ in } }, { b in try b.remove(key([1])) },
            { b in try b.remove([key([1]), key([2])]) },
            { b in _ = try b.removeLeftovers(olderThan: Timestamp(seconds: 0)) },
        ] as [(S3Backend) throws -> Void] {
            let failure = try failure(bench, call)
            #expect(failure.cause?.contains("403 SignatureDoesNotMatch") == true, "\(failure)")
            #expect(failure.cause?.contains("(request ") == true, "\(failure)")
            #expect(failure.hint?.contains("secret key") == true, "\(failure)")
            #expect(!failure.description.contains("wrong-secret"), "\(failure)")
            #expect(!failure.description.contains("Signature="), "\(failure)")
        }
    }

    @Test func anUnknownKey() throws {
        let bench = try S3Bench(variables: ["AWS_ACCESS_KEY_ID": "nobody"])
        let failure = try failure(bench) { try $0.list(.pack) { _, _ in } }
        // AWS has InvalidAccessKeyId for it.
        #expect(failure.cause?.contains("GET ?list-type: 403 ") == true, "\(failure)")
    }

    @Test func aKeyThatMayOnlyRead() throws {
        let server = try #require(S3Server.shared)
        let bench = try S3Bench(variables: [
            "AWS_ACCESS_KEY_ID": server.readerKey, "AWS_SECRET_ACCESS_KEY": server.readerSecret,
        ])
        let owner = try S3Bench(bench.backend)
        try owner.backend.put(key([1]), [1].span)
        #expect(try bench.backend.get(key([1]), limit: 1) == [1])
        #expect(try bench.backend.size(key([1])) == 1)
        for call in [
            { (b: S3Backend) in try b.put(key([1]), [1].span) },
            { b in try b.put(.config, [1].span) }, { b in try b.remove(key([1])) },
            { b in try b.remove([key([1]), key([2])]) },
        ] as [(S3Backend) throws -> Void] {
            let failure = try failure(bench, call)
            #expect(failure.cause?.contains("403 AccessDenied") == true, "\(failure)")
            #expect(failure.hint?.contains("access") == true, "\(failure)")
        }
        #expect(try bench.backend.get(key([1]), limit: 1) == [1])
    }

    @Test func aFullBucket() throws {
        var server = try #require(S3Server.shared)
        server.bucket = "full"
        let bench = try S3Bench(server: server)
        let bytes = noise(60_000, seed: 1)
        let failure = try failure(bench) { try $0.put(key(bytes), bytes.span) }
        #expect(failure.cause?.contains("quota") == true, "\(failure)")
        #expect(failure.hint?.contains("Free space") == true, "\(failure)")
        #expect(try bench.backend.size(key(bytes)) == nil)
    }

    @Test(arguments: [-3600 as Int64, 3600]) func aClockThatIsWrong(_ skew: Int64) throws {
        let clock = WoundClock("1970-01-01T00:00:00Z")
        clock.advance(SystemClock().now().seconds + skew)
        let bench = try S3Bench(clock: clock)
        let failure = try failure(bench) { try $0.put(key([1]), [1].span) }
        #expect(failure.cause?.contains("RequestTimeTooSkewed") == true, "\(failure)")
        #expect(failure.hint?.contains("clock") == true, "\(failure)")
    }

    @Test func aMissingBucket() throws {
        var server = try #require(S3Server.shared)
        server.bucket = "no-such-bucket"
        let bench = try S3Bench(server: server)
        for call in [
            { (b: S3Backend) in try b.put(key([1]), [1].span) },
            { b in try b.put(.config, [1].span) }, { b in try b.list(.pack) { _, _ in } },
            { b in _ = try b.get(key([1]), limit: 10) },
        ] as [(S3Backend) throws -> Void] {
            let failure = try failure(bench, call)
            #expect(failure.cause?.contains("404 NoSuchBucket") == true, "\(failure)")
            #expect(failure.hint?.contains("bucket") == true, "\(failure)")
        }
    }

    @Test func versionsAreListedAndRemoved() throws {
        var server = try #require(S3Server.shared)
        server.bucket = "versions-\(UUID().uuidString.lowercased())"
        let bench = try S3Bench(server: server)
        #expect(try bench.raw(.put, "").isSuccess)
        let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        #expect(
            try bench.raw(.put, "", query: [("versioning", "")], Array(on.utf8)).isSuccess)
        let backend = bench.backend
        let keys = (0..<3).map { key([UInt8($0)]) }
        for (i, key) in keys.enumerated() {
            try backend.put(key, [UInt8(i)].span)
            try backend.put(key, [UInt8(i)].span)
        }
        try backend.remove(keys[0])
        try backend.remove(keys)
        var found: [ObjectVersion] = []
        try backend.objectVersions(.pack) { found.append($0) }
        // What was written twice each, and the marks that it was removed.
        #expect(found.count >= 6 + 3)
        #expect(Set(found.map(\.key)) == Set(keys))
        try backend.list(.pack) { id, _ in Issue.record("listed \(id)") }
        try backend.removeObjectVersions(found)
        try backend.removeObjectVersions(found)
        try backend.objectVersions(.pack) { Issue.record("left: \($0)") }
    }
}
