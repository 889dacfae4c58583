package import ContentStore
package import Platform

/// A repository in memory, for tests: with faults on demand, and counts of calls.
package final class MemoryBackend: Backend {
    private struct State {
        var objects: [ObjectKey: [UInt8]] = [:]
        /// The keys in the order in which they were put, for stale listings.
        var order: [ObjectKey] = []
        var calls = 0
        var counts: [BackendCall: Int] = [:]
        var plan: FaultPlan
    }

    package let location: String
    private let state: Monitor<State>

    /// Makes an empty place whose calls fail as `plan` says.
    package init(location: String = "memory:", plan: FaultPlan = .none) {
        self.location = location
        state = Monitor(State(plan: plan))
    }

    /// Replaces the plan; its numbers count from the first call of the backend.
    package func setPlan(_ plan: FaultPlan) {
        state.with { $0.plan = plan }
    }

    /// How often each call was made.
    package var counts: [BackendCall: Int] { state.with { $0.counts } }

    /// Every object, without faults and without being counted.
    package var objects: [ObjectKey: [UInt8]] { state.with { $0.objects } }

    /// Changes an object as rot would: nil removes it.
    package func damage(_ key: ObjectKey, _ bytes: [UInt8]?) {
        state.with { $0.objects[key] = bytes }
    }

    package func put(_ key: ObjectKey, _ bytes: Span<UInt8>) throws(BackendError) {
        var copy: [UInt8] = []
        copy.append(copying: bytes)
        let fault = begin(.put)
        if fault == .temporary || fault == .tornWrite {
            throw .temporary(key, cause: "fault: \(fault ?? .temporary)")
        }
        let isStored = state.with { state in
            if key == .config, let there = state.objects[key] { return there == copy }
            if state.objects.updateValue(copy, forKey: key) == nil { state.order.append(key) }
            return true
        }
        guard isStored else { throw .exists(key) }
        if fault == .lostResponse { throw .temporary(key, cause: "fault: lost response") }
    }

    package func get(_ key: ObjectKey, limit: Int) throws(BackendError) -> [UInt8] {
        let fault = begin(.get)
        try check(fault, key)
        guard var bytes = state.with({ $0.objects[key] }) else { throw .missing(key) }
        MemoryBackend.spoil(&bytes, from: 0, fault)
        guard bytes.count <= limit else {
            throw .damaged(key, cause: "it is longer than the limit of \(limit) bytes")
        }
        return bytes
    }

    package func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError) {
        let fault = begin(.read)
        try check(fault, key)
        guard let bytes = state.with({ $0.objects[key] }) else { throw .missing(key) }
        guard range.upperBound <= UInt64(bytes.count), fault != .truncatedRead else {
            throw .damaged(key, cause: "it ends before byte \(range.upperBound)")
        }
        let start = output.count
        output += bytes[Int(range.lowerBound)..<Int(range.upperBound)]
        MemoryBackend.spoil(&output, from: start, fault)
    }

    package func size(_ key: ObjectKey) throws(BackendError) -> UInt64? {
        try check(begin(.size), key)
        return state.with { state in state.objects[key].map { UInt64($0.count) } }
    }

    package func list(
        _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) {
        let fault = begin(.list)
        try check(fault, nil)
        let found = state.with { state -> [(Digest, UInt64)] in
            let hidden = fault == .staleListing ? Set(state.order.suffix(2)) : []
            return state.objects.compactMap { key, bytes in
                guard key.kind == kind, !hidden.contains(key), let id = key.id else { return nil }
                return (id, UInt64(bytes.count))
            }
        }
        for (id, size) in found { try each(id, size) }
    }

    package func remove(_ key: ObjectKey) throws(BackendError) {
        let fault = begin(.remove)
        if fault == .temporary || fault == .tornWrite {
            throw .temporary(key, cause: "fault: temporary")
        }
        state.with { state in
            state.objects[key] = nil
            state.order.removeAll { $0 == key }
        }
        if fault == .lostResponse { throw .temporary(key, cause: "fault: lost response") }
    }

    /// Nothing here is ever left half written.
    package func removeLeftovers(olderThan time: Timestamp) throws(BackendError) -> Int { 0 }

    private func begin(_ call: BackendCall) -> BackendFault? {
        state.with { state in
            state.counts[call, default: 0] += 1
            state.calls += 1
            return state.plan.fault(call, state.calls - 1)
        }
    }

    private func check(_ fault: BackendFault?, _ key: ObjectKey?) throws(BackendError) {
        guard fault == .temporary || fault == .lostResponse else { return }
        throw .temporary(key, cause: "fault: temporary")
    }

    private static func spoil(_ bytes: inout [UInt8], from start: Int, _ fault: BackendFault?) {
        guard bytes.count > start else { return }
        switch fault {
        case .truncatedRead: bytes.removeLast((bytes.count - start + 1) / 2)
        case .wrongBytes: bytes[start + (bytes.count - start) / 2] ^= 1
        default: break
        }
    }
}
