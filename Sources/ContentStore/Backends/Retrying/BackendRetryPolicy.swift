/// Whether and when a failed call on a backend is made again: a pure function of the error, of how
/// often and for how long the call was tried, and of one random number.
///
/// | error | tries | wait before the next one |
/// | --- | --- | --- |
/// | temporary | 8 | 0.25 s, 0.5 s, 1 s … 16 s; each × 0.5 … 1.5 |
/// | damaged, in a read | 2 | none: a transfer that was cut short looks the same |
/// | every other | 1 | – |
///
/// These are the defaults. Nothing is tried again once `maximumTime` has passed since the first
/// try: a job that is stuck in one call looks stalled, and has a retry of its own.
package struct BackendRetryPolicy: Sendable, Hashable {
    /// The wait before the second try, in seconds.
    package var baseDelay = 0.25
    /// The longest wait, in seconds.
    package var maximumDelay = 20.0
    /// The share by which a wait is made longer or shorter at random.
    package var jitter = 0.5
    /// How often a call is made when the error may pass.
    package var maximumAttempts = 8
    /// How often an object is read whose bytes are not what they have to be.
    package var maximumReads = 2
    /// Seconds after the first try when retrying ends.
    package var maximumTime = 120.0
    /// Seconds after a call that failed for good during which others are tried once only: one
    /// after the other waiting in vain would take as long as all of them together.
    package var restTime = 30.0

    package init() {}

    /// What comes after an error.
    package enum Decision: Sendable, Equatable {
        case retry(afterSeconds: Double)
        case fail
    }

    /// Decides about a call that failed with a temporary error on its try number `attempts` (1 is
    /// the first), `elapsed` seconds after the first began; `random` is from 0 to below 1.
    package func decide(attempts: Int, elapsed: Double, random: Double) -> Decision {
        guard attempts < maximumAttempts else { return .fail }
        let wait = delay(attempts: attempts, random: random)
        return elapsed + wait < maximumTime ? .retry(afterSeconds: wait) : .fail
    }

    /// Seconds to wait after try number `attempts`: doubled each time, capped, with jitter.
    package func delay(attempts: Int, random: Double) -> Double {
        // 2^30 of any base is past every cap; a shift cannot overflow.
        let doublings = min(max(attempts - 1, 0), 30)
        let plain = min(baseDelay * Double(1 << doublings), maximumDelay)
        return min(plain * (1 + jitter * (2 * random - 1)), maximumDelay)
    }
}
