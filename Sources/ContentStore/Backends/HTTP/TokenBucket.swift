internal import Platform

/// How long transfers have to wait so that they stay below a rate together.
///
/// A pure value: times come in as seconds of any clock that does not jump.
package struct TokenBucket {
    private let rate: Double
    /// Up to when the bytes that were taken so far are paid for.
    private var paid: Double

    /// Starts with nothing to wait for.
    ///
    /// - Parameter rate: bytes a second, at least 1.
    package init(rate: Int, now: Double) {
        self.rate = Double(max(1, rate))
        paid = now
    }

    /// Takes `count` bytes: the seconds until they may move on.
    ///
    /// What was not used in the last quarter of a second may be caught up with.
    package mutating func take(_ count: Int, now: Double) -> Double {
        paid = max(paid, now - 0.25) + Double(count) / rate
        return max(0, paid - now)
    }
}

/// Holds transfers of any number of threads below one rate.
final class RateLimiter: Sendable {
    /// Bytes a second.
    let rate: Int
    private let bucket: Monitor<TokenBucket>

    init(rate: Int) {
        self.rate = rate
        bucket = Monitor(TokenBucket(rate: rate, now: monotonicSeconds()))
    }

    /// Waits until `count` bytes may move; the seconds that it took.
    ///
    /// Returns early when the process has to stop.
    func take(_ count: Int) -> Double {
        let start = monotonicSeconds()
        let delay = bucket.with { $0.take(count, now: start) }
        guard delay > 0 else { return 0 }
        var rest = delay
        while rest > 0, Interruption.requested == nil {
            pause(seconds: min(rest, 0.5))
            rest = start + delay - monotonicSeconds()
        }
        return monotonicSeconds() - start
    }
}
