import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// Connections that end at each request, in four ways, between the backend and a real server.
@Suite(.enabled(if: S3Server.isThere)) struct S3CutTests {
    /// A server that is reached through `proxy`.
    func through(_ proxy: CuttingProxy) throws -> S3Server {
        var server = try #require(S3Server.shared)
        server.endpoint = "http://127.0.0.1:\(proxy.port)"
        return server
    }

    func proxy() throws -> CuttingProxy {
        let server = try #require(S3Server.shared)
        let port = try #require(server.endpoint.split(separator: ":").last.flatMap { Int($0) })
        return try CuttingProxy(to: port)
    }

    /// Does `body` until it is done; what failed must be something that may pass.
    func persisting(_ body: () throws -> Void) throws -> Int {
        for attempt in 1...5 {
            do {
                try body()
                return attempt
            } catch let error as BackendError {
                guard case .temporary = error else { throw error }
            }
        }
        throw TestError("it never ends")
    }

    @Test(arguments: CuttingProxy.Cut.allCases)
    func whateverIsCutItEndsWell(_ cut: CuttingProxy.Cut) throws {
        let proxy = try proxy()
        let server = try through(proxy)
        let folder = try ScratchFolder()
        let small = noise(3000, seed: 7)
        let large = noise(6 << 20, seed: 8)
        let file = try Descriptor.temporary(in: folder.path)
        try file.write(large.span)
        var number = 0
        while true {
            let bench = try S3Bench(server: server) {
                $0.s3.multipartThreshold = 1 << 20
                $0.s3.partSize = 5 << 20
                $0.http.stallSeconds = 10
            }
            let backend = bench.backend
            let smallKey = ObjectKey(.index, SHA256Hasher.hash(small.span))
            let largeKey = ObjectKey(.pack, SHA256Hasher.hash(large.span))
            proxy.begin(cutting: number, cut)
            _ = try persisting { try backend.put(.config, [1, 2, 3].span) }
            _ = try persisting { try backend.put(smallKey, small.span) }
            _ = try persisting {
                try backend.put(largeKey, from: file, size: UInt64(large.count))
            }
            _ = try persisting {
                let size = try backend.size(smallKey)
                #expect(size == 3000)
            }
            _ = try persisting {
                let bytes = try backend.get(smallKey, limit: 3000)
                #expect(bytes == small)
            }
            _ = try persisting {
                var part: [UInt8] = []
                try backend.read(largeKey, 5_000_000..<6_000_000, into: &part)
                #expect(part == Array(large[5_000_000..<6_000_000]))
            }
            _ = try persisting {
                var found: [Digest] = []
                try backend.list(.pack) { id, _ in found.append(id) }
                #expect(found == [largeKey.id])
            }
            _ = try persisting { try backend.remove(smallKey) }
            let wasCut = proxy.hasCut
            proxy.begin()
            #expect(try backend.get(.config, limit: 10) == [1, 2, 3])
            #expect(try backend.get(largeKey, limit: large.count) == large)
            #expect(try backend.size(smallKey) == nil)
            _ = try backend.removeLeftovers(
                olderThan: Timestamp(seconds: SystemClock().now().seconds + 3600))
            #expect(try S3Bench(backend).uploads() == [], "\(cut) \(number)")
            try backend.remove([.config, largeKey])
            guard wasCut else { break }
            number += 1
        }
        // Without a cut it takes this many.
        #expect(number >= 13, "\(number)")
    }
}

/// kill -9 at each step of an upload in parts.
@Suite(.enabled(if: S3Server.isThere)) struct S3KillTests {
    @Test(arguments: [
        "s3-upload-begun:1", "s3-part-put:1", "s3-part-put:2", "s3-upload-completed:1",
    ])
    func nothingStaysThatIsNotRemoved(_ point: String) async throws {
        let bench = try S3Bench()
        let url = bench.backend.location
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [point = point as String, url = url as String] in
            setenv("CISTERN_CRASH_AT", point, 1)
            guard case .s3(let location) = try BackendURL.parse(url, in: "/") else { return }
            var options = BackendOptions()
            options.s3.multipartThreshold = 1 << 20
            options.s3.partSize = 5 << 20
            let environment = S3Server.shared?.variables ?? [:]
            let backend = S3Backend(
                location, options,
                credentials: S3CredentialSource(profile: nil) { environment[$0] })
            let bytes = noise(6 << 20, seed: 3)
            let file = try Descriptor.temporary(in: NSTemporaryDirectory())
            try file.write(bytes.span)
            try backend.put(
                ObjectKey(.pack, SHA256Hasher.hash(bytes.span)), from: file,
                size: UInt64(bytes.count))
        }
        let bytes = noise(6 << 20, seed: 3)
        let key = ObjectKey(.pack, SHA256Hasher.hash(bytes.span))
        let isWhole = point.hasPrefix("s3-upload-completed")
        #expect(try bench.backend.size(key) == (isWhole ? 6 << 20 : nil))
        #expect(try bench.uploads().count == (isWhole ? 0 : 1))
        let later = Timestamp(seconds: SystemClock().now().seconds + 3600)
        #expect(try bench.backend.removeLeftovers(olderThan: later) == (isWhole ? 0 : 1))
        #expect(try bench.uploads() == [])
        #expect(try bench.backend.size(key) == (isWhole ? 6 << 20 : nil))
    }
}
