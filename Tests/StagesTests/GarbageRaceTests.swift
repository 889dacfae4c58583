import ContentStore
import Foundation
import Platform
import StoreTestSupport
import TestSupport
import Testing

/// Collectors and writers at once, call by call in an order that a seed gives.
///
/// After each round every snapshot has all its content.
@Suite struct GarbageRaceTests {
    static let rounds = Int(ProcessInfo.processInfo.environment["CISTERN_RACES"] ?? "") ?? 200

    static var seeds: [UInt64] {
        if let seed = ProcessInfo.processInfo.environment["CISTERN_SEED"].flatMap({ UInt64($0) }) {
            return [seed]
        }
        let first = UInt64.random(in: 1...1_000_000_000)
        print("races: seeds \(first) to \(first + UInt64(rounds) - 1): CISTERN_SEED repeats one")
        return (0..<UInt64(rounds)).map { first + $0 }
    }

    private func scene(_ generator: inout SeededGenerator) throws -> GarbageScene {
        let scene = try GarbageScene()
        for i in 0..<4 { try scene.write("a", "f\(i)", noise(3000, seed: UInt64(i))) }
        try scene.dehydrate("a")
        for i in 0..<3 { try scene.remove("a", "f\(i)") }
        try scene.write("a", "g", noise(3000, seed: generator.next() % 4 + 10))
        try scene.dehydrate("a")
        try scene.forget("a")
        return scene
    }

    /// Two modules with content that is just being counted out, and a collector that may die.
    @Test func twoDehydratesAndACollector() throws {
        for seed in GarbageRaceTests.seeds {
            var generator = SeededGenerator(seed: seed)
            let scene = try scene(&generator)
            for host in ["v", "w"] {
                for i in 0..<3 { try scene.write(host, "f\(i)", noise(3000, seed: UInt64(i))) }
            }
            let dies = generator.next() % 2 == 0
            let death = dies ? Int(generator.next() % 16) : nil
            nonisolated(unsafe) let shared = scene
            let results = scene.race(
                seed: seed, deaths: [nil, nil, death],
                [
                    { try shared.dehydrate("v", on: $0) },
                    { try shared.dehydrate("w", on: $0) },
                    { _ = try shared.collect("c", on: $0) },
                ])
            for (i, result) in results.enumerated() where i < 2 || !dies {
                if case .failure(let error) = result {
                    Issue.record("CISTERN_SEED=\(seed): process \(i): \(error)")
                }
            }
            let lost = try scene.lost()
            // A collector that was killed may leave marks on what was stored meanwhile.
            if !dies { #expect(lost == [], "CISTERN_SEED=\(seed)") }
            scene.unlock()
            try scene.collect("c")
            try scene.collect("d")
            let left = try scene.lost()
            #expect(left == [], "CISTERN_SEED=\(seed), after all")
            let packs = try scene.packs()
            #expect(packs.all == packs.listed, "CISTERN_SEED=\(seed)")
            if !left.isEmpty { return }
        }
    }

    /// A writer that dies, comes again and goes on, beside a collector that removes at once.
    @Test func aKilledDehydrateAndACollector() throws {
        for seed in GarbageRaceTests.seeds {
            var generator = SeededGenerator(seed: seed)
            let scene = try scene(&generator)
            for i in 0..<9 {
                try scene.write("w", "f\(i)", noise(3000, seed: UInt64(i)))
            }
            let death = Int(generator.next() % 8) + 1
            nonisolated(unsafe) let shared = scene
            let memory = scene.memory
            let results = scene.race(
                seed: seed, deaths: [nil, nil],
                [
                    { backend in
                        // Its own death; its lock goes when it comes again.
                        let dying = ProcessBackend(memory, dyingAfter: death)
                        let before = Set(memory.objects.keys.filter { $0.kind == .lock })
                        _ = Result { try shared.dehydrate("w", on: dying) }
                        for key in memory.objects.keys
                        where key.kind == .lock && !before.contains(key) && dying.isDead {
                            memory.damage(key, nil)
                        }
                        try shared.dehydrate("w", on: backend)
                    },
                    { _ = try shared.collect("c", on: $0) },
                ])
            if case .failure(let error) = results[0] {
                Issue.record("CISTERN_SEED=\(seed): \(error)")
            }
            let lost = try scene.lost()
            #expect(lost == [], "CISTERN_SEED=\(seed)")
            scene.unlock()
            try scene.collect("c")
            let left = try scene.lost()
            #expect(left == [], "CISTERN_SEED=\(seed), after all")
            if !left.isEmpty { return }
        }
    }
}
