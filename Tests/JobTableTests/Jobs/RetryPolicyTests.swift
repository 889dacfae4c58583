import JobTable
import Platform
import Testing

@Suite("Retry policy")
struct RetryPolicyTests {
    let policy = RetryPolicy()

    @Test(arguments: [
        (1, 5.0), (2, 10), (3, 20), (4, 40), (5, 80), (8, 600), (1000, 600), (0, 5),
    ])
    func doublesTheWaitUpToTheCap(_ attempts: Int, _ seconds: Double) {
        #expect(policy.delay(attempts: attempts, random: 0.5) == seconds)
        #expect(policy.delay(attempts: attempts, random: 0) == seconds * 0.8)
        let longest = policy.delay(attempts: attempts, random: 0.999_999)
        #expect(longest <= min(seconds * 1.2, 600))
        #expect(longest > seconds || seconds == 600)
    }

    @Test(arguments: [FailureClass.temporary, .locked, .store])
    func triesWhatMayPassSixTimes(_ kind: FailureClass) {
        for attempt in 1...5 {
            let decision = policy.decide(kind, attempts: attempt, elapsed: 0, random: 0.5)
            #expect(
                decision == .retry(afterSeconds: policy.delay(attempts: attempt, random: 0.5)))
        }
        #expect(policy.decide(kind, attempts: 6, elapsed: 0, random: 0.5) == .fail)
        #expect(policy.decide(kind, attempts: 1, elapsed: 6 * 3600, random: 0.5) == .fail)
        #expect(policy.decide(kind, attempts: 1, elapsed: 6 * 3600 - 4, random: 0.5) == .fail)
    }

    @Test func triesAModuleThatIsOutOnceMoreAndWithoutWaiting() {
        #expect(
            policy.decide(.module, attempts: 1, elapsed: 0, random: 0) == .retry(afterSeconds: 0))
        #expect(policy.decide(.module, attempts: 2, elapsed: 0, random: 0) == .fail)
        #expect(policy.decide(.module, attempts: 1, elapsed: 6 * 3600, random: 0) == .fail)
    }

    @Test(arguments: [FailureClass.usage, .unhealthy, .truncated, .bug])
    func neverRepeatsWhatCannotPass(_ kind: FailureClass) {
        #expect(policy.decide(kind, attempts: 1, elapsed: 0, random: 0) == .fail)
    }

    @Test func givesBackWhatWasAskedToStop() {
        #expect(policy.decide(.cancelled, attempts: 1, elapsed: 0, random: 0) == .giveBack)
    }
}
