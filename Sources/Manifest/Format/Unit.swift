package import Platform

/// One line of a list about one file or directory of a module.
///
/// The manifest fills `path` to `error`; each later stage adds its own part.
package struct Unit: Sendable, Equatable {
    /// Relative to the module, components joined by `/`; empty for the module's root itself.
    package var path: [UInt8]
    /// What statx said; all zero but the kind when statx failed (then `error` is set).
    package var metadata: FileMetadata
    /// Where a symlink points to; nil for every other kind.
    package var target: [UInt8]?
    /// The extended attributes, sorted by name.
    package var xattrs: [ExtendedAttribute]
    /// What went wrong with this unit.
    ///
    /// On a directory: its children may be missing from the list.
    package var error: UnitError?
    package var check: CheckResult?
    /// What repair did, if it had anything to do.
    package var repair: RepairResult? {
        get { repairBox?.value }
        set { repairBox = newValue.map { Box($0) } }
    }
    // Few units have one, and inline it would make every copy of a unit a third larger.
    private var repairBox: Box<RepairResult>?
    package var content: ContentResult?

    package init(
        path: [UInt8], metadata: FileMetadata, target: [UInt8]? = nil,
        xattrs: [ExtendedAttribute] = [], error: UnitError? = nil, check: CheckResult? = nil,
        repair: RepairResult? = nil, content: ContentResult? = nil
    ) {
        self.path = path
        self.metadata = metadata
        self.target = target
        self.xattrs = xattrs
        self.error = error
        self.check = check
        repairBox = repair.map { Box($0) }
        self.content = content
    }
}

/// The system call that failed for a unit, and its errno.
package struct UnitError: Error, Sendable, Equatable {
    /// The call, as in its manual page: `openat`.
    package var call: String
    /// The value of errno.
    package var code: Int32

    package init(call: String, code: Int32) {
        self.call = call
        self.code = code
    }

    /// The part of a system error that belongs to the unit: its path is known already.
    package init(_ error: SystemError) {
        self.init(call: error.call, code: error.code)
    }
}

/// A value on the heap.
private final class Box<Value: Sendable & Equatable>: Sendable, Equatable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }

    static func == (a: Box, b: Box) -> Bool { a === b || a.value == b.value }
}
