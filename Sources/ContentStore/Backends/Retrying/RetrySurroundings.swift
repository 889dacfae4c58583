internal import Platform

/// What retrying takes from the world around it: time, chance and the wish to stop.
package struct RetrySurroundings: Sendable {
    /// Seconds of a clock that never jumps.
    package var now: @Sendable () -> Double
    /// A number from 0 to below 1.
    package var random: @Sendable () -> Double
    /// Whether the process was asked to stop: nothing is tried again then.
    package var isStopping: @Sendable () -> Bool
    /// Waits for a number of seconds, or until the process is asked to stop.
    package var pause: @Sendable (Double) -> Void

    /// Describes the surroundings.
    package init(
        now: @escaping @Sendable () -> Double, random: @escaping @Sendable () -> Double,
        isStopping: @escaping @Sendable () -> Bool, pause: @escaping @Sendable (Double) -> Void
    ) {
        self.now = now
        self.random = random
        self.isStopping = isStopping
        self.pause = pause
    }

    /// Those of a program.
    package static let real = RetrySurroundings(
        now: { monotonicSeconds() }, random: { Double.random(in: 0..<1) },
        isStopping: { Interruption.requested != nil },
        pause: { seconds in
            let end = monotonicSeconds() + seconds
            while Interruption.requested == nil {
                let rest = end - monotonicSeconds()
                guard rest > 0 else { return }
                // Signals wake nobody here: look at them now and then.
                Platform.pause(seconds: min(rest, 0.2))
            }
        })
}
