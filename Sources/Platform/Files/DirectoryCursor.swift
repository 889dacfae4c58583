/// An open directory that several owners may hold.
package final class OpenDirectory: Sendable {
    package let descriptor: Descriptor

    package init(_ descriptor: consuming Descriptor) {
        self.descriptor = descriptor
    }
}

/// Opens directories below a root, component by component, never following a symlink and never
/// leaving the root; remembers those on the way to the last one, because lists come in path order.
///
/// Paths may be of any depth and length. At most `keep` directories are open at a time.
package final class DirectoryCursor {
    private static let keep = 64

    private let root: OpenDirectory
    // The components of the last directory; `open` has the same count, nil for closed ones.
    private var names: [[UInt8]] = []
    private var open: [OpenDirectory?] = []

    /// Opens the root; the path to the root itself may lead through symlinks.
    package init(root path: String) throws(SystemError) {
        root = OpenDirectory(try Descriptor.open(path, [.readOnly, .directory]))
    }

    /// The root itself.
    package var rootDirectory: OpenDirectory { root }

    /// The directory `path` relative to the root; empty for the root itself.
    ///
    /// - Throws: ELOOP or ENOTDIR when a component is a symlink or no directory, EINVAL for a
    ///   component that is `.` or `..`.
    package func directory(_ path: ArraySlice<UInt8>) throws(SystemError) -> OpenDirectory {
        let wanted = path.split(separator: 0x2F)
        var shared = 0
        while shared < min(wanted.count, names.count), names[shared].elementsEqual(wanted[shared]) {
            shared += 1
        }
        names.removeLast(names.count - shared)
        open.removeLast(open.count - shared)
        // The innermost directory on the shared way that is still open.
        var depth = shared
        while depth > 0, open[depth - 1] == nil { depth -= 1 }
        var current = depth == 0 ? root : open[depth - 1] ?? root
        while depth < wanted.count {
            let name = Array(wanted[depth])
            guard name != [0x2E], name != [0x2E, 0x2E] else {
                throw SystemError(Errno.invalid, "openat", printable(name))
            }
            current = OpenDirectory(
                try current.descriptor.open(name, [.readOnly, .directory, .noFollow]))
            if depth < names.count {
                open[depth] = current
            } else {
                names.append(name)
                open.append(current)
            }
            depth += 1
            if depth > DirectoryCursor.keep { open[depth - 1 - DirectoryCursor.keep] = nil }
        }
        return current
    }

    /// The directory that holds `path`, and the last component.
    ///
    /// The root has no parent: EINVAL.
    package func parent(
        of path: [UInt8]
    ) throws(SystemError) -> (directory: OpenDirectory, name: [UInt8]) {
        guard !path.isEmpty else { throw SystemError(Errno.invalid, "openat") }
        let slash = path.lastIndex(of: 0x2F)
        let name = slash.map { Array(path[($0 + 1)...]) } ?? path
        return (try directory(slash.map { path[..<$0] } ?? []), name)
    }

    /// Forgets what it holds open below the root, after directories were renamed or removed.
    package func reset() {
        names = []
        open = []
    }
}

extension Descriptor {
    /// Opens the file `name` of this directory to read, without changing its access time where
    /// that is allowed, without following a symlink and without waiting for a fifo's writer.
    package func openForReading(_ name: [UInt8]) throws(SystemError) -> Descriptor {
        do throws(SystemError) {
            return try open(name, [.readOnly, .noFollow, .noBlock, .noATime])
        } catch {
            // Only the owner may leave the access time alone.
            guard error.code == Errno.permission else { throw error }
            return try open(name, [.readOnly, .noFollow, .noBlock])
        }
    }
}
