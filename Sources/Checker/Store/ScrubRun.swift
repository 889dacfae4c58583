/// What a run read at one place.
package struct ScrubRun: Sendable, Equatable {
    package var objects = 0
    package var bytes: UInt64 = 0
    /// What there was to read.
    package var dueObjects = 0
    package var dueBytes: UInt64 = 0
    /// Known before the run, or found by it, and not read yet when it ended.
    package var isStopped = false

    package init() {}
}
