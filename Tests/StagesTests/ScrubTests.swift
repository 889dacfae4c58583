import Checker
import ContentStore
import Foundation
import Platform
import Repairer
import StoreTestSupport
import TestSupport
import Testing

/// What checks remember from run to run.
@Suite struct ScrubTests {
    private static let scene = Result { try StoreScene() }

    private func copy() throws -> StoreScene {
        try StoreScene(copy: try ScrubTests.scene.get())
    }

    private func options(
        _ level: ScrubLevel, maxAge: Int64? = nil, maxDuration: Double? = nil,
        sample: Double? = nil, seed: UInt64 = 0, forgets: Bool = false
    ) -> ScrubOptions {
        ScrubOptions(
            selection: ScrubSelection(level: level, maxAge: maxAge, sample: sample, seed: seed),
            maxDuration: maxDuration, forgets: forgets, threads: 1)
    }

    private func read(_ found: StoreScene.Found) throws -> Int {
        try #require(found.result.places.first).run.objects
    }

    /// The sum level opens nothing.
    @Test func sumsNeedNoKey() throws {
        let scene = try copy()
        for key in try scene.objects(.key) {
            try FileManager.default.removeItem(atPath: "\(scene.store)/\(key.path)")
        }
        let found = try scene.check(.sum)
        let place = try #require(found.result.places.first)
        #expect(place.coverage.isComplete && place.coverage.objects > 5)
    }

    /// What was spoiled on the way is asked for again, not taken from a cache.
    @Test(arguments: [ScrubLevel.sum, .deep]) func spoiledOnTheWay(level: ScrubLevel) throws {
        let scene = try copy()
        let spoiling = SpoilingPlace(try FileBackend(path: scene.mirror))
        let place = BlockCache(spoiling)
        let state = try scene.state(scene.mirror)
        let store = try scene.open()
        try store.refresh(session: StoreSession.newName())
        let check =
            try level == .sum
            ? PlaceCheck(sumsAt: place, isMirror: true, state: state, options: options(.sum))
            : PlaceCheck(
                mirror: place, of: store, state: state, options: options(.deep))
        var problems: [String] = []
        let report = try check.run(
            deadline: nil, progress: { _, _ in }, report: { problems.append($0.message) })
        #expect(problems == [])
        #expect(report.coverage.isComplete)
        let spoiled = spoiling.spoiled.with { $0 }
        #expect(spoiled == Set(try scene.objects(.pack).compactMap(\.id)))
    }

    /// The same damage is told apart by the place where it is.
    @Test(arguments: [ScrubLevel.sum, .deep]) func placeOfDamage(level: ScrubLevel) throws {
        let scene = try copy()
        let pack = try #require(try scene.objects(.pack).last)
        try Damage.flipByte("\(scene.mirror)/\(pack.path)")
        let found = try scene.check(level, mirror: true).damage
        #expect(found.map(\.id) == [pack.id])
        #expect(found.map(\.place) == ["file:\(scene.mirror)"])
        #expect(found.allSatisfy { $0.message.contains("at file:\(scene.mirror)") })
        try Damage.flipByte("\(scene.mirror)/\(pack.path)")
        try Damage.flipByte("\(scene.store)/\(pack.path)")
        #expect(try scene.check(level, mirror: true).damage.allSatisfy { $0.place == nil })
    }

    /// Each run reads everything again, unless an age is given.
    @Test func agesOfResults() throws {
        let scene = try copy()
        let all = try read(scene.check(.sum))
        #expect(all > 5)
        #expect(try read(scene.check(.sum)) == all)
        scene.clock.advance(100)
        #expect(try read(scene.check(.sum, scrub: options(.sum, maxAge: 1000))) == 0)
        #expect(try read(scene.check(.sum, scrub: options(.sum, maxAge: 50))) == all)
        #expect(try read(scene.check(.sum, scrub: options(.sum, maxAge: 50))) == 0)
        #expect(try read(scene.check(.sum, scrub: options(.sum, maxAge: 50, forgets: true))) == all)
        // A deep result proves what a sum proves, not the other way round.
        let deep = options(.deep, maxAge: 50)
        let packs = try scene.objects(.pack).count
        #expect(try scene.check(.deep, scrub: deep).result.packsRead == packs)
        scene.clock.advance(100)
        #expect(try scene.check(.deep, scrub: deep).result.packsRead == packs)
        #expect(try scene.check(.deep, scrub: deep).result.packsRead == 0)
        #expect(try read(scene.check(.sum, scrub: options(.sum, maxAge: 50))) == 0)
    }

