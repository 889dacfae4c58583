import Foundation
import TestSupport
import Testing

/// Signals that ask, and the one that stops time.
@Suite(.temporaryFolder, .serialized) struct SignalTests {
    private func running(_ scene: Scene) throws -> RunningCommand {
        let running = try scene.fleet.command(["run", "nightly"]).start()
        // The worker is at work once there is a state file of the module.
        let state = scene.fleet.state + "/modules/data.sqlite"
        _ = running.wait { _ in
            FileManager.default.fileExists(atPath: state) && !running.descendants.isEmpty
        }
        return running
    }

    @Test(arguments: [(SIGTERM, 0), (SIGINT, 130)] as [(Int32, Int32)])
    func stopsWithinTenSecondsAndResumes(signal: Int32, code: Int32) throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        let running = try running(scene)
        let clock = ContinuousClock()
        let asked = clock.now
        running.signal(signal)
        let result = try running.wait()
        try running.waitForDescendants()
        #expect(asked.duration(to: clock.now) < .seconds(10))
        #expect(result.status == .exited(code), "\(result)")
        try scene.fleet.cistern("run", "nightly")
        try scene.fleet.judge()
        #expect(try scene.roundTrip() == [])
    }

    /// A worker that is asked to stop gives its lease back: the next run needs no waiting.
    @Test func stoppedWorkerGivesItsLeaseBack() throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        let running = try running(scene)
        for worker in running.descendants { kill(worker, SIGTERM) }
        try running.wait().expect()
        try scene.fleet.judge()
    }

    @Test func stoppedAndContinuedProcessesGoOn() throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        let running = try running(scene)
        let all = [running.pid] + running.descendants
        for pid in all { kill(pid, SIGSTOP) }
        let clock = ContinuousClock()
        let end = clock.now.advanced(by: .seconds(1.5))
        #expect(!running.wait(seconds: 2) { _ in running.isOver })
        #expect(clock.now >= end)
        for pid in all { kill(pid, SIGCONT) }
        try running.wait().expect()
        try scene.fleet.judge()
        #expect(try scene.roundTrip() == [])
    }

    /// `restic unlock` sends SIGHUP to whoever holds a lock on this host.
    @Test func hangUpIsIgnored() throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        let running = try running(scene)
        for worker in running.descendants { kill(worker, SIGHUP) }
        try running.wait().expect()
        try scene.fleet.judge()
    }
}
