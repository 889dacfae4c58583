package import Platform

/// Whether and when a failed job is tried again: a pure function of the failure's class, of how
/// often and for how long the job was tried, and of one random number.
///
/// | class | tries | wait before the next one |
/// | --- | --- | --- |
/// | temporary, locked, store | 6 | 5 s, 10 s, 20 s, 40 s, 80 s; each × 0.8 … 1.2 |
/// | module | 2 | none: its error count alone moves it behind the healthy ones |
/// | cancelled | – | given back: a stop is no failure, and no try |
/// | usage, unhealthy, truncated, bug | 1 | – |
///
/// These are the defaults; a pipeline's `retry` sets its own. No wait is longer than
/// `maximumDelay`, and nothing is tried again once `maximumTime` has passed since the job first
/// began. The class decides; that it is the last step or the tenth does not.
package struct RetryPolicy: Sendable, Hashable, Codable {
    /// The wait before the second try, in seconds.
    package var baseDelay = 5.0
    /// The longest wait, in seconds.
    package var maximumDelay = 600.0
    /// The share by which a wait is made longer or shorter at random.
    package var jitter = 0.2
    /// How often a job is tried when the failure may pass.
    package var maximumAttempts = 6
    /// How often a job is tried when its module is out.
    package var maximumModuleAttempts = 2
    /// Seconds after the first start of the job when retrying ends.
    package var maximumTime = 6 * 3600.0
    /// How many workers a job may lose before it is taken for the cause.
    package var maximumDeaths = 3

    package init() {}

    /// What comes after a failure.
    package enum Decision: Sendable, Equatable {
        case retry(afterSeconds: Double)
        case fail
        case giveBack
    }

    /// Decides about a job that failed on its try number `attempts` (1 is the first), `elapsed`
    /// seconds after it first began; `random` is from 0 to below 1.
    package func decide(
        _ kind: FailureClass, attempts: Int, elapsed: Double, random: Double
    ) -> Decision {
        switch kind {
        case .cancelled: return .giveBack
        case .usage, .unhealthy, .truncated, .bug: return .fail
        case .module:
            let again = attempts < maximumModuleAttempts && elapsed < maximumTime
            return again ? .retry(afterSeconds: 0) : .fail
        case .temporary, .locked, .store:
            guard attempts < maximumAttempts else { return .fail }
            let wait = delay(attempts: attempts, random: random)
            return elapsed + wait < maximumTime ? .retry(afterSeconds: wait) : .fail
        }
    }

    /// Seconds to wait after try number `attempts`: doubled each time, capped, with jitter.
    package func delay(attempts: Int, random: Double) -> Double {
        // 2^30 of any base is past every cap; a shift cannot overflow.
        let doublings = min(max(attempts - 1, 0), 30)
        let plain = min(baseDelay * Double(1 << doublings), maximumDelay)
        return min(plain * (1 + jitter * (2 * random - 1)), maximumDelay)
    }
}
