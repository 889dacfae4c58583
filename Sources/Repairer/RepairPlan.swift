package import Manifest
internal import Platform

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

    /// Whether this counts against the policy's limit.
    package var isRepair: Bool { self == .restore || self == .requeue }
}