    /// Results from a future that a clock invented do not count.
    @Test func clockThatWasSetBack() throws {
        let scene = try copy()
        scene.clock.advance(1_000_000)
        let all = try read(scene.check(.sum))
        scene.clock.advance(-1_000_000)
        #expect(try read(scene.check(.sum, scrub: options(.sum, maxAge: 1000))) == all)
        #expect(try read(scene.check(.sum, scrub: options(.sum, maxAge: 1000))) == 0)
        #expect(try read(scene.check(.sum)) == all)
    }

    /// Runs without time get nowhere and lose nothing; a run with time ends the pass.
    @Test func partRunsCoverEverything() throws {
        let scene = try copy()
        let none = try scene.check(.sum, scrub: options(.sum, maxDuration: 0))
        let place = try #require(none.result.places.first)
        #expect(place.run.objects == 0 && place.run.isStopped && !place.coverage.isComplete)
        let rest = try scene.check(.sum, scrub: options(.sum, maxDuration: 1000))
        #expect(try #require(rest.result.places.first).coverage.isComplete)
        let deep = try scene.check(.deep, scrub: options(.deep, maxDuration: 0))
        #expect(deep.result.packsRead == 0 && deep.result.treesStopped)
        #expect(try !#require(deep.result.places.first).coverage.isComplete)
        let whole = try scene.check(.deep, scrub: options(.deep, maxDuration: 1000))
        #expect(try #require(whole.result.places.first).coverage.isComplete)
        #expect(!whole.result.treesStopped)
    }

