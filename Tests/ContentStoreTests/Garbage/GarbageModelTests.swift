import ContentStore
import Foundation
import Testing

/// Every interleaving of the model's agents: no referenced blob is ever lost, and each rule is
/// there because without it one is.
@Suite struct GarbageModelTests {
    struct Outcome {
        var states = 0
        var lost: GarbageModel.State?
        /// Whether the search ended before all states were seen.
        var isCut = false
    }

    /// Visits all states that can be reached, remembering 128 bits of each.
    static func search(_ model: GarbageModel, limit: Int = 6_000_000) -> Outcome {
        struct Name: Hashable {
            var a: Int
            var b: Int
            init(_ state: GarbageModel.State) {
                a = state.hashValue
                var hasher = Hasher()
                hasher.combine(0x5EED)
                hasher.combine(state)
                b = hasher.finalize()
            }
        }
        var outcome = Outcome()
        var seen: Set<Name> = [Name(model.start)]
        var stack = [model.start]
        while let state = stack.popLast() {
            outcome.states += 1
            if model.isLost(state) || model.isBroken(state) {
                outcome.lost = state
                return outcome
            }
            if seen.count > limit {
                outcome.isCut = true
                return outcome
            }
            model.next(state) { next in
                if seen.insert(Name(next)).inserted { stack.append(next) }
            }
        }
        return outcome
    }

    static let casts: [GarbageModel.Cast] = [
        .init(collectors: 1, runs: 2, writers: 1, deaths: 2),
        .init(collectors: 1, runs: 2, writers: 1, deaths: 2, lookAgain: false),
        .init(collectors: 1, runs: 1, writers: 2, deaths: 0),
        .init(collectors: 2, runs: 1, writers: 1, deaths: 1),
        .init(collectors: 1, runs: 1, writers: 1, restic: true, deaths: 0),
        .init(collectors: 1, runs: 2, writers: 1, prune: true, deaths: 1),
        .init(collectors: 2, runs: 1, writers: 0, restic: true, prune: true, deaths: 0),
    ]
    /// More of everybody, which takes minutes: with CISTERN_MODEL=full.
    static let large: [GarbageModel.Cast] = [
        .init(collectors: 1, runs: 1, writers: 2, deaths: 1),
        .init(collectors: 2, runs: 2, writers: 0, restic: true, deaths: 1),
        .init(collectors: 1, runs: 1, writers: 1, restic: true, deaths: 1),
        .init(collectors: 2, runs: 1, writers: 1, restic: true, prune: true, deaths: 1),
    ]

    @Test(arguments: casts)
    func losesNothing(cast: GarbageModel.Cast) {
        let outcome = GarbageModelTests.search(GarbageModel(cast: cast, weakening: .none))
        print("model: \(cast): \(outcome.states) states")
        #expect(!outcome.isCut)
        if let lost = outcome.lost { Issue.record("lost in \(cast): \(lost)") }
    }

    @Test(arguments: GarbageModel.Weakening.allCases.dropFirst())
    func everyRuleIsNeeded(weakening: GarbageModel.Weakening) {
        let casts = GarbageModelTests.casts
        let found = casts.first { cast in
            GarbageModelTests.search(GarbageModel(cast: cast, weakening: weakening)).lost != nil
        }
        #expect(found != nil, "nothing is lost without the rule against \(weakening)")
    }
}
