import Foundation
import Platform
import TestSupport
import Testing

/// kill -9 of workers and dispatcher at random times.
@Suite(.temporaryFolder) struct RandomKillTests {
    enum Victim: CaseIterable { case worker, dispatcher, all }

    /// `CISTERN_KILLS` kills at random times in each stage, of one worker, the dispatcher, or all.
    @Test(arguments: Trial.stages.indices) func inEachStage(_ index: Int) throws {
        let kills = setting("CISTERN_KILLS", default: 50)
        let seed = UInt64(setting("CISTERN_SEED", default: Int.random(in: 1...1_000_000)))
        let stage = Trial.stages[index]
        var generator = SeededGenerator(seed: seed + UInt64(index))
        let trial = try Trial(files: 4000)
        for number in 1...kills {
            let delay = Double.random(in: 0...trial.durations[index], using: &generator)
            let victim = Victim.allCases[number % 3]
            let log = try folder()("log")
            try? FileManager.default.removeItem(atPath: log)
            try trial.run(
                "CISTERN_SEED=\(seed), kill \(number): \(victim), \(delay) s into \(stage)",
                thorough: number % 10 == 1, prepare: { $0.noting(log) }
            ) { running, _ in
                _ = running.wait { _ in Trial.finishedStages(log) >= index }
                let end = monotonicSeconds() + delay
                _ = running.wait { _ in monotonicSeconds() >= end }
                switch victim {
                case .worker:
                    if let worker = running.descendants.randomElement(using: &generator) {
                        kill(worker, SIGKILL)
                    }
                case .dispatcher: running.signal(SIGKILL)
                case .all: _ = try running.killAll()
                }
            }
        }
    }
}
