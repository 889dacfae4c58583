import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

@Suite struct RESTLocationTests {
    private func parse(_ text: String, _ variables: [String: String] = [:]) throws -> RESTLocation {
        try RESTLocation.parse(text, variable: { variables[$0] })
    }

    @Test func formsOfTheURL() throws {
        let plain = try parse("http://host:8000/a/b")
        #expect(plain.url == "http://host:8000/a/b/" && plain.user == nil)
        #expect(try parse("https://host").url == "https://host/")
        let named = try parse("https://ann:p%40ss:w@host/x/")
        #expect(named.url == "https://host/x/")
        #expect(named.user == "ann" && named.password == "p@ss:w")
        #expect(!"\(named)".contains("ann") && !"\(named)".contains("ss"))
        let variables = ["RESTIC_REST_USERNAME": "bob", "RESTIC_REST_PASSWORD": "secret"]
        #expect(try parse("http://host/", variables).user == "bob")
        #expect(try parse("http://ann:x@host/", variables).password == "x")
    }

    @Test(
        arguments: [
            "host/x", "ftp://host/", "https:///x", "http://h/x?y", "http://u%zz:p@h/",
            "http://h/a b",
        ])
    func mistakesNeverShowTheURL(text: String) throws {
        let failure = try #require(throws: Failure.self) { try parse(text) }
        #expect(failure.kind == .usage)
        #expect(!failure.description.contains(text), "\(failure)")
    }
}

extension RcloneServer {
    /// A backend on a repository of its own.
    func backend(_ name: String = UUID().uuidString) throws -> RESTBackend {
        let place = try RESTLocation.parse(url + name, variable: { _ in nil })
        return RESTBackend(place, client: HTTPClient(HTTPOptions()))
    }
}

@Suite struct RESTBackendTests {
    private func key(_ kind: ObjectKind, _ bytes: [UInt8]) -> ObjectKey {
        ObjectKey(kind, SHA256Hasher.hash(bytes.span))
    }

    /// A server that has the config, and answers 404 to all else; to everything, once it is `away`.
    private func amnesiac(_ away: Monitor<Bool>) throws -> RESTBackend {
        let server = try LocalServer { request in
            guard request.path.hasSuffix("/config"), !away.with({ $0 }) else {
                return LocalServer.Answer(404)
            }
            return LocalServer.Answer(200, request.method == "HEAD" ? "" : "sealed")
        }
        let place = try RESTLocation.parse(server.url + "/repo", variable: { _ in nil })
        return RESTBackend(place, client: HTTPClient(HTTPOptions()))
    }

