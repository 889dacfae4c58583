import ContentStore
import Foundation
import Platform
import StoreTestSupport
import Testing

/// A clock that a test sets.
final class SetClock: WallClock {
    private let time = Monitor(Timestamp(seconds: 1_700_000_000))
    func now() -> Timestamp { time.with { $0 } }
    func advance(_ seconds: Int64) { time.with { $0.seconds += seconds } }
}

@Suite struct LockFileTests {
    @Test func comesBack() throws {
        let lock = LockFile(
            time: Timestamp(seconds: 5), exclusive: true, hostname: "h", username: "u", pid: 7,
            uid: 8, gid: 9)
        #expect(try LockFile.decode(lock.encode()) == lock)
        #expect(lock.holder.contains("process 7") && lock.holder.contains("host h"))
    }

    @Test(arguments: [(0, false), (1799, false), (1800, false), (1801, true), (-500, false)])
    func goesStaleWithAge(age: Int64, stale: Bool) {
        let lock = LockFile(
            time: Timestamp(seconds: 1000), exclusive: false, hostname: "elsewhere", username: "",
            pid: 1)
        #expect(lock.isStale(now: Timestamp(seconds: 1000 + age)) == stale)
    }

    @Test func goesStaleWithItsProcess() {
        var lock = LockFile(
            time: Timestamp(seconds: 0), exclusive: false, hostname: ProcessIdentity.hostName,
            username: "", pid: ProcessIdentity.current.pid)
        #expect(!lock.isStale(now: lock.time))
        lock.pid = 99_999_999
        #expect(lock.isStale(now: lock.time))
        lock.hostname = "elsewhere"
        #expect(!lock.isStale(now: lock.time))
    }
}

@Suite struct RepositoryLockTests {
    let backend = MemoryBackend()
    let key = MasterKey.random()
    let clock = SetClock()
    let owner = LockOwner(username: "ann", uid: 1, gid: 2)
    /// The waits that were asked for.
    let waits = Monitor<[Double]>([])
    /// What the journal was told: an id is in it while its lock may be there.
    let journalled = Monitor<Set<Digest>>([])

    var journal: LockJournal {
        let journalled = self.journalled
        return LockJournal(
            isOurs: { id in journalled.with { $0.contains(id) } },
            willWrite: { id throws(Failure) in _ = journalled.with { $0.insert(id) } },
            didRemove: { id in _ = journalled.with { $0.remove(id) } })
    }

    func options(_ whileWaiting: @escaping @Sendable () -> Void = {}) -> LockOptions {
        let waits = self.waits
        var options = LockOptions()
        options.refreshInterval = 100_000
        options.clock = clock
        options.pause = { seconds in
            waits.with { $0.append(seconds) }
            whileWaiting()
        }
        return options
    }

    func take(
        exclusive: Bool = false, _ whileWaiting: @escaping @Sendable () -> Void = {}
    ) throws -> RepositoryLock {
        try RepositoryLock.take(
            backend, key: key, exclusive: exclusive, owner: owner, journal: journal,
            options: options(whileWaiting))
    }

    /// Puts a lock of another process and returns its id.
    @discardableResult
    func putOther(exclusive: Bool, host: String = "elsewhere", pid: Int32 = 4) throws -> Digest {
        let lock = LockFile(
            time: clock.now(), exclusive: exclusive, hostname: host, username: "bob", pid: pid)
        let json = lock.encode()
        let (id, bytes) = UnpackedFile.seal(plain: json.span, sealer: Sealer(key: key))
        try backend.put(ObjectKey(.lock, id), bytes.span)
        return id
    }

    var locks: Set<Digest> {
        Set(backend.objects.keys.filter { $0.kind == .lock }.compactMap(\.id))
    }

    @Test func isThereUntilReleased() throws {
        let lock = try take()
        #expect(locks.count == 1 && locks == Set([lock.id].compactMap { $0 }))
        #expect(journalled.with { $0 } == locks)
        #expect(waits.with { $0 } == [0.2])
        try lock.check()
        try lock.release()
        #expect(locks.isEmpty)
        #expect(journalled.with { $0.isEmpty })
    }

    @Test(arguments: [(false, false), (false, true), (true, false), (true, true)])
    func onlySharedOnesGoTogether(mine: Bool, other: Bool) throws {
        let id = try putOther(exclusive: other)
        guard mine || other else {
            try take().release()
            #expect(locks == [id])
            return
        }
        let failure = #expect(throws: Failure.self) { try take(exclusive: mine) }
        #expect(failure?.kind == .locked)
        for word in ["process 4", "bob", "elsewhere", "2023-11-14"] {
            #expect(failure?.message.contains(word) == true)
        }
        #expect(locks == [id])
        #expect(journalled.with { $0.isEmpty })
    }

