internal import Synchronization

/// Counts what goes over the network; for any number of threads.
package final class RequestCounters: Sendable {
    /// Everything that this process has sent and received.
    package static let process = RequestCounters()

    /// The counts at one moment.
    package struct Totals: Sendable, Equatable {
        /// Requests by method: `GET`; methods without any are left out.
        package var requests: [String: Int] = [:]
        /// Bytes of bodies.
        package var bytesSent = 0
        package var bytesReceived = 0

        package init() {}

        /// Requests of all methods.
        package var total: Int { requests.values.reduce(0, +) }
    }

    private let gets = Atomic<Int>(0)
    private let heads = Atomic<Int>(0)
    private let puts = Atomic<Int>(0)
    private let posts = Atomic<Int>(0)
    private let deletes = Atomic<Int>(0)
    private let sent = Atomic<Int>(0)
    private let received = Atomic<Int>(0)

    /// Starts at zero.
    package init() {}

    /// The counts now.
    package var totals: Totals {
        var totals = Totals()
        for method in HTTPMethod.allCases {
            let count = load(method)
            if count > 0 { totals.requests[method.rawValue] = count }
        }
        totals.bytesSent = sent.load(ordering: .relaxed)
        totals.bytesReceived = received.load(ordering: .relaxed)
        return totals
    }

    func add(_ method: HTTPMethod) {
        switch method {
        case .get: gets.add(1, ordering: .relaxed)
        case .head: heads.add(1, ordering: .relaxed)
        case .put: puts.add(1, ordering: .relaxed)
        case .post: posts.add(1, ordering: .relaxed)
        case .delete: deletes.add(1, ordering: .relaxed)
        }
    }

    func add(sent bytes: Int) { sent.add(bytes, ordering: .relaxed) }
    func add(received bytes: Int) { received.add(bytes, ordering: .relaxed) }

    private func load(_ method: HTTPMethod) -> Int {
        switch method {
        case .get: gets.load(ordering: .relaxed)
        case .head: heads.load(ordering: .relaxed)
        case .put: puts.load(ordering: .relaxed)
        case .post: posts.load(ordering: .relaxed)
        case .delete: deletes.load(ordering: .relaxed)
        }
    }
}
