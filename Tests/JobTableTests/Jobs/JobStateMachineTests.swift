import Foundation
import JobTable
import Platform
import Testing

@Suite("Job state machine")
struct JobStateMachineTests {
    struct Edge: Hashable, CustomStringConvertible {
        var from: String
        var event: String
        var to: String
        var description: String { "\(from) --> \(to) : \(event)" }
    }

    static let now = Timestamp(seconds: 1000)
    static let lease = Lease(
        worker: ProcessIdentity(host: "h", pid: 1, start: "s"), until: Timestamp(seconds: 1060))
    static let kinds: [FailureClass] = [
        .temporary, .module, .store, .cancelled, .usage, .locked, .unhealthy, .truncated, .bug,
    ]
    static let events: [JobEvent] =
        [
            .leased(lease), .renewed(until: Timestamp(seconds: 2000)), .succeeded, .endedPartly,
            .released, .workerLost(cause: "signal 9"), .cancelRequested,
        ] + kinds.map { .failed(Failure($0, "no")) }

    /// Every status that matters to a decision.
    static func statuses() -> [JobStatus] {
        var all: [JobStatus] = []
        for state in JobState.allCases {
            for attempts in [1, 2, 6] {
                for deaths in [0, 2] {
                    for cancelled in [false, true] {
                        var status = JobStatus(notBefore: Timestamp(seconds: 0))
                        status.state = state
                        status.attempts = attempts
                        status.deaths = deaths
                        status.cancelRequested = cancelled
                        status.lease = state == .leased ? lease : nil
                        status.started = Timestamp(seconds: 900)
                        all.append(status)
                    }
                }
            }
        }
        return all
    }

    /// Edges that the code takes for any status and event.
    static func edges() -> Set<Edge> {
        var edges: Set<Edge> = []
        for status in statuses() {
            for event in events {
                let after = JobStateMachine().after(event, status, now: now, random: 0.5)
                guard let after else { continue }
                edges.insert(
                    Edge(
                        from: status.state.rawValue, event: event.name,
                        to: after.status.state.rawValue))
            }
        }
        return edges
    }

    @Test func isTheOneOfThePicture() throws {
        let page = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/formats/job-table.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        var drawn: Set<Edge> = []
        for line in text.split(separator: "\n") {
            guard let match = line.wholeMatch(of: /\s*(\w+) --> (\w+) : (.+)/) else { continue }
            for event in match.3.split(separator: ", ") {
                drawn.insert(
                    Edge(from: String(match.1), event: String(event), to: String(match.2)))
            }
        }
        let edges = Self.edges()
        #expect(drawn.subtracting(edges) == [], "drawn, but not in the code")
        #expect(edges.subtracting(drawn) == [], "in the code, but not drawn")
    }

    @Test func neverChangesAnEnd() {
        for status in Self.statuses() where status.state.isEnd {
            for event in Self.events {
                #expect(
                    JobStateMachine().after(event, status, now: Self.now, random: 0.5) == nil)
            }
        }
    }

    @Test func holdsALeaseExactlyWhileLeasedAndAnEndTimeExactlyAtTheEnd() throws {
        for status in Self.statuses() {
            for event in Self.events {
                let after = JobStateMachine().after(event, status, now: Self.now, random: 0.5)
                guard let after = after?.status else { continue }
                #expect((after.lease != nil) == (after.state == .leased))
                #expect((after.finished != nil) == after.state.isEnd)
                #expect(after.attempts >= 0)
                #expect(after.errorCount >= status.errorCount)
            }
        }
    }

    @Test func remembersTheFirstStartAndTheLastError() throws {
        let machine = JobStateMachine()
        var status = JobStatus(notBefore: Self.now)
        status = try #require(
            machine.after(.leased(Self.lease), status, now: Self.now, random: 0.5)?.status)
        #expect(status.started == Self.now)
        let failure = Failure(.temporary, "one")
        status = try #require(
            machine.after(.failed(failure), status, now: Self.now, random: 0.5)?.status)
        #expect(status.state == .queued)
        #expect(status.error == JobError(kind: .temporary, text: "one"))
        #expect(status.notBefore == Timestamp(seconds: 1005))
        let later = Timestamp(seconds: 1100)
        status = try #require(
            machine.after(.leased(Self.lease), status, now: later, random: 0.5)?.status)
        #expect(status.started == Self.now)
        #expect(status.attempts == 2)
        #expect(status.errorCount == 1)
    }

    private func after(
        _ event: JobEvent, _ status: JobStatus, at seconds: Int64
    ) throws -> JobStatus {
        let time = Timestamp(seconds: seconds)
        return try #require(JobStateMachine().after(event, status, now: time, random: 0.5)?.status)
    }

    /// Lost workers have a limit of their own: a job that lost some has as many tries as another.
    @Test(arguments: 0...2) func deathsDoNotUseUpTries(deaths: Int) throws {
        let policy = RetryPolicy()
        try #require(deaths < policy.maximumDeaths)
        var status = JobStatus(notBefore: Self.now)
        for _ in 0..<deaths {
            status = try after(.leased(Self.lease), status, at: 1000)
            status = try after(.workerLost(cause: "signal 9"), status, at: 1000)
            #expect(status.state == .queued)
        }
        var waits: [Int64] = []
        var tries = 0
        while status.state == .queued {
            status = try after(.leased(Self.lease), status, at: 1000)
            status = try after(.failed(Failure(.temporary, "no")), status, at: 1000)
            if status.state == .queued { waits.append(status.notBefore.seconds - 1000) }
            tries += 1
        }
        #expect(status.state == .failed)
        #expect(tries == policy.maximumAttempts)
        #expect(waits == [5, 10, 20, 40, 80])
        #expect(status.attempts == tries + deaths)
    }

    /// Time in which nobody tried is not time of trying.
    @Test(arguments: [JobEvent.released, .workerLost(cause: "lease ran out")])
    func aJobThatWasGivenBackBeginsItsTimeAnew(event: JobEvent) throws {
        let idle = Int64(RetryPolicy().maximumTime) * 2
        var status = JobStatus(notBefore: Self.now)
        status = try after(.leased(Self.lease), status, at: 1000)
        status = try after(event, status, at: 1100)
        #expect(status.state == .queued)
        #expect(status.started == nil)
        status = try after(.leased(Self.lease), status, at: 1100 + idle)
        #expect(status.started == Timestamp(seconds: 1100 + idle))
        let again = try after(.failed(Failure(.temporary, "no")), status, at: 1101 + idle)
        #expect(again.state == .queued)
        // Without a giving back the time is up.
        let late = try after(.failed(Failure(.temporary, "no")), status, at: 1101 + 2 * idle)
        #expect(late.state == .failed)
    }
}