    /// Another one locks between our writing and our look.
    @Test func seesWhoComesAtTheSameTime() throws {
        let backend = self.backend
        let key = self.key
        let failure = #expect(throws: Failure.self) {
            try take {
                let json = LockFile(
                    time: Timestamp(seconds: 1), exclusive: true, hostname: "x", username: "",
                    pid: 1
                ).encode()
                let (id, bytes) = UnpackedFile.seal(plain: json.span, sealer: Sealer(key: key))
                try? backend.put(ObjectKey(.lock, id), bytes.span)
            }
        }
        #expect(failure?.kind == .locked)
        #expect(failure?.hint?.contains("restic unlock") == true, "it is older than 30 minutes")
        #expect(locks.count == 1, "ours is gone")
        #expect(journalled.with { $0.isEmpty })
    }

    @Test func removesOwnLocksOfDeadProcessesAlone() throws {
        let here = ProcessIdentity.hostName
        let dead = try putOther(exclusive: true, host: here, pid: 99_999_999)
        #expect(throws: Failure.self, "not in the journal") { try take() }
        #expect(locks == [dead])
        journalled.with { _ = $0.insert(dead) }
        let lock = try take()
        #expect(!locks.contains(dead) && locks.count == 1)
        try lock.release()

        let living = try putOther(exclusive: true, host: here, pid: ProcessIdentity.current.pid)
        let elsewhere = try putOther(exclusive: true, pid: 99_999_999)
        journalled.with { $0.formUnion([living, elsewhere]) }
        #expect(throws: Failure.self) { try take() }
        #expect(locks == [living, elsewhere])
    }

    @Test func looksAgainAtUnreadableLocks() throws {
        let id = someDigest(1)
        try backend.put(ObjectKey(.lock, id), [1, 2, 3].span)
        let failure = #expect(throws: Failure.self) { try take() }
        #expect(failure?.kind == .store)
        #expect(waits.with { $0 } == [0.2, 5, 10, 20])

        let backend = self.backend
        let lock = try take { backend.damage(ObjectKey(.lock, id), nil) }
        try lock.release()

        try backend.put(ObjectKey(.lock, id), [UInt8]().span)
        try take().release()
        #expect(locks == [id], "a lock without content is passed over")
    }

    @Test func refreshReplacesTheFile() throws {
        let lock = try take()
        let first = try #require(lock.id)
        clock.advance(1400)
        try lock.check()
        try lock.refresh()
        let second = try #require(lock.id)
        #expect(second != first && locks == [second])
        #expect(journalled.with { $0 } == [second])
        clock.advance(1400)
        try lock.check()
        clock.advance(200)
        let failure = #expect(throws: Failure.self) { try lock.check() }
        #expect(failure?.message.contains("out of date") == true)
        try lock.refresh()
        try lock.check()
        try lock.release()
        #expect(locks.isEmpty)
    }

    @Test func noticesThatItWasRemoved() throws {
        let lock = try take()
        backend.damage(ObjectKey(.lock, try #require(lock.id)), nil)
        try lock.refresh()
        let failure = #expect(throws: Failure.self) { try lock.check() }
        #expect(failure?.kind == .locked)
        #expect(locks.isEmpty, "a lost lock is not taken again in silence")
        try lock.release()
    }

    /// One answer that says a lock is not there is not enough to give it up.
    @Test func aLockThatIsListedIsNotLost() throws {
        let place = Forgetful(base: backend)
        let lock = try RepositoryLock.take(
            place, key: key, owner: owner, journal: journal, options: options())
        try lock.refresh()
        try lock.check()
        #expect(locks.count == 1)
        try lock.release()
        #expect(locks.isEmpty)
    }

    /// Says of every lock that it is not there, when asked for it alone.
    private final class Forgetful: ForwardingBackend {
        let base: MemoryBackend

        init(base: MemoryBackend) { self.base = base }

        func size(_ key: ObjectKey) throws(BackendError) -> UInt64? {
            key.kind == .lock ? nil : try base.size(key)
        }
    }

    @Test func theThreadRefreshes() throws {
        var options = options()
        options.refreshInterval = 0.001
        let refreshed = Monitor(0)
        var journal = journal
        let willWrite = journal.willWrite
        journal.willWrite = { id throws(Failure) in
            refreshed.with { $0 += 1 }
            try willWrite(id)
        }
        let lock = try RepositoryLock.take(
            backend, key: key, owner: owner, journal: journal, options: options)
        let _: Bool = refreshed.wait { $0 >= 5 ? true : nil }
        try lock.release()
        #expect(locks.isEmpty)
        #expect(journalled.with { $0.isEmpty })
    }

    /// Whatever call fails, no lock stays that the journal does not know.
    @Test(arguments: 0..<12, [BackendFault.temporary, .lostResponse])
    func leavesNothingUnknown(number: Int, fault: BackendFault) throws {
        backend.setPlan(FaultPlan { _, n in n == number ? fault : nil })
        do {
            let lock = try take()
            try? lock.refresh()
            try? lock.release()
        } catch {}
        #expect(locks.isSubset(of: journalled.with { $0 }))
        // The next release, or the next run, removes what is left.
        #expect(locks.count <= 1)
    }
}
