import ContentStore
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// A store whose making was cut off: the next attempt finishes it.
@Suite struct CreationTests {
    private func create(_ backend: any Backend, password: [UInt8] = StoreBench.password) throws {
        try Store.create(on: backend, password: password, cost: KeyFile.Cost(n: 2, r: 1, p: 1))
    }

    /// A backend with a key and without a configuration.
    private func halfMade() throws -> HookedBackend {
        let backend = HookedBackend()
        backend.set { hooks in
            hooks.beforePut = { key throws(BackendError) in
                if key == .config { throw .temporary(key, cause: "it was to fail") }
            }
        }
        #expect(throws: Failure.self) { try create(backend) }
        backend.set { $0.beforePut = nil }
        #expect(try !Store.exists(backend))
        return backend
    }

    /// Of two keys for one password only one would fit the configuration, and which of them is
    /// tried first is chance: so there must be one.
    @Test func theKeyOfAnAttemptThatWasCutOffIsUsed() throws {
        let backend = try halfMade()
        try create(backend)
        #expect(backend.base.objects.keys.filter { $0.kind == .key }.count == 1)
        let folder = try TemporaryFolder("creation")
        let store = try StoreBench.open(backend, state: folder("state"))
        #expect(try store.index.counts().blobs == 0)
    }

    /// A store whose configuration is lost is no place for a new one, whatever is left of it.
    @Test(arguments: [ObjectKind.snapshot, .index, .pack], [false, true])
    func nothingIsMadeOverContent(kind: ObjectKind, hasKey: Bool) throws {
        let backend = hasKey ? try halfMade() : HookedBackend()
        let bytes: [UInt8] = [1, 2, 3]
        try backend.put(ObjectKey(kind, SHA256Hasher.hash(bytes.span)), bytes.span)
        let before = backend.base.objects
        let failure = #expect(throws: Failure.self) { try create(backend) }
        #expect(failure?.kind == .store)
        #expect(failure?.hint?.contains("--repair") == true)
        #expect(backend.base.objects == before)
    }

    /// A place that answered "not there" to everything for a moment, and has a store.
    @Test func nothingIsMadeOverAStoreThatWasNotSeen() throws {
        let place = Blinking()
        try create(place)
        let before = place.base.objects
        place.blind.with { $0 = true }
        let failure = #expect(throws: Failure.self) { try create(place) }
        #expect(failure?.kind == .temporary, "\(String(describing: failure))")
        for (key, bytes) in before { #expect(place.base.objects[key] == bytes, "\(key)") }
        place.blind.with { $0 = false }
        let folder = try TemporaryFolder("creation")
        _ = try StoreBench.open(place, state: folder("state"))
    }

    /// Sees nothing until something is written.
    private final class Blinking: ForwardingBackend {
        let base = MemoryBackend()
        let blind = Monitor(false)

        func size(_ key: ObjectKey) throws(BackendError) -> UInt64? {
            blind.with { $0 } ? nil : try base.size(key)
        }

        func list(
            _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
        ) throws(BackendError) {
            if !blind.with({ $0 }) { try base.list(kind, each) }
        }

        func willCall(_ call: BackendCall, _ key: ObjectKey?) throws(BackendError) {
            if call == .put { blind.with { $0 = false } }
        }
    }

    /// Whoever has another password made this: it is not ours to finish.
    @Test func aKeyForAnotherPasswordIsLeftAlone() throws {
        let backend = try halfMade()
        let before = backend.base.objects
        let failure = #expect(throws: Failure.self) {
            try create(backend, password: Array("another".utf8))
        }
        #expect(failure?.kind == .usage)
        #expect(backend.base.objects == before)
    }
}
