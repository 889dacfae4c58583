internal import Platform

/// The tries of one call: waits before the next one, or gives up.
struct Attempts {
    private let policy: BackendRetryPolicy
    private let surroundings: RetrySurroundings
    private let started: Double
    /// Whether the place is taken to be away: a temporary error is then the last word.
    private let isQuick: Bool
    private var count = 0
    private var damagedReads = 0

    init(_ policy: BackendRetryPolicy, _ surroundings: RetrySurroundings, quick isQuick: Bool) {
        self.policy = policy
        self.surroundings = surroundings
        self.isQuick = isQuick
        started = surroundings.now()
    }

    /// Returns when the call is to be made again.
    ///
    /// - Throws: the error, when it is not; with how often it was tried.
    mutating func failed(
        _ error: BackendError, reading isRead: Bool = false
    ) throws(BackendError) {
        count += 1
        switch error {
        case .temporary(let key, let cause):
            let elapsed = surroundings.now() - started
            guard !isQuick, !surroundings.isStopping(),
                case .retry(let seconds) = policy.decide(
                    attempts: count, elapsed: elapsed, random: surroundings.random())
            else {
                throw .temporary(key, cause: cause + told(elapsed))
            }
            surroundings.pause(seconds)
        case .damaged where isRead:
            guard mayReadAgain() else { throw error }
        case .missing, .exists, .damaged, .permanent, .refused:
            throw error
        }
    }

    /// Whether bytes that are not what they have to be are to be read once more.
    mutating func mayReadAgain() -> Bool {
        damagedReads += 1
        return damagedReads < policy.maximumReads && !surroundings.isStopping()
    }

    private func told(_ elapsed: Double) -> String {
        guard count > 1 else { return "" }
        return " (tried \(count) times in \(Int(elapsed.rounded())) s)"
    }
}
