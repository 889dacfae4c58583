internal import Foundation
internal import Platform

/// A started program.
///
/// Its output goes to files, so that it never blocks on whoever reads it.
package final class RunningCommand: @unchecked Sendable {
    // Unchecked: one test owns it; only `signal` and the readers of output run beside `wait`.
    package let pid: Int32
    private let command: Command
    private let output: CaptureFile
    private let errors: CaptureFile
    private let started = monotonicSeconds()
    private var ended: Command.Result?
    /// A variable in the environment of the program and of all that it starts.
    private let mark: String

    fileprivate static let markName = "CISTERN_TEST_PROCESS"

    init(_ command: Command) throws {
        self.command = command
        output = try CaptureFile(at: command.output, appends: command.appends)
        errors = try CaptureFile(at: nil)
        mark = UUID().uuidString
        var variables = environment.merging(command.environment.compactMapValues { $0 }) { $1 }
        for (name, value) in command.environment where value == nil { variables[name] = nil }
        variables[RunningCommand.markName] = mark
        pid = try spawn(command, variables, output: output.raw, errors: errors.raw)
    }

    deinit {
        if ended == nil {
            kill(-pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
    }

    /// Sends a signal to the program alone.
    package func signal(_ number: Int32) { kill(pid, number) }

    /// What it wrote to standard output up to now.
    package var outputSoFar: [UInt8] { output.bytes }

    /// Waits for its end; kills its process group after the command's time limit and throws.
    package func wait() throws -> Command.Result {
        if let ended { return ended }
        var status: Int32 = 0
        var usage = rusage()
        let deadline = started + command.timeout
        var pause: UInt32 = 200
        while wait4(pid, &status, WNOHANG, &usage) == 0 {
            guard monotonicSeconds() < deadline else {
                kill(-pid, SIGKILL)
                wait4(pid, &status, 0, &usage)
                let result = finish(status, usage)
                throw TestError("killed after \(command.timeout) s:\n\(result)")
            }
            usleep(pause)
            // Soon for short programs, without cost for long ones.
            pause = min(pause * 2, 4000)
        }
        return finish(status, usage)
    }

    /// Waits until `condition` holds for the output so far, or the program has ended, or `seconds`
    /// have passed; says whether the condition held.
    package func wait(seconds: Double = 60, until condition: ([UInt8]) -> Bool) -> Bool {
        let deadline = monotonicSeconds() + seconds
        while monotonicSeconds() < deadline {
            if condition(outputSoFar) { return true }
            if isOver { return condition(outputSoFar) }
            usleep(500)
        }
        return false
    }

    /// Whether it has ended, without waiting for it.
    package var isOver: Bool {
        if ended != nil { return true }
        var info = siginfo_t()
        let code = waitid(P_PID, id_t(pid), &info, WEXITED | WNOHANG | WNOWAIT)
        return code == 0 && info.si_signo != 0
    }

    /// The living processes that it started, and those that they started, without itself.
    package var descendants: [Int32] {
        processes { $0.contains("\(RunningCommand.markName)=\(mark)") }.filter { $0 != pid }
    }

    /// Kills it and all that it started, and waits until they are gone.
    package func killAll() throws -> Command.Result {
        kill(pid, SIGKILL)
        for child in descendants { kill(child, SIGKILL) }
        let result = try wait()
        try waitForDescendants()
        return result
    }

    /// Waits until nothing that it started is left.
    package func waitForDescendants(seconds: Double = 30) throws {
        let deadline = monotonicSeconds() + seconds
        while !descendants.isEmpty {
            guard monotonicSeconds() < deadline else {
                throw TestError("\(command.line): still running: \(descendants)")
            }
            usleep(2000)
        }
    }

    private func finish(_ status: Int32, _ usage: rusage) -> Command.Result {
        func seconds(_ t: timeval) -> Double { Double(t.tv_sec) + Double(t.tv_usec) / 1e6 }
        let signal = status & 0x7F
        let result = Command.Result(
            command: command.line,
            status: signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal: signal),
            output: output.bytes, errors: errors.bytes, wall: monotonicSeconds() - started,
            processor: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            peak: Int(usage.ru_maxrss) << 10)
        ended = result
        return result
    }
}

/// Where a program's output goes: a file given, or one without a name that is read back.
private final class CaptureFile: Sendable {
    let raw: Int32
    private let isRead: Bool

    init(at path: String?, appends: Bool = false) throws {
        isRead = path == nil
        if let path {
            let mode = appends ? O_APPEND : O_TRUNC
            raw = Glibc.open(path, O_WRONLY | O_CREAT | mode | O_CLOEXEC, 0o644)
        } else {
            var template = Array("/var/tmp/cistern-output-XXXXXX".utf8CString)
            raw = template.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return -1 }
                let file = mkstemp(base)
                guard file >= 0 else { return -1 }
                unlink(base)
                _ = fcntl(file, F_SETFD, FD_CLOEXEC)
                return file
            }
        }
        guard raw >= 0 else { throw TestError("no file for output: errno \(errno)") }
    }

    deinit { close(raw) }

    var bytes: [UInt8] {
        guard isRead else { return [] }
        let size = Int(lseek(raw, 0, SEEK_END))
        // The program shares the position of this open file: pread leaves it where it is, and the
        // file is at its end, where the program writes.
        return [UInt8](unsafeUninitializedCapacity: max(0, size)) { buffer, count in
            count = max(0, pread(raw, buffer.baseAddress, buffer.count, 0))
        }
    }
}

private func spawn(
    _ command: Command, _ variables: [String: String], output: Int32, errors: Int32
) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, command.input, O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Signals ignored or blocked by whoever started the tests would change what is tested.
    var all = sigset_t()
    sigfillset(&all)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
    posix_spawnattr_setflags(&attributes, Int16(flags))

    // env of coreutils changes the folder and becomes the program.
    let words =
        (command.folder.map { ["env", "-C", $0] } ?? []) + [command.program] + command.arguments
    var arguments = words.map { strdup($0) } + [nil]
    var environment = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in arguments + environment { free(pointer) } }
    var pid: pid_t = 0
    let code = posix_spawnp(
        &pid, words[0], &actions, &attributes, &arguments, &environment)
    guard code == 0 else { throw TestError("\(command.line): \(Errno.text(code))") }
    return pid
}

/// The living processes whose environment `matches`.
private func processes(_ matches: (String) -> Bool) -> [pid_t] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { pid_t($0) }.filter { pid in
        guard let bytes = try? AtomicFile.read("/proc/\(pid)/environ", limit: 4 << 20) else {
            return false
        }
        return matches(String(decoding: bytes, as: UTF8.self))
    }
}