    /// rclone answers 404 to every failure: a place whose config was there is away then.
    @Test(arguments: [false, true]) func notThereIsBelievedBesideTheConfig(isAway: Bool) throws {
        let away = Monitor(false)
        let backend = try amnesiac(away)
        #expect(try backend.get(.config, limit: 100) == Array("sealed".utf8))
        away.with { $0 = isAway }
        let key = key(.snapshot, [1])
        var listed = 0
        let calls: [() throws -> Void] = [
            { try backend.list(.snapshot) { _, _ in listed += 1 } },
            {
                let size = try backend.size(key)
                #expect(size == nil)
            },
            { try backend.remove(key) },
            {
                do throws(BackendError) {
                    _ = try backend.get(key, limit: 10)
                } catch {
                    guard case .missing = error else { throw error }
                }
            },
        ]
        for (number, call) in calls.enumerated() {
            let result = Result { try call() }
            guard isAway else {
                #expect(throws: Never.self, "call \(number)") { try result.get() }
                continue
            }
            guard case .failure(let error) = result,
                case .temporary? = error as? BackendError
            else {
                Issue.record("call \(number): \(result)")
                continue
            }
        }
        #expect(listed == 0)
        // There is no store without keys.
        let error = #expect(throws: BackendError.self) { try backend.list(.key) { _, _ in } }
        guard case .temporary = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    /// A server that only appends takes new objects, takes the same once more, lets locks go, and
    /// refuses the rest.
    @Test(.enabled(if: RcloneServer.isThere)) func aServerThatOnlyAppends() throws {
        let server = try RcloneServer(["--append-only"])
        let backend = try server.backend("repo")
        let pack = noise(5000, seed: 1)
        let key = key(.pack, pack)
        try backend.put(key, pack.span)
        try backend.put(key, pack.span)
        let error = #expect(throws: BackendError.self) { try backend.remove(key) }
        guard case .refused(key, let cause, let hint) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(cause.contains("DELETE data/") && cause.contains("403") && hint != nil)
        #expect(try backend.get(key, limit: 5000) == pack)
        let lock = self.key(.lock, pack)
        try backend.put(lock, pack.span)
        try backend.remove(lock)
        #expect(try backend.size(lock) == nil)
        // A damaged object cannot be mended there.
        let path = "\(server.served("repo"))/\(key.path)"
        try Data(count: 5000).write(to: URL(fileURLWithPath: path))
        #expect(throws: BackendError.self) { try backend.put(key, pack.span) }
    }

    @Test(.enabled(if: RcloneServer.isThere)) func aWholeStore() throws {
        let server = try RcloneServer(["--append-only"])
        let backend = RetryingBackend(try server.backend("repo"))
        let bench = try StoreBench(backend)
        let lock = try bench.store.lock(session: StoreSession.newName())
        for number in 0..<3 {
            try bench.store.keep(
                snapshotOf: (1...4).map { noise(9000, seed: UInt64(number * 10 + $0)) },
                number: number)
        }
        try lock.refresh()
        try lock.release()
        #expect(try bench.stranger().readSnapshots() == 3)
        var locks = 0
        try backend.list(.lock) { _, _ in locks += 1 }
        #expect(locks == 0)
        // restic reads the same over the same protocol.
        guard let restic = Restic.installed else { return }
        let password = bench.folder("password")
        try Data(StoreBench.password).write(to: URL(fileURLWithPath: password))
        let listed = try restic.command(
            ["snapshots", "--json"], store: "rest:\(server.url)repo/", passwordFile: password
        ).run().expect()
        #expect(try JSON(listed.output).array.count == 3)
    }

    @Test(.enabled(if: RcloneServer.isThere)) func credentials() throws {
        let server = try RcloneServer(["--user", "ann", "--pass", "secret"])
        func backend(_ user: String?) throws -> RESTBackend {
            var place = try RESTLocation.parse(server.url + "repo", variable: { _ in nil })
            place.user = user
            place.password = user.map { _ in "secret" }
            return RESTBackend(place, client: HTTPClient(HTTPOptions()))
        }
        try backend("ann").put(.config, [1].span)
        for user in [nil, "bob"] {
            let refused = try backend(user)
            let error = try #require(throws: BackendError.self) {
                try refused.get(.config, limit: 9)
            }
            let failure = error.failure(at: refused.location)
            #expect(failure.description.contains("401"), "\(failure)")
            #expect(failure.hint?.contains("RESTIC_REST_PASSWORD") == true)
            #expect(!failure.description.contains("secret"))
        }
    }

    @Test func nobodyThere() throws {
        let place = try RESTLocation.parse("http://127.0.0.1:1/", variable: { _ in nil })
        let backend = RESTBackend(place, client: HTTPClient(HTTPOptions()))
        let error = #expect(throws: BackendError.self) { try backend.size(.config) }
        guard case .temporary = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    /// A place that lets no lock go: it stays, is told of, and is no failure.
    @Test func locksThatMayNotBeRemoved() throws {
        let backend = Keeping()
        let told = Monitor<[String]>([])
        let folder = try TemporaryFolder("keeping")
        try Store.create(
            on: backend, password: StoreBench.password, cost: KeyFile.Cost(n: 2, r: 1, p: 1))
        let store = try Store(
            backend: backend, password: StoreBench.password, stateDirectory: folder("state"),
            fallbacks: ReadFallbacks(tell: { line in told.with { $0.append(line) } }))
        let lock = try store.lock(session: StoreSession.newName())
        try lock.refresh()
        try lock.release()
        #expect(told.with { $0.count } == 2)
        #expect(told.with { $0[0] }.contains("stays"))
        #expect(try store.index.abandonedLocks().isEmpty)
        try store.lock(session: StoreSession.newName()).release()
        let exclusive = try? store.lock(session: StoreSession.newName(), exclusive: true)
        #expect(exclusive == nil, "those that stay are in its way")
    }

    /// A memory that refuses to remove.
    private final class Keeping: ForwardingBackend {
        let base = MemoryBackend()
        var location: String { "memory:keeping" }

        func willCall(_ call: BackendCall, _ key: ObjectKey?) throws(BackendError) {
            if call == .remove { throw .refused(key, cause: "DELETE: 403") }
        }
    }
}
