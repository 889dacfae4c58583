/// What goes wrong in a call on a `MemoryBackend`.
package enum BackendFault: Sendable, Equatable, CaseIterable {
    /// The call fails, nothing has happened.
    case temporary
    /// The call fails after it took effect: the answer was lost.
    case lostResponse
    /// The call fails; a put leaves nothing under the object's name, as temp-and-rename does.
    case tornWrite
    /// A read or get gives fewer bytes than there are.
    case truncatedRead
    /// A read or get gives one wrong byte, without an error.
    case wrongBytes
    /// A listing lacks the objects put most recently.
    case staleListing
}

/// The calls of a backend, for fault plans and counts.
package enum BackendCall: String, Sendable, Hashable, CaseIterable {
    case put, get, read, size, list, remove
}

/// Says for each call whether and how it fails; the same plan gives the same faults.
package struct FaultPlan: Sendable {
    private let choose: @Sendable (_ call: BackendCall, _ number: Int) -> BackendFault?

    /// A plan by a function of the call and its number, from 0 over all calls.
    package init(_ choose: @escaping @Sendable (BackendCall, Int) -> BackendFault?) {
        self.choose = choose
    }

    /// No faults.
    package static let none = FaultPlan { _, _ in nil }

    /// One of `faults` in about `rate` (0...1) of the calls, chosen by `seed`.
    package static func seeded(
        _ seed: UInt64, rate: Double, faults: [BackendFault] = BackendFault.allCases
    ) -> FaultPlan {
        FaultPlan { _, number in
            // splitmix64 of seed and number: no state, so threads do not change the plan.
            var x = seed &+ UInt64(number) &* 0x9E37_79B9_7F4A_7C15
            x = (x ^ x >> 30) &* 0xBF58_476D_1CE4_E5B9
            x = (x ^ x >> 27) &* 0x94D0_49BB_1331_11EB
            x ^= x >> 31
            guard !faults.isEmpty, Double(x >> 11) / 0x1p53 < rate else { return nil }
            return faults[Int(x & 0x7FF) % faults.count]
        }
    }

    func fault(_ call: BackendCall, _ number: Int) -> BackendFault? {
        choose(call, number)
    }
}
