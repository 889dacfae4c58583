internal import CLinux
internal import Glibc
internal import Synchronization

/// Named places between two durable steps, where a test may let the process die.
///
/// Without the variables this costs one load. With `CISTERN_CRASH_LOG=FILE` each point reached is
/// appended to FILE as `name:count`; with `CISTERN_CRASH_AT=name:count` the process kills itself
/// with SIGKILL when it reaches that point for the count-th time, with `CISTERN_CRASH_ONCE=FILE`
/// only the first process of all that share FILE. So a test can enumerate every commit point of a
/// run and die at each of them.
package enum CrashPoint {
    private struct Plan {
        var log: String?
        var at: String?
        var once: String?

        /// Whether no other process has died here before.
        func mayDie() -> Bool {
            guard let once else { return true }
            return (try? Descriptor.open(once, [.writeOnly, .create, .exclusive])) != nil
        }
    }

    private static let plan: Plan? = {
        let log = unsafe getenv("CISTERN_CRASH_LOG").map { unsafe String(cString: $0) }
        let at = unsafe getenv("CISTERN_CRASH_AT").map { unsafe String(cString: $0) }
        let once = unsafe getenv("CISTERN_CRASH_ONCE").map { unsafe String(cString: $0) }
        return log == nil && at == nil ? nil : Plan(log: log, at: at, once: once)
    }()
    private static let counts = Mutex<[String: Int]>([:])

    /// Marks a place between two durable steps.
    package static func reached(_ name: StaticString) {
        guard let plan else { return }
        let name = name.description
        let count = counts.withLock { counts in
            counts[name, default: 0] += 1
            return counts[name, default: 0]
        }
        let point = "\(name):\(count)"
        if let log = plan.log,
            let file = try? Descriptor.open(log, [.writeOnly, .create, .append])
        {
            let line = Array("\(point)\n".utf8)
            try? file.write(line.span)
        }
        if plan.at == point, plan.mayDie() {
            kill(getpid(), SIGKILL)
            // SIGKILL needs no scheduling of ours, but the call returns before it arrives.
            while true { pause() }
        }
    }
}
