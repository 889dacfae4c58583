import ContentStore
import Platform
import StoreTestSupport
import Testing

/// A world without time: pauses are noted and take none.
final class RetryWorld: Sendable {
    struct State {
        var now = 0.0
        var pauses: [Double] = []
        var isStopping = false
    }

    let state = Monitor(State())

    var surroundings: RetrySurroundings {
        RetrySurroundings(
            now: { self.state.with { $0.now } }, random: { 0.5 },
            isStopping: { self.state.with { $0.isStopping } },
            pause: { seconds in
                self.state.with { state in
                    state.pauses.append(seconds)
                    state.now += seconds
                }
            })
    }

    var pauses: [Double] { state.with { $0.pauses } }

    func advance(_ seconds: Double) { state.with { $0.now += seconds } }
}

@Suite struct RetryingBackendTests {
    let world = RetryWorld()

    private func wrap(_ base: any Backend, _ policy: BackendRetryPolicy = .init())
        -> RetryingBackend
    {
        RetryingBackend(base, policy: policy, surroundings: world.surroundings)
    }

    private func key(_ kind: ObjectKind, _ bytes: [UInt8]) -> ObjectKey {
        ObjectKey(kind, SHA256Hasher.hash(bytes.span))
    }

    @Test func waitsGrowAndAreBounded() {
        let policy = BackendRetryPolicy()
        #expect((1...4).map { policy.delay(attempts: $0, random: 0.5) } == [0.25, 0.5, 1, 2])
        #expect(policy.delay(attempts: 1, random: 0) == 0.125)
        #expect(policy.delay(attempts: 50, random: 0.999) <= policy.maximumDelay)
        #expect(policy.decide(attempts: 8, elapsed: 0, random: 0) == .fail)
        #expect(policy.decide(attempts: 7, elapsed: 119, random: 0.5) == .fail)
        #expect(
            policy.decide(attempts: 7, elapsed: 0, random: 0.5) == .retry(afterSeconds: 16))
    }

    /// Each call is made again, with a wait that doubles, and does what it was to do.
    @Test(arguments: BackendCall.allCases)
    func everyCallIsMadeAgain(call: BackendCall) throws {
        let bytes: [UInt8] = [1, 2, 3]
        let key = key(.pack, bytes)
        let memory = MemoryBackend()
        if call != .put { try memory.put(key, bytes.span) }
        let first = memory.counts.values.reduce(0, +)
        memory.setPlan(FaultPlan { _, number in number < first + 3 ? .temporary : nil })
        let backend = wrap(memory)
        switch call {
        case .put: try backend.put(key, bytes.span)
        case .get: #expect(try backend.get(key, limit: 3) == bytes)
        case .read:
            var output: [UInt8] = [9]
            try backend.read(key, 1..<3, into: &output)
            #expect(output == [9, 2, 3])
        case .size: #expect(try backend.size(key) == 3)
        case .list:
            var listed: [Digest] = []
            try backend.list(.pack) { id, _ in listed.append(id) }
            #expect(listed == [key.id])
        case .remove: try backend.remove(key)
        }
        #expect((memory.objects[key] != nil) == (call != .remove))
        #expect(world.pauses == [0.25, 0.5, 1])
        #expect(backend.retries == 3)
    }

    @Test func theLastErrorTellsHowOftenItWasTried() throws {
        let memory = MemoryBackend(plan: FaultPlan { _, _ in .temporary })
        let backend = wrap(memory)
        let error = #expect(throws: BackendError.self) { try backend.size(.config) }
        #expect(memory.counts[.size] == 8)
        guard case .temporary(_, let cause) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(cause.contains("tried 8 times in 32 s"), "\(cause)")
    }

    /// While a place is away the next calls do not wait for it all over again.
    @Test func afterAFailureOthersAreTriedOnceForAWhile() throws {
        let memory = MemoryBackend(plan: FaultPlan { _, _ in .temporary })
        let backend = wrap(memory)
        #expect(throws: BackendError.self) { try backend.size(.config) }
        let count = world.pauses.count
        #expect(throws: BackendError.self) { try backend.size(.config) }
        #expect(world.pauses.count == count)
        world.advance(31)
        #expect(throws: BackendError.self) { try backend.size(.config) }
        #expect(world.pauses.count > count)
        memory.setPlan(.none)
        #expect(try backend.size(.config) == nil)
        let calm = world.pauses.count
        memory.setPlan(FaultPlan { _, number in number == 18 ? .temporary : nil })
        _ = try? backend.size(.config)
        _ = try? backend.size(.config)
        #expect(world.pauses.count == calm + 1, "it counts as there again")
    }

    @Test func aStopEndsTheTries() throws {
        let memory = MemoryBackend(plan: FaultPlan { _, _ in .temporary })
        world.state.with { $0.isStopping = true }
        #expect(throws: BackendError.self) { try wrap(memory).size(.config) }
        #expect(memory.counts[.size] == 1 && world.pauses.isEmpty)
    }

    @Test func whatAnotherTryDoesNotChangeIsNotTriedAgain() throws {
        let memory = MemoryBackend()
        let backend = wrap(memory)
        let key = key(.index, [1])
        #expect(throws: BackendError.missing(key)) { try backend.get(key, limit: 1) }
        try backend.put(.config, [1].span)
        #expect(throws: BackendError.exists(.config)) { try backend.put(.config, [2].span) }
        #expect(memory.counts == [.get: 1, .put: 2])
    }

    /// A transfer that was cut short, or spoiled on its way, is made once more.
    @Test(arguments: [BackendFault.truncatedRead, .wrongBytes])
    func spoiledTransfersAreReadAgain(fault: BackendFault) throws {
        let bytes: [UInt8] = [1, 2, 3, 4]
        let index = key(.index, bytes)
        let memory = MemoryBackend()
        try memory.put(index, bytes.span)
        memory.setPlan(FaultPlan { _, number in number == 1 ? fault : nil })
        #expect(try wrap(memory).get(index, limit: 4) == bytes)
        #expect(memory.counts[.get] == 2 && world.pauses.isEmpty)
        // What is damaged for good is given out, and its reader tells why it is.
        memory.setPlan(.none)
        memory.damage(index, [1, 2, 3])
        #expect(try wrap(memory).get(index, limit: 4) == [1, 2, 3])
        var output: [UInt8] = []
        #expect(throws: BackendError.self) { try wrap(memory).read(index, 0..<4, into: &output) }
        #expect(memory.counts[.read] == 2)
    }

    @Test func aListingThatBreaksIsGivenOutOnce() throws {
        let base = BreakingList()
        var listed: [Digest] = []
        try wrap(base).list(.pack) { id, _ in listed.append(id) }
        #expect(listed.count == 2 && Set(listed).count == 2)
    }

    /// Gives one object and breaks, and gives two the next time.
    private final class BreakingList: ForwardingBackend {
        let calls = Monitor(0)
        let base = MemoryBackend()

        func list(
            _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
        ) throws(BackendError) {
            let call = calls.with { count in
                count += 1
                return count
            }
            try each(SHA256Hasher.hash([1].span), 1)
            if call == 1 { throw .temporary(nil, cause: "cut") }
            try each(SHA256Hasher.hash([2].span), 1)
        }
    }
}
