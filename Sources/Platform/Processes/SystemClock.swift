internal import CLinux
internal import Glibc

/// Where the wall-clock time comes from: the system's clock in programs, a set one in tests.
package protocol WallClock: Sendable {
    /// The time now.
    func now() -> Timestamp
}

/// The clock of the machine.
package struct SystemClock: WallClock {
    package init() {}

    package func now() -> Timestamp {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
    }
}

/// Seconds of a clock that never jumps, for intervals.
package func monotonicSeconds() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
