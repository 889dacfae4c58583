import JobTable
import Platform
import Synchronization

/// A clock that moves when it is told to.
final class SetClock: WallClock {
    private let time = Mutex(Timestamp(seconds: 1_700_000_000))

    func now() -> Timestamp { time.withLock { $0 } }

    func advance(_ seconds: Int64) { time.withLock { $0.seconds += seconds } }
}

/// The units `from` up to below `to`, as a chunk whose lines are recognisable.
func makeChunk(_ number: Int, from: Int, count: Int, padding: Int = 0) -> ListChunk {
    var lines: [UInt8] = []
    for unit in from..<(from + count) {
        lines += Array("{\"seq\":\(unit),\"pad\":\"\(noise(unit, padding))\"}\n".utf8)
    }
    return ListChunk(
        number: number, firstSeq: from, count: count, lastKey: key(from + count - 1),
        lines: lines)
}

/// A sort key that grows with the unit's number.
func key(_ unit: Int) -> [UInt8] { Array(String(100_000_000 + unit).utf8) }

/// Digits that zstd cannot make much smaller, the same for the same unit.
private func noise(_ unit: Int, _ count: Int) -> String {
    var state = UInt64(unit &+ 1) &* 0x9E37_79B9_7F4A_7C15
    var text = ""
    while text.utf8.count < count {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        text += String(state, radix: 36)
    }
    return String(text.prefix(count))
}

let testKey = ListKey(run: "20260101-000000-0000", stage: "manifest")

extension JobTable {
    /// Completes a job with the default policy.
    @discardableResult
    func complete(
        _ job: Int64, worker: ProcessIdentity, progress: JobProgress, outcome: JobOutcome
    ) throws(Failure) -> Job {
        try complete(
            job, worker: worker, progress: progress, outcome: outcome, retry: RetryPolicy())
    }
}
