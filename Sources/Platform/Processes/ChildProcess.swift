internal import CLinux
internal import Glibc

/// How a process ended: with a code, or by a signal.
package enum ExitStatus: Sendable, Hashable, CustomStringConvertible {
    case exited(Int32)
    case signalled(Int32)

    package var description: String {
        switch self {
        case .exited(let code): "exit code \(code)"
        case .signalled(let signal): Signal.name(signal)
        }
    }
}

/// Numbers and names of signals.
package enum Signal {
    package static let terminate = SIGTERM
    package static let interrupt = SIGINT
    package static let kill = SIGKILL

    /// `SIGTERM` for 15; the number where a signal has no common name.
    package static func name(_ signal: Int32) -> String {
        let names: [Int32: String] = [
            SIGHUP: "SIGHUP", SIGINT: "SIGINT", SIGQUIT: "SIGQUIT", SIGILL: "SIGILL",
            SIGTRAP: "SIGTRAP", SIGABRT: "SIGABRT", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE",
            SIGKILL: "SIGKILL", SIGSEGV: "SIGSEGV", SIGPIPE: "SIGPIPE", SIGTERM: "SIGTERM",
            SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ",
        ]
        return names[signal] ?? "signal \(signal)"
    }
}

/// A child process in a process group of its own, held by its pid and a descriptor of it.
///
/// A value that goes away does not end the child.
package struct ChildProcess: ~Copyable, Sendable {
    /// The child's pid, which is also its process group.
    package let pid: Int32
    private let descriptor: Descriptor

    /// Starts `program` with `arguments` (without its own name) and this process's environment.
    ///
    /// The child reads /dev/null and writes to this process's standard error. With
    /// `becomeParentBound` in the child, it is told when this process dies.
    package init(_ program: String, _ arguments: [String]) throws(SystemError) {
        try self.init(program, arguments, output: nil)
    }

    /// Starts `program`, which is looked for in $PATH when its name has no slash, with its standard
    /// output to `output`.
    package init(
        _ program: String, _ arguments: [String], output: borrowing Descriptor
    ) throws(SystemError) {
        try self.init(program, arguments, output: output.raw)
    }

    private init(
        _ program: String, _ arguments: [String], output: Int32?
    ) throws(SystemError) {
        var pid: Int32 = 0
        var argv: [UnsafeMutablePointer<CChar>?] = unsafe []
        for argument in [program] + arguments { unsafe argv.append(strdup(argument)) }
        unsafe argv.append(nil)
        let code =
            if let output {
                unsafe cl_spawn_to(&pid, program, argv, output)
            } else {
                unsafe cl_spawn(&pid, program, argv)
            }
        unsafe argv.forEach { unsafe free($0) }
        guard code == 0 else { throw SystemError(code, "posix_spawn", program) }
        let fd = cl_pidfd_open(pid)
        guard fd >= 0 else {
            let code = errno
            // Without the descriptor nothing would see its end: it must not be left running.
            _ = Glibc.kill(-pid, SIGKILL)
            _ = waitpid(pid, nil, 0)
            throw SystemError(code, "pidfd_open", program)
        }
        self.pid = pid
        descriptor = Descriptor(owning: fd)
    }

    /// The number that `wait(any:milliseconds:)` takes; it lives as long as this value.
    package var handle: Int32 { descriptor.raw }

    /// Sends `signal` to the child's process group.
    ///
    /// A child that has ended is no error.
    package func signal(_ signal: Int32) {
        _ = Glibc.kill(-pid, signal)
    }

    /// How the child ended, nil while it lives.
    ///
    /// After the first answer the pid may be another's.
    package func poll() throws(SystemError) -> ExitStatus? {
        var status: Int32 = 0
        while true {
            let found = unsafe waitpid(pid, &status, WNOHANG)
            if found == 0 { return nil }
            if found == pid { break }
            let code = errno
            guard code == EINTR else { throw SystemError(code, "waitpid", "\(pid)") }
        }
        if cl_exited(status) != 0 { return .exited(cl_exit_code(status)) }
        return .signalled(cl_term_signal(status))
    }

    /// Waits until one of the children behind `handles` ends, a signal arrives or the time is over.
    package static func wait(any handles: [Int32], milliseconds: Int32) {
        var polled = handles.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        // A failure (EINTR among them) only means an early return: callers ask each child.
        unsafe polled.withUnsafeMutableBufferPointer { buffer in
            _ = unsafe Glibc.poll(buffer.baseAddress, nfds_t(buffer.count), milliseconds)
        }
    }

    /// In a child: asks for SIGTERM when the parent dies; false when it is already gone.
    package static func becomeParentBound(to parent: Int32) -> Bool {
        _ = cl_set_parent_death_signal(SIGTERM)
        return getppid() == parent
    }
}
