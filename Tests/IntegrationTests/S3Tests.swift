import Foundation
import Platform
import TestSupport
import Testing

/// The whole program on a store in a bucket.
@Suite(.enabled(if: S3Server.isThere), .temporaryFolder) struct S3Tests {
    /// A fleet of one module of small files, whose store is on `server`.
    func scene(
        _ server: S3Server? = S3Server.shared, files: Int = 510, settings: String = "",
        large: Int = 0
    ) throws -> Scene {
        let there = try #require(server)
        return try Scene(server: there, settings: settings) { corpus, path in
            try corpus.small("\(path)/small", count: files)
            if large > 0 { try corpus.large("\(path)/large", count: large, size: 12 << 20) }
        }
    }

    func proxy(_ server: S3Server? = S3Server.shared) throws -> (CuttingProxy, S3Server) {
        var server = try #require(server)
        let port = try #require(server.endpoint.split(separator: ":").last.flatMap { Int($0) })
        let proxy = try CuttingProxy(to: port)
        server.endpoint = "http://127.0.0.1:\(proxy.port)"
        return (proxy, server)
    }

    @Test func resticReadsTheBucket() throws { try expectInterchange(S3Server.shared) }

    /// Each server has its own understanding of S3.
    @Test(.enabled(if: RcloneS3Server.isThere)) func anotherServerServes() throws {
        let there = try RcloneS3Server()
        let scene = try expectInterchange(there.server)
        try scene.fleet.cistern("gc", "--grace", "0s", "--max-unused", "0")
        try scene.fleet.judge()
        func content() throws -> [String] {
            try FileManager.default.subpathsOfDirectory(atPath: there.folder("served/tests"))
                .filter { name in
                    ["/snapshots/", "/index/", "/data/"].contains { name.contains($0) }
                        && (name as NSString).lastPathComponent.count == 64
                }
        }
        #expect(try !content().isEmpty)
        let result = try scene.fleet.cistern("obliterate", "data", "--yes")
        #expect(result.text.contains("has no list of versions"), "\(result)")
        #expect(result.text.contains("nothing is left that is listed"), "\(result)")
        #expect(try content() == [])
        withExtendedLifetime(there) {}
    }

    @discardableResult
    private func expectInterchange(_ server: S3Server?) throws -> Scene {
        let scene = try scene(server, files: 2000, large: 2)
        try scene.fleet.cistern("run", "nightly")
        #expect(try scene.roundTrip() == [])
        var corpus = Corpus(seed: 3)
        _ = try corpus.churn(scene.module + "/small")
        try scene.fleet.cistern("run", "verify")
        try scene.fleet.judge()
        for restic in Restic.all {
            let target = try folder()("restored-\(restic.version)")
            try scene.fleet.restic(restic, "restore", "latest", "--target", target)
            #expect(
                try TreeComparison.differences(scene.module, target + "/data") == [],
                "\(restic)")
        }
        return scene
    }

    @Test func aBucketOfResticsIsUsed() throws {
        let scene = try scene(files: 300, large: 1)
        let restic = try #require(Restic.all.last)
        try "secret\n".write(
            toFile: scene.fleet.passwordFile, atomically: true, encoding: .utf8)
        chmod(scene.fleet.passwordFile, 0o600)
        try scene.fleet.restic(restic, "init")
        try scene.fleet.restic(restic, "backup", scene.module)
        try scene.fleet.cistern("store", "check", "--read-data")
        try scene.fleet.cistern("dehydrate", "data")
        #expect(try scene.roundTrip() == [])
        try scene.fleet.judge()
        #expect(try scene.fleet.snapshots(restic).count == 2)
    }

    /// What a night costs where each request is paid for.
    @Test func requestsAreFew() throws {
        let (proxy, server) = try proxy()
        let scene = try scene(server)
        try scene.fleet.cistern("store", "init")
        proxy.begin()
        let first = try scene.fleet.cistern("dehydrate", "data", "--json")
        #expect(proxy.requests.count <= 16 + proxy.refusals, "\(proxy.requests)")
        #expect(
            try JSON(first.output)["stats"]["requests"].integer == proxy.requests.count,
            "\(first) \(proxy.requests)")
        for _ in 0..<2 {
            proxy.begin()
            let again = try scene.fleet.cistern("dehydrate", "data", "--json")
            #expect(proxy.requests.count <= 6 + proxy.refusals, "\(proxy.requests)")
            #expect(try JSON(again.output)["stats"]["requests"].integer == proxy.requests.count)
        }
    }

    /// The connection ends at each request in turn: the run fails clearly or succeeds, and the
    /// next one ends well.
    @Test(arguments: CuttingProxy.Cut.allCases)
    func noCutDamagesTheStore(_ cut: CuttingProxy.Cut) throws {
        let (proxy, server) = try proxy()
        var number = 0
        while true {
            let scene = try Scene(server: server, name: "\(cut)-\(number)") { corpus, path in
                try corpus.small("\(path)/small", count: 40)
            }
            try scene.fleet.cistern("store", "init")
            proxy.begin(cutting: number, cut)
            let result = try scene.fleet.command(["dehydrate", "data"]).run()
            let wasCut = proxy.hasCut
            proxy.begin()
            if result.status != .exited(0) {
                #expect(result.status == .exited(1), "\(result)")
                #expect(result.errorText.contains("127.0.0.1"), "\(result)")
                try scene.fleet.cistern("dehydrate", "data")
            }
            #expect(try scene.roundTrip() == [], "\(cut) \(number)")
            let restic = try #require(Restic.all.last)
            let check = try scene.fleet.restic(restic, "check", "--read-data")
            #expect(check.text.contains("no errors were found"), "\(cut) \(number): \(check)")
            guard wasCut else { break }
            number += 1
        }
        #expect(number >= 10, "\(number)")
    }

    /// The server dies in the middle of an upload and comes back.
    @Test func aServerThatDiesAndComesBack() throws {
        let place = try folder()("server")
        let server = try S3Server.start(in: place)
        defer { try? S3Server.stop(in: place) }
        let scene = try Scene(server: server, settings: "limit_upload: 4M") { corpus, path in
            try corpus.large("\(path)/large", count: 3, size: 12 << 20)
        }
        try scene.fleet.cistern("store", "init")
        let running = try scene.fleet.command(["dehydrate", "data"]).start()
        let isUnderway = running.wait { _ in
            let log = (try? String(contentsOfFile: place + "/log/proxy", encoding: .utf8)) ?? ""
            return log.contains("PUT")
                || FileManager.default.subpaths(atPath: place + "/srv")?
                    .contains { $0.hasSuffix(".data") && $0.contains("objects") } == true
        }
        #expect(isUnderway)
        try S3Server.stop(in: place)
        _ = try S3Server.start(in: place)
        let result = try running.wait()
        if result.status != .exited(0) {
            #expect(result.status == .exited(1), "\(result)")
            try scene.fleet.cistern("dehydrate", "data")
        }
        #expect(try scene.roundTrip() == [])
        try scene.fleet.judge()
    }

    @Test func refusalsAreClear() throws {
        let scene = try scene(files: 10)
        try scene.fleet.cistern("run", "nightly")
        for (variables, words) in [
            (["AWS_SECRET_ACCESS_KEY": "wrong-one"], ["SignatureDoesNotMatch", "secret key"]),
            (["AWS_ACCESS_KEY_ID": "nobody"], ["403 "]),
            (
                [
                    "AWS_ACCESS_KEY_ID": scene.fleet.server?.readerKey ?? "",
                    "AWS_SECRET_ACCESS_KEY": scene.fleet.server?.readerSecret ?? "",
                ], ["AccessDenied"]
            ),
        ] {
            var command = scene.fleet.command(["dehydrate", "data"])
            command.environment.merge(variables) { $1 }
            let result = try command.run().expect(1)
            for word in words + ["(request "] {
                #expect(result.errorText.contains(word), "\(result)")
            }
            #expect(!result.errorText.contains("wrong-one"))
        }
    }

    /// A state that has a store does not make another one by itself.
    @Test func aBucketThatWasEmptiedIsNotFilledAnew() throws {
        let scene = try scene(files: 10)
        try scene.fleet.cistern("run", "nightly")
        let path = scene.fleet.folder + "/cistern.yaml"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let url = scene.fleet.store
        try text.replacingOccurrences(of: url, with: url + "-other")
            .write(toFile: path, atomically: true, encoding: .utf8)
        let result = try scene.fleet.command(["dehydrate", "data"]).run().expect(1)
        #expect(result.errorText.contains("no store"), "\(result)")
        try scene.fleet.cistern("store", "init")
        try scene.fleet.cistern("dehydrate", "data")
        #expect(try scene.roundTrip() == [])
    }
}
