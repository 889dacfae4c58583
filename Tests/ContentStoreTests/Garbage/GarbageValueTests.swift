import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// The pure parts of collecting garbage.
@Suite struct GarbageValueTests {
    // MARK: Plan

    private func plan(_ packs: [PackUse], maxUnused: Double = 0.05, maxRepack: UInt64 = .max)
        -> GarbagePlan
    {
        GarbagePlan(packs, limits: GarbageLimits(maxUnused: maxUnused, maxRepack: maxRepack))
    }

    @Test func deadPacksGoAndFullOnesStay() {
        let plan = plan([
            PackUse(number: 1, size: 100, live: 0), PackUse(number: 2, size: 100, live: 100),
        ])
        #expect(plan.dead == [1])
        #expect(plan.deadBytes == 100)
        #expect(plan.repack == [])
        #expect(plan.leftBytes == 0)
    }

    @Test func theMostWastefulAreCopiedUntilTheRestIsWithinTheLimit() {
        let packs = [
            PackUse(number: 1, size: 100, live: 98), PackUse(number: 2, size: 100, live: 10),
            PackUse(number: 3, size: 100, live: 60),
        ]
        #expect(plan(packs, maxUnused: 0).repack == [2, 3, 1])
        #expect(plan(packs).repack == [2, 3])
        #expect(plan(packs, maxUnused: 0.5).repack == [2])
        #expect(plan(packs, maxUnused: 10).repack == [])
        #expect(plan(packs, maxUnused: 0, maxRepack: 20).repack == [2])
    }

    @Test func youngAndDamagedPacksStay() {
        let plan = plan(
            [
                PackUse(number: 1, size: 100, live: 0, isYoung: true),
                PackUse(number: 2, size: 100, live: 10, isFixed: true),
            ], maxUnused: 0)
        #expect(plan.dead == [])
        #expect(plan.repack == [])
        #expect(plan.young == 1)
        #expect(plan.leftBytes == 190)
    }

    @Test func smallPacksAreMergedWhenTheyAreMany() {
        let many = (1...GarbagePlan.smallPacks).map { PackUse(number: $0, size: 100, live: 100) }
        func merged(
            _ packs: [PackUse], below: UInt64 = 101, maxUnused: Double = 0.05,
            maxRepack: UInt64 = .max
        ) -> [Int] {
            let limits = GarbageLimits(
                maxUnused: maxUnused, maxRepack: maxRepack, mergeBelow: below)
            return GarbagePlan(packs, limits: limits).repack
        }
        let all = many.map(\.number)
        #expect(merged(many) == all)
        #expect(merged(many.dropLast()) == [])
        #expect(merged(many, below: 100) == [])
        #expect(merged(many, below: 0) == [])
        // Part of them would not be many any more.
        #expect(merged(many, maxRepack: UInt64(100 * all.count - 1)) == [])
        let more = many + [PackUse(number: 1000, size: 100, live: 100)]
        #expect(merged(more, maxRepack: UInt64(100 * all.count)) == all)
        for other in [
            PackUse(number: 1, size: 100, live: 100, isYoung: true),
            PackUse(number: 1, size: 100, live: 100, isFixed: true),
            PackUse(number: 1, size: 100, live: 0), PackUse(number: 1, size: 101, live: 101),
        ] {
            #expect(merged([other] + many.dropFirst()) == [], "\(other)")
        }
        // Those that are copied for their waste do not count.
        let waste = PackUse(number: 1, size: 100, live: 1)
        #expect(merged([waste] + many.dropFirst(), maxUnused: 0) == [1])
        let wasteful = PackUse(number: 2000, size: 5000, live: 1)
        #expect(merged(many + [wasteful]) == [2000] + all)
    }

    // MARK: Ripeness

    private func judge(
        marked: Int64, seen: Int64, now: Int64, grace: Int64 = 100, holders: [Int32] = [],
        present: [Int32] = []
    ) -> Ripeness {
        func set(_ pids: [Int32]) -> Set<LockHolder> {
            Set(pids.map { LockHolder(hostname: "h", pid: $0) })
        }
        return Ripeness.judge(
            times: [marked * 1_000_000_000],
            observation: MarkObservation(marks: "", time: seen, holders: set(holders)),
            present: set(present), now: now, grace: grace)
    }

    @Test func aMarkIsRipeWhenAllHaveGoneAndTheGraceIsOver() {
        #expect(judge(marked: 0, seen: 0, now: 100) == .ripe)
        #expect(judge(marked: 0, seen: 0, now: 99) == .notBefore(100))
        #expect(judge(marked: 0, seen: 50, now: 149) == .notBefore(150), "by our own clock too")
        #expect(judge(marked: 0, seen: 0, now: 100, holders: [1], present: [2]) == .ripe)
        let held = judge(marked: 0, seen: 0, now: 100, holders: [1, 2], present: [2, 3])
        #expect(held == .held([LockHolder(hostname: "h", pid: 2)]))
    }

