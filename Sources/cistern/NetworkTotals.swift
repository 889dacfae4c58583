internal import ContentStore
internal import Dispatcher
internal import Manifest

/// What went over the network since a moment: for the numbers of a job or a command.
struct NetworkTotals {
    private let start: RequestCounters.Totals

    /// Begins now.
    init() { start = RequestCounters.process.totals }

    /// Requests by method, in lower case; empty when there were none.
    var requests: [String: Int] {
        let now = RequestCounters.process.totals.requests
        var result: [String: Int] = [:]
        for (method, count) in now {
            let more = count - (start.requests[method] ?? 0)
            if more > 0 { result[method.lowercased()] = more }
        }
        return result
    }

    /// Adds the numbers to a job's result; nothing where there were no requests.
    func add(to result: inout JobResult) {
        let requests = requests
        guard !requests.isEmpty else { return }
        result.requests = requests
        result.bytesSent = Int64(bytesSent)
        result.bytesReceived = Int64(bytesReceived)
    }

    /// Adds the numbers to a command's statistics; nothing where there were no requests.
    func add(to stats: inout Stats) {
        let requests = requests
        guard !requests.isEmpty else { return }
        stats[counter: "requests"] = UInt64(requests.values.reduce(0, +))
        for (method, count) in requests.sorted(by: { $0.key < $1.key }) {
            stats[counter: "requests-\(method)"] = UInt64(count)
        }
        stats[counter: "network-bytes-sent"] = UInt64(bytesSent)
        stats[counter: "network-bytes-received"] = UInt64(bytesReceived)
    }

    private var bytesSent: Int { RequestCounters.process.totals.bytesSent - start.bytesSent }
    private var bytesReceived: Int {
        RequestCounters.process.totals.bytesReceived - start.bytesReceived
    }
}
