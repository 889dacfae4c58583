/// Makes what is written to a file system durable while more is written, so that little is left to
/// wait for at the end.
///
/// Works on one descriptor from beginning to end: syncfs(2) tells each descriptor of the failures
/// since it was opened, and once. Not for use by two threads at once.
package final class BackgroundSync {
    /// Bytes that are written between two syncs.
    private static let step: UInt64 = 64 << 20
    /// What a file costs beside its content: inode and name.
    private static let fileCost: UInt64 = 4096

    private struct State {
        var isDue = false
        var isClosed = false
        var failure: SystemError?
    }

    private let directory: OpenDirectory
    private let state = Monitor(State())
    private var thread: DedicatedThread?
    private var pending: UInt64 = 0

    /// Syncs the file system that `directory` is on.
    package init(_ directory: OpenDirectory) {
        self.directory = directory
    }

    deinit { end() }

    /// Takes note of what was written.
    package func wrote(bytes: UInt64, files: UInt64) {
        pending += bytes + files * BackgroundSync.fileCost
        guard pending >= BackgroundSync.step else { return }
        pending = 0
        state.with { $0.isDue = true }
        if thread == nil {
            thread = DedicatedThread(name: "sync") { [directory, state] in
                BackgroundSync.run(directory, state)
            }
        }
    }

    /// Makes everything durable that was written until now.
    ///
    /// - Throws: `SystemError` also for what failed in the background.
    package func finish() throws(SystemError) {
        end()
        if let failure = state.with({ $0.failure }) { throw failure }
        try directory.descriptor.syncFileSystem()
    }

    private func end() {
        state.with { $0.isClosed = true }
        thread?.join()
        thread = nil
    }

    private static func run(_ directory: OpenDirectory, _ state: Monitor<State>) {
        while true {
            let isDue = state.wait { state -> Bool? in
                if state.isClosed { return false }
                guard state.isDue else { return nil }
                state.isDue = false
                return true
            }
            guard isDue else { return }
            do throws(SystemError) {
                try directory.descriptor.syncFileSystem()
            } catch {
                return state.with { $0.failure = error }
            }
        }
    }
}