    @Test func aClockThatWasSetBackIsNotTrusted() {
        #expect(judge(marked: 0, seen: 200, now: 100) == .clock)
        #expect(judge(marked: 10_000, seen: 0, now: 100, grace: 0) == .clock)
        // The clocks of hosts may differ a little.
        #expect(judge(marked: 200, seen: 0, now: 100, grace: 0) == .notBefore(200))
    }

    // MARK: Set

    @Test(arguments: [0, 1, 100, 70_000])
    func theSetKnowsItsBlobs(count: Int) throws {
        var generator = SeededGenerator(seed: 5)
        var ids = (0..<count).map { _ in Digest.random(&generator) }.sorted()
        let others = (0..<100).map { _ in Digest.random(&generator) }
        var builder = LiveSet.Builder(count: count)
        for id in ids {
            try builder.add(id)
            try builder.add(id)
        }
        let set = builder.finish()
        #expect(set.count == count)
        #expect(set.mark(others).count == others.count)
        #expect(set.mark(Array(ids.prefix(count / 2))).isEmpty)
        let view = set.referred()
        #expect(view.count == count / 2)
        for (i, id) in ids.enumerated() where view.contains(id) != (i < count / 2) {
            Issue.record("blob \(i)")
            break
        }
        #expect(others.allSatisfy { view.contains($0) }, "what is not known is not garbage")
        ids = Array(ids.suffix(3))
        #expect(ids.allSatisfy { set.markTree($0) })
        #expect(!ids.contains { set.markTree($0) })
    }

    /// Blobs that agree in all bits that the set keeps: none of them may pass for another's tree.
    @Test func blobsThatLookAlikeAreToldApart() throws {
        let a = Digest(words: (7 << 40, 0, 0, 1))
        let b = Digest(words: (7 << 40, 0, 0, 2))
        var builder = LiveSet.Builder(count: 2)
        try builder.add(a)
        try builder.add(b)
        let set = builder.finish()
        #expect(set.markTree(a))
        #expect(set.markTree(b))
        #expect(!set.markTree(a))
        #expect(!set.markTree(b))
        let view = set.referred()
        #expect(view.contains(a) && view.contains(b))
    }

    /// Content that is data and tree at once is still walked as a tree.
    @Test func aTreeThatIsAFileTooIsWalked() throws {
        let id = Digest(words: (1, 2, 3, 4))
        var builder = LiveSet.Builder(count: 1)
        try builder.add(id)
        let set = builder.finish()
        #expect(set.mark([id]).isEmpty)
        #expect(set.markTree(id))
    }

    // MARK: Index files

    @Test(arguments: [1, 7, 1 << 20])
    func marksAreReadBack(step: Int) throws {
        let entries = [
            PackEntry(
                type: .data, id: Digest(words: (1, 1, 1, 1)), offset: 0, storedLength: 99,
                plainLength: 50)
        ]
        let marks = [
            MarkedPack(
                id: Digest(words: (2, 2, 2, 2)),
                time: Timestamp(seconds: 1_700_000_000, nanoseconds: 12), entries: entries),
            MarkedPack(
                id: Digest(words: (3, 3, 3, 3)), time: Timestamp(seconds: 5), entries: []),
        ]
        var encoder = IndexEncoder(.marks)
        var json: [UInt8] = []
        for mark in marks { encoder.append(mark) { json.append(copying: $0) } }
        encoder.finish { json.append(copying: $0) }
        var parser = IndexParser()
        var found: [MarkedPack] = []
        var packs = 0
        for start in stride(from: 0, to: json.count, by: step) {
            let part = json.span.extracting(start..<min(start + step, json.count))
            try parser.feed(part) { _, _ in
                packs += 1
            } marked: {
                found.append($0)
            }
        }
        try parser.finish()
        #expect(found == marks)
        #expect(packs == 0)
        let value = try JSONSerialization.jsonObject(with: Data(json))
        #expect((value as? [String: Any])?["packs"] as? [String] == [])
    }

    @Test func aMarkWithoutATimeIsOfTheEpoch() throws {
        let id = String(repeating: "ab", count: 32)
        let text =
            #"{"packs_to_delete":[{"size":5,"id":"\#(id)","time":null,"blobs":[]}],"packs":null}"#
        var parser = IndexParser()
        var found: [MarkedPack] = []
        let bytes = Array(text.utf8)
        try parser.feed(bytes.span) { _, _ in
        } marked: {
            found.append($0)
        }
        try parser.finish()
        #expect(found.map(\.time) == [Timestamp(seconds: 0)])
    }
}

extension Digest {
    fileprivate static func random(_ generator: inout SeededGenerator) -> Digest {
        Digest(
            words: (generator.next(), generator.next(), generator.next(), generator.next()))
    }
}
