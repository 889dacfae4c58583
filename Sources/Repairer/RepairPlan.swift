package import Manifest
internal import Platform
internal import Stages

/// What is to be done about one unit: decided from its check alone, without I/O.
package enum RepairPlan: Sendable, Equatable {
    /// Nothing is wrong, or the policy leaves it to a person.
    case leave
    /// The local file is bad or gone and a copy is good: restore it.
    case restore
    /// The local file is good and the store's copy is not: store it again.
    case requeue
    /// Local file and copies are bad: nothing may be touched.
    case hopeless

    /// Decides by the check of `unit` and the policy.
    package init(_ unit: Unit, _ policy: RepairPolicy) {
        guard let check = unit.check else {
            self = .leave
            return
        }
        let isContent = unit.metadata.kind == .file
        switch check.state {
        case .unreadable where unit.error == nil:
            // It lies in a directory that cannot be read: unknown, not bad.
            self = .leave
        case .rotted, .unreadable:
            guard isContent else {
                self = .leave
                return
            }
            if check.recoverable {
                self = policy.restoreRotted ? .restore : .leave
            } else {
                self = .hopeless
            }
        case .removed:
            if policy.restoreRemoved && check.recoverable {
                self = .restore
            } else {
                self = .leave
            }
        case .intact:
            let lacking = check.copiesGood < check.copiesExpected
            self = lacking && policy.requeueStore ? .requeue : .leave
        case .new, .changed:
            self = .leave
        }
    }

    /// How many repairs a finished check asks for, at most, under `policy`.
    package static func expected(by stats: Stats, _ policy: RepairPolicy) -> UInt64 {
        func count(_ name: String) -> UInt64 { stats[counter: name] }
        func less(_ a: UInt64, _ b: UInt64) -> UInt64 { a > b ? a - b : 0 }
        let unknown = count(CheckCounters.unknown)
        let local = count("check-rotted") + less(count("check-unreadable"), unknown)
        let store = less(count(CheckCounters.unhealthy), local + unknown)
        return (policy.restoreRotted ? local : 0) + (policy.requeueStore ? store : 0)
            + (policy.restoreRemoved ? count("check-removed") : 0)
    }

    /// Whether this counts against the policy's limit.
    package var isRepair: Bool { self == .restore || self == .requeue }
}