    /// What was read and committed before a death is not read again in the same pass.
    @Test func goesOnAfterADeath() throws {
        let scene = try copy()
        let state = try scene.state(scene.store)
        _ = try state.update(listing: try scene.place(scene.store))
        let selection = ScrubSelection(level: .sum)
        let (all, _) = try state.select(selection, at: scene.clock.now())
        let (work, _) = try state.work(after: 0, limit: 4)
        try state.record(
            work.map { ScrubResult($0.key, .sum, .good) }, at: scene.clock.now())
        // Nothing of the list survives; the results do.
        let (left, _) = try state.select(selection, at: scene.clock.now())
        #expect(left == all - 4)
        let (rest, _) = try state.work(after: 0, limit: 1000)
        #expect(
            rest.count == left
                && !rest.contains { object in work.contains { $0.key == object.key } })
    }

    /// Known damage comes first, then what is new, then what was not read for longest.
    @Test func orderOfReading() throws {
        let scene = try copy()
        let state = try scene.state(scene.store)
        let place = try scene.place(scene.store)
        _ = try state.update(listing: place)
        let selection = ScrubSelection(level: .sum, maxAge: 0)
        _ = try state.select(selection, at: scene.clock.now())
        let (objects, _) = try state.work(after: 0, limit: 1000)
        for (number, object) in objects.enumerated().reversed() {
            scene.clock.advance(1)
            let verdict = number == 2 ? ScrubResult.Verdict.bad("test") : .good
            try state.record([ScrubResult(object.key, .sum, verdict)], at: scene.clock.now())
        }
        let bytes = Array("new".utf8)
        let new = ObjectKey(.pack, SHA256Hasher.hash(bytes.span))
        try place.put(new, bytes.span)
        let listing = try state.update(listing: place)
        #expect(listing.added == 1)
        scene.clock.advance(10)
        _ = try state.select(selection, at: scene.clock.now())
        let (order, _) = try state.work(after: 0, limit: 1000)
        #expect(order.prefix(2).map(\.key) == [objects[2].key, new])
        // The last read are the first of the list before.
        #expect(order.last?.key.kind == .pack || order.count == objects.count + 1)
        #expect(order.count == objects.count + 1)
    }

    /// Damage keeps the result bad also in a run that does not come by it, until it is mended.
    @Test func knownDamageStaysUntilMended() throws {
        let scene = try copy()
        let pack = try #require(try scene.objects(.pack).last)
        let path = "\(scene.store)/\(pack.path)"
        try Damage.flipByte(path)
        #expect(try !scene.check(.sum).isHealthy)
        let short = try scene.check(.sum, scrub: options(.sum, maxDuration: 0))
        #expect(short.damage.map(\.id) == [pack.id])
        #expect(try !scene.check(nil).isHealthy)
        #expect(try !scene.check(.present).isHealthy)
        try Damage.flipByte(path)
        #expect(try !scene.check(nil).isHealthy, "nobody has looked")
        #expect(try scene.check(.sum).isHealthy)
        #expect(try scene.check(nil).isHealthy)
        // What the deep check found a sum cannot clear.
        let state = try scene.state(scene.store)
        try state.record([ScrubResult(pack, .deep, .bad("test"))], at: scene.clock.now())
        try state.record([ScrubResult(pack, .sum, .good)], at: scene.clock.now())
        #expect(try state.knownDamage().map(\.key) == [pack])
        try state.record([ScrubResult(pack, .deep, .good)], at: scene.clock.now())
        #expect(try state.knownDamage() == [])
    }

    /// Samples of other seeds are other objects, of one seed the same.
    @Test func samples() throws {
        let half = ScrubSelection(level: .sum, sample: 0.5, seed: 1)
        let other = ScrubSelection(level: .sum, sample: 0.5, seed: 2)
        let prefixes = (0..<4000).map { _ in UInt64.random(in: .min ... .max) }
        let a = prefixes.filter(half.isSampled)
        #expect((1700...2300).contains(a.count))
        #expect(a == prefixes.filter(half.isSampled))
        #expect(a != prefixes.filter(other.isSampled))
        let scene = try copy()
        let all = try read(scene.check(.sum))
        let some = try read(scene.check(.sum, scrub: options(.sum, sample: 0.01, seed: 3)))
        #expect(some < all)
    }

    /// Objects that others take away while they are read are no damage.
    @Test func removedMeanwhile() throws {
        let scene = try copy()
        let state = try scene.state(scene.store)
        let place = try scene.place(scene.store)
        let bytes = Array("an orphan".utf8)
        let orphan = ObjectKey(.pack, SHA256Hasher.hash(bytes.span))
        try place.put(orphan, bytes.span)
        _ = try state.update(listing: place)
        _ = try state.select(ScrubSelection(level: .sum), at: scene.clock.now())
        try place.remove(orphan)
        try state.record([ScrubResult(orphan, .sum, .gone)], at: scene.clock.now())
        #expect(try state.knownDamage() == [])
        #expect(try !state.knows(orphan))
    }

    /// A second check of the same place waits for nobody: it says who is at work.
    @Test func oneCheckAtATime() throws {
        let scene = try copy()
        let first = try scene.state(scene.store)
        #expect(throws: Failure.self) { try scene.state(scene.store) }
        withExtendedLifetime(first) {}
    }

    /// The object of a pack that is damaged and then gone stays damage as long as it is missed.
    @Test func damageThatVanishes() throws {
        let scene = try copy()
        let pack = try #require(try scene.objects(.pack).last)
        try Damage.flipByte("\(scene.store)/\(pack.path)")
        #expect(try !scene.check(.sum).isHealthy)
        try FileManager.default.removeItem(atPath: "\(scene.store)/\(pack.path)")
        #expect(try !scene.check(.sum).isHealthy)
        #expect(try !scene.check(.present).isHealthy)
    }
}

/// Gives wrong bytes the first time that a pack is read.
private final class SpoilingPlace: ForwardingBackend {
    let base: FileBackend
    let spoiled = Monitor<Set<Digest>>([])

    init(_ base: FileBackend) { self.base = base }

    func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError) {
        try base.read(key, range, into: &output)
        guard key.kind == .pack, let pack = key.id,
            spoiled.with({ $0.insert(pack).inserted })
        else { return }
        output[output.count - 1] ^= 1
    }
}
