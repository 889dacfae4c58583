import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// A directory for one test, removed at its end.
final class ScratchFolder {
    let path: String
    /// What has to live as long as the folder.
    var keeps: [AnyObject] = []

    init() throws {
        path = NSTemporaryDirectory() + "cistern-store-" + UUID().uuidString
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// The implementations that every test of the suite runs on.
enum BackendImplementation: String, CaseIterable, Sendable {
    case file, memory, s3, rest

    /// Those that this machine can run.
    static let allCases: [BackendImplementation] =
        [.file, .memory] + (S3Server.isThere ? [.s3] : [])
        + (RcloneServer.isThere ? [.rest] : [])

    func make(in folder: ScratchFolder) throws -> any Backend {
        switch self {
        case .file: return try FileBackend(path: folder.path + "/store", create: true)
        case .memory: return MemoryBackend()
        // A real server may ask for less at a time.
        case .s3: return RetryingBackend(try S3Bench().backend)
        case .rest:
            let server = try RcloneServer()
            folder.keeps.append(server)
            return RetryingBackend(try server.backend())
        }
    }

    /// Whether an object stays whole for its readers while it is put again.
    ///
    /// Debian's rclone writes in place: who reads meanwhile may find the object cut off. That is
    /// rare under a store, whose packs are each written once: two hosts that mirror to one place, or
    /// a put that is repeated while the server is still at the first.
    var writesWhole: Bool { self != .rest }

    /// Puts other bytes in the place of an object's, as rot or a foreign hand does.
    func damage(_ backend: any Backend, _ key: ObjectKey, _ bytes: [UInt8]) throws {
        switch self {
        case .file, .memory, .rest: try backend.put(key, bytes.span)
        // Under its name a server does not take other bytes.
        case .s3:
            let repeated = backend as? RetryingBackend
            try S3Bench(repeated?.base as? S3Backend).putRaw(key.path, bytes)
        }
    }
}

/// What every backend has to do, whatever it keeps its objects in.
@Suite struct BackendConformance {
    static let hashed = ObjectKind.allCases.filter { $0 != .config }

    func key(_ kind: ObjectKind, _ bytes: [UInt8]) -> ObjectKey {
        ObjectKey(kind, SHA256Hasher.hash(bytes.span))
    }

    func list(_ backend: any Backend, _ kind: ObjectKind) throws -> [Digest: UInt64] {
        var found: [Digest: UInt64] = [:]
        try backend.list(kind) { id, size in
            #expect(found[id] == nil, "an object is listed once")
            found[id] = size
        }
        return found
    }

    @Test(arguments: BackendImplementation.allCases, hashed)
    func objectsComeBack(_ kind: BackendImplementation, _ object: ObjectKind) throws {
        let folder = try ScratchFolder()
        let backend = try kind.make(in: folder)
        #expect(try list(backend, object).isEmpty)
        var expected: [Digest: UInt64] = [:]
        for count in [0, 1, 5000, 70_000] {
            let bytes = noise(count, seed: UInt64(count + 1))
            let key = key(object, bytes)
            #expect(try backend.size(key) == nil)
            #expect(throws: BackendError.missing(key)) { try backend.get(key, limit: 10) }
            var output: [UInt8] = []
            #expect(throws: BackendError.missing(key)) {
                try backend.read(key, 0..<1, into: &output)
            }
            try backend.put(key, bytes.span)
            try backend.put(key, bytes.span)
            #expect(try backend.get(key, limit: count) == bytes)
            #expect(try backend.size(key) == UInt64(count))
            expected[try #require(key.id)] = UInt64(count)
        }
        #expect(try list(backend, object) == expected)
        for other in Self.hashed where other != object {
            #expect(try list(backend, other).isEmpty)
        }
    }

    @Test(arguments: BackendImplementation.allCases)
    func rangesAreReadWholeOrNotAtAll(_ kind: BackendImplementation) throws {
        let folder = try ScratchFolder()
        let backend = try kind.make(in: folder)
        let bytes = noise(10_000, seed: 2)
        let key = key(.pack, bytes)
        try backend.put(key, bytes.span)
        for range in [0..<1, 0..<10_000, 9999..<10_000, 77..<5000, 10..<10] {
            var output: [UInt8] = [7]
            try backend.read(
                key, UInt64(range.lowerBound)..<UInt64(range.upperBound), into: &output)
            #expect(output == [7] + bytes[range])
        }
        for range: Range<UInt64> in [9999..<10_001, 10_000..<10_001, 20_000..<20_002] {
            var output: [UInt8] = [7]
            #expect(throws: BackendError.self) { try backend.read(key, range, into: &output) }
            #expect(output == [7])
        }
        #expect(throws: BackendError.self) { try backend.get(key, limit: 9999) }
    }

    @Test(arguments: BackendImplementation.allCases)
    func removedObjectsAreGone(_ kind: BackendImplementation) throws {
        let folder = try ScratchFolder()
        let backend = try kind.make(in: folder)
        for object in Self.hashed {
            let bytes = noise(100, seed: 9)
            let key = key(object, bytes)
            try backend.remove(key)
            try backend.put(key, bytes.span)
            var output: [UInt8] = []
            try backend.read(key, 0..<10, into: &output)
            try backend.remove(key)
            try backend.remove(key)
            #expect(try backend.size(key) == nil)
            #expect(throws: BackendError.missing(key)) {
                try backend.read(key, 0..<10, into: &output)
            }
            #expect(try list(backend, object).isEmpty)
        }
    }

    @Test(arguments: BackendImplementation.allCases)
    func aConfigIsNeverReplaced(_ kind: BackendImplementation) throws {
        let folder = try ScratchFolder()
        let backend = try kind.make(in: folder)
        try backend.put(.config, [1, 2].span)
        try backend.put(.config, [1, 2].span)
        #expect(throws: BackendError.exists(.config)) { try backend.put(.config, [3].span) }
        #expect(throws: BackendError.exists(.config)) { try backend.put(.config, [1, 2, 3].span) }
        #expect(try backend.get(.config, limit: 100) == [1, 2])
    }

    /// How a damaged object is mended, also when its old bytes have been read before.
    @Test(arguments: BackendImplementation.allCases)
    func otherObjectsAreReplaced(_ kind: BackendImplementation) throws {
        let folder = try ScratchFolder()
        let backend = try kind.make(in: folder)
        let good = noise(100, seed: 1)
        let key = key(.pack, good)
        try kind.damage(backend, key, [UInt8](repeating: 0, count: 100))
        var output: [UInt8] = []
        try backend.read(key, 0..<100, into: &output)
        try backend.put(key, good.span)
        output = []
        try backend.read(key, 0..<100, into: &output)
        #expect(output == good)
    }

    /// More objects than one page of a listing or one request to delete holds.
    @Test(arguments: BackendImplementation.allCases)
    func manyAreListedAndRemoved(_ kind: BackendImplementation) throws {
        let folder = try ScratchFolder()
        let backend = try kind.make(in: folder)
        let count = kind == .s3 ? 1050 : 2100
        var keys: [ObjectKey] = []
        for i in 0..<count {
            let bytes = Array("object \(i)".utf8)
            keys.append(key(.index, bytes))
            try backend.put(keys[i], bytes.span)
        }
        #expect(try list(backend, .index).count == count)
        try backend.remove(Array(keys.dropLast()) + [key(.index, [1])])
        #expect(try list(backend, .index).keys.map { $0 } == [try #require(keys.last?.id)])
        try backend.remove([])
        #expect(try backend.removeLeftovers(olderThan: SystemClock().now()) == 0)
    }

    /// A file's bytes arrive as memory's do, and the file stays where it is.
    @Test(arguments: BackendImplementation.allCases)
    func filesAreStored(_ kind: BackendImplementation) throws {
        let folder = try ScratchFolder()
        let backend = try kind.make(in: folder)
        for count in [0, 1, 300_000] {
            let bytes = noise(count, seed: UInt64(count + 5))
            let key = key(.pack, bytes)
            let file = try Descriptor.temporary(in: folder.path)
            try file.write((bytes + [1, 2, 3]).span)
            try backend.put(key, from: file, size: UInt64(count))
            #expect(try backend.get(key, limit: count) == bytes)
        }
    }

    @Test(arguments: BackendImplementation.allCases)
    func threadsShareIt(_ kind: BackendImplementation) throws {
        let folder = try ScratchFolder()
        let backend = try kind.make(in: folder)
        let wrong = Monitor<[String]>([])
        let shared = (0..<30).map { noise(500, seed: UInt64($0 + 1)) }
        let threads = (0..<4).map { thread in
            DedicatedThread(name: "test") {
                for i in 0..<30 {
                    let same = shared[i]
                    let own = noise(500, seed: UInt64(100 + 30 * thread + i))
                    let read = kind.writesWhole ? same : own
                    do {
                        try backend.put(key(.pack, same), same.span)
                        try backend.put(key(.pack, own), own.span)
                        var output: [UInt8] = []
                        try backend.read(key(.pack, read), 100..<500, into: &output)
                        if output != Array(read[100...]) {
                            wrong.with { $0.append("\(thread) \(i)") }
                        }
                    } catch {
                        wrong.with { $0.append("\(thread) \(i): \(error)") }
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(wrong.with { $0 } == [])
        #expect(try list(backend, .pack).count == 5 * 30)
        for bytes in shared {
            #expect(try backend.get(key(.pack, bytes), limit: 500) == bytes)
        }
    }
}
