import Foundation

/// A small, fast generator whose seed reproduces a failure (xorshift64*).
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// Starts from `seed`; 0 is taken as 1.
    package init(seed: UInt64) {
        state = seed == 0 ? 1 : seed
    }

    package mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 2_685_821_657_736_338_717
    }
}

/// Feeds mutations of `corpus` to `body`, which must not trap and may throw.
///
/// The number of rounds is `CISTERN_FUZZ_ROUNDS`, else `rounds`; the seed is `CISTERN_FUZZ_SEED`,
/// else `seed`. A trap is found again with the printed seed and round.
package func fuzz(
    _ name: String, corpus: [[UInt8]], rounds: Int = 20_000, seed: UInt64 = 1,
    _ body: ([UInt8]) throws -> Void
) rethrows {
    let environment = ProcessInfo.processInfo.environment
    let rounds = environment["CISTERN_FUZZ_ROUNDS"].flatMap { Int($0) } ?? rounds
    let seed = environment["CISTERN_FUZZ_SEED"].flatMap { UInt64($0) } ?? seed
    print("fuzz \(name): seed \(seed), \(rounds) rounds")
    var generator = SeededGenerator(seed: seed)
    for input in corpus { try body(input) }
    for _ in 0..<rounds {
        try body(mutate(corpus, &generator))
    }
}

private func mutate(_ corpus: [[UInt8]], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = corpus.randomElement(using: &generator) ?? []
    let tokens = Array("{}[]\",:\\u0-9eE.truefalsn \u{0}\u{7f}\u{ff}".utf8)
    for _ in 0..<Int.random(in: 1...8, using: &generator) {
        let at = bytes.isEmpty ? 0 : Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<7, using: &generator) {
        case 0 where !bytes.isEmpty: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1 where !bytes.isEmpty: bytes[at] = UInt8.random(in: 0...255, using: &generator)
        case 2: bytes.insert(tokens.randomElement(using: &generator) ?? 0, at: at)
        case 3 where !bytes.isEmpty: bytes.remove(at: at)
        case 4 where !bytes.isEmpty: bytes.removeSubrange(at...)
        case 5:
            let other = corpus.randomElement(using: &generator) ?? []
            let from = other.isEmpty ? 0 : Int.random(in: 0..<other.count, using: &generator)
            bytes.insert(contentsOf: other[from...].prefix(64), at: at)
        default:
            let end = min(bytes.count, at + Int.random(in: 0...32, using: &generator))
            bytes.insert(contentsOf: bytes[at..<end], at: at)
        }
    }
    return bytes
}
