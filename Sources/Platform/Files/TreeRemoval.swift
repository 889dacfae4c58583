/// Removes whole directories without following symlinks or leaving them.
package enum TreeRemoval {
    private final class Level {
        let directory: OpenDirectory
        let name: [UInt8]
        var names: [[UInt8]]

        init(_ directory: OpenDirectory, _ name: [UInt8], _ names: [[UInt8]]) {
            self.directory = directory
            self.name = name
            self.names = names
        }
    }

    /// The deepest directory that is removed: a descriptor is held for each level.
    private static let depthLimit = 4096

    /// Removes `name` of `parent` with everything below it and returns how many entries went.
    ///
    /// Descends without recursion; each level is opened below the one before, never by a path.
    package static func remove(
        _ name: [UInt8], in parent: OpenDirectory
    ) throws(SystemError) -> UInt64 {
        guard try parent.descriptor.metadata(of: name).kind == .directory else {
            try parent.descriptor.unlink(name)
            return 1
        }
        var removed: UInt64 = 0
        var levels = [try open(name, in: parent)]
        while let level = levels.last {
            guard let next = level.names.popLast() else {
                levels.removeLast()
                let above = levels.last?.directory ?? parent
                try above.descriptor.removeDirectory(level.name)
                removed += 1
                continue
            }
            if try level.directory.descriptor.metadata(of: next).kind == .directory {
                guard levels.count < depthLimit else {
                    throw SystemError(Errno.nameTooLong, "unlinkat", printable(name))
                }
                levels.append(try open(next, in: level.directory))
            } else {
                try level.directory.descriptor.unlink(next)
                removed += 1
            }
        }
        return removed
    }

    private static func open(
        _ name: [UInt8], in parent: OpenDirectory
    ) throws(SystemError) -> Level {
        let directory = OpenDirectory(
            try parent.descriptor.open(name, [.readOnly, .directory, .noFollow]))
        return Level(directory, name, try directory.descriptor.names())
    }
}
