internal import CLinux
internal import Glibc

/// State behind one lock, with waiting: the classical monitor.
///
/// Every change wakes all who wait, so no wake-up can be lost; the number of threads that share a
/// monitor is small by design.
@safe package final class Monitor<State>: @unchecked Sendable {
    // Unchecked: `state` is only touched between lock and unlock of `mutex`.
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// Guards `state`.
    package init(_ state: sending State) {
        self.state = state
        unsafe pthread_mutex_init(mutex, nil)
        // Who sets the clock of the machine must not make anybody wait longer.
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Runs `body` under the lock, then wakes those who wait.
    package func with<R>(_ body: (inout State) throws -> R) rethrows -> R {
        unsafe pthread_mutex_lock(mutex)
        defer {
            unsafe pthread_cond_broadcast(condition)
            unsafe pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Runs `body` under the lock again after each change until it returns a value.
    package func wait<R>(_ body: (inout State) throws -> R?) rethrows -> R {
        unsafe pthread_mutex_lock(mutex)
        defer {
            unsafe pthread_cond_broadcast(condition)
            unsafe pthread_mutex_unlock(mutex)
        }
        while true {
            if let result = try body(&state) { return result }
            unsafe pthread_cond_wait(condition, mutex)
        }
    }

    /// As `wait`, but gives up and returns nil when `seconds` have passed without a value.
    package func wait<R>(seconds: Double, _ body: (inout State) throws -> R?) rethrows -> R? {
        var deadline = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &deadline)
        let total = Double(deadline.tv_nsec) / 1e9 + seconds
        deadline.tv_sec += Int(total)
        deadline.tv_nsec = Int((total - Double(Int(total))) * 1e9)
        unsafe pthread_mutex_lock(mutex)
        defer {
            unsafe pthread_cond_broadcast(condition)
            unsafe pthread_mutex_unlock(mutex)
        }
        while true {
            if let result = try body(&state) { return result }
            if unsafe pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT {
                return try body(&state)
            }
        }
    }
}
