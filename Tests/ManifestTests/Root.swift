import Foundation
import Platform

/// What only root can do.
enum Root {
    /// Whether this process may do everything.
    static var isEffective: Bool { geteuid() == 0 }

    /// Runs a command; whether it ended well.
    static func run(_ command: String...) throws -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = command
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus == 0
    }

    /// Runs `body` on a thread that is the user nobody, as are the threads it starts.
    static func asNobody<R: Sendable>(_ body: @escaping @Sendable () throws -> R) throws -> R {
        let result = Monitor<Result<R, any Error>?>(nil)
        let thread = DedicatedThread(name: "nobody") {
            // Changes this thread alone, and takes its rights over other users' files away.
            _ = setfsuid(65534)
            let outcome = Result { try body() }
            result.with { $0 = outcome }
        }
        thread.join()
        return try result.wait { $0 }.get()
    }
}

// glibc's header for it is in no module.
@_silgen_name("setfsuid") private func setfsuid(_ uid: UInt32) -> Int32
