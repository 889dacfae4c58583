internal import CLinux
internal import Glibc

/// What a program wrote, and how it ended.
package struct CommandOutput: Sendable, Equatable {
    package var status: ExitStatus
    /// Its standard output.
    package var bytes: [UInt8]

    /// Why there is no output to be had.
    package enum Trouble: Error, Equatable {
        case system(SystemError)
        /// It had not ended after so many seconds.
        case tooSlow
        /// It wrote more than so many bytes.
        case tooMuch
    }

    /// Runs `program`, without a shell, to its end, and takes what it writes to standard output.
    ///
    /// It reads /dev/null, and writes errors to this process's standard error. When it is too slow
    /// or writes too much, it and those that it has started are killed.
    ///
    /// - Parameters:
    ///   - program: a path, or a name that is looked for in $PATH.
    ///   - limit: bytes.
    package static func of(
        _ program: String, _ arguments: [String], limit: Int, seconds: Double
    ) throws(Trouble) -> CommandOutput {
        do throws(SystemError) {
            var ends: [Int32] = [-1, -1]
            guard unsafe cl_pipe(&ends) == 0 else { throw SystemError(errno, "pipe", program) }
            let output = Descriptor(owning: ends[0])
            let input = Descriptor(owning: ends[1])
            _ = cl_fcntl(output.raw, F_SETFL, O_NONBLOCK)
            let child = try ChildProcess(program, arguments, output: input)
            // Else the end of its output would never be seen.
            try input.close()
            return try collect(
                child, output, limit: limit, deadline: monotonicSeconds() + seconds)
        } catch {
            switch error.code {
            case ETIMEDOUT: throw .tooSlow
            case EFBIG: throw .tooMuch
            default: throw .system(error)
            }
        }
    }

    private static func collect(
        _ child: borrowing ChildProcess, _ output: borrowing Descriptor, limit: Int,
        deadline: Double
    ) throws(SystemError) -> CommandOutput {
        var bytes: [UInt8] = []
        do throws(SystemError) {
            var isOpen = true
            while true {
                let status = try child.poll()
                while isOpen {
                    // After its end what is there is all: one that it left behind may hold the
                    // pipe open for ever.
                    guard let count = try available(output, &bytes, limit) else { break }
                    isOpen = count > 0
                }
                if let status { return CommandOutput(status: status, bytes: bytes) }
                let left = deadline - monotonicSeconds()
                guard left > 0 else { throw SystemError(ETIMEDOUT, "wait") }
                let handles = isOpen ? [child.handle, output.raw] : [child.handle]
                ChildProcess.wait(any: handles, milliseconds: Int32(min(left * 1000, 60_000) + 1))
            }
        } catch {
            child.signal(Signal.kill)
            // It dies at once; without this it would stay as a zombie.
            while (try? child.poll()) == .some(nil) {
                ChildProcess.wait(any: [child.handle], milliseconds: 100)
            }
            throw error
        }
    }

    /// Reads what is there: nil when nothing is yet, 0 at the end.
    private static func available(
        _ output: borrowing Descriptor, _ bytes: inout [UInt8], _ limit: Int
    ) throws(SystemError) -> Int? {
        do throws(SystemError) {
            let count = try output.read(appending: &bytes, upTo: 4096)
            guard bytes.count <= limit else { throw SystemError(EFBIG, "read") }
            return count
        } catch {
            guard error.code == EAGAIN else { throw error }
            return nil
        }
    }
}
