internal import Platform

/// What was read from a mirror because the store itself could not give it.
package final class ReadFallbacks: Sendable {
    /// Totals since the store was opened.
    package struct Totals: Sendable, Equatable {
        /// Objects, or blobs in packs.
        package var objects = 0
        package var bytes: UInt64 = 0
    }

    private let state = Monitor(Totals())
    /// Takes what people are to know, a line each.
    let tell: @Sendable (String) -> Void

    /// Counts; `tell` gets one line for people when it happens for the first time.
    package init(tell: @escaping @Sendable (String) -> Void = { _ in }) {
        self.tell = tell
    }

    /// What was counted until now.
    package var totals: Totals { state.with { $0 } }

    /// Notes that `object` of `bytes` bytes came from `mirror`, because of `cause`.
    func note(_ object: String, _ bytes: Int, from mirror: any Backend, because cause: String) {
        let isFirst = state.with { totals in
            totals.objects += 1
            totals.bytes += UInt64(bytes)
            return totals.objects == 1
        }
        guard isFirst else { return }
        tell("\(object) is read from the mirror \(mirror.location): \(cause)")
    }
}
