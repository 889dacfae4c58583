/// How a module is walked.
package struct WalkOptions: Sendable {
    /// The most units that one chunk has.
    package var chunkUnits = 1024
    /// A chunk ends with the unit that brings the sum of its file sizes over this many bytes.
    package var chunkBytes: UInt64 = 256 << 20
    /// A chunk ends with the unit that brings the sum of its path lengths over this many bytes:
    /// paths of a deep tree can be 100 kB each.
    package var chunkPathBytes = 4 << 20
    /// How many threads read ahead.
    package var threads = 2
    /// What is left out.
    package var excludes = Excludes()
    /// Whether directories of other file systems are listed but not descended.
    package var oneFileSystem = false
    /// Whether the unit that a walk resumes after carries an error: then that its directory cannot
    /// be read is known already and told by that unit.
    package var resumedUnitHasError = false

    package init() {}
}
