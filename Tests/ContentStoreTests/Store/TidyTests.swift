import ContentStore
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// Half-written files of killed writers are looked for once a day, and young ones are left alone.
@Suite struct TidyTests {
    @Test func onceADay() throws {
        let backend = HookedBackend()
        let bench = try StoreBench(backend)
        let clock = SetClock()
        let day: Int64 = 86400
        let store = try Store(
            backend: backend, password: StoreBench.password, stateDirectory: bench.folder("tidy"),
            clock: clock)
        try store.tidy()
        try store.tidy()
        let start = clock.now().seconds
        #expect(backend.cleaned.with { $0 } == [Timestamp(seconds: start - day)])
        clock.advance(day - 1)
        try store.tidy()
        #expect(backend.cleaned.with { $0.count } == 1)
        clock.advance(1)
        try store.tidy()
        #expect(backend.cleaned.with { $0.last } == Timestamp(seconds: start))
    }
}
