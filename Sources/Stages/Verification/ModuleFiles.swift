package import Manifest
package import Platform

/// Opens the files of a module for reading, by the paths of its units.
///
/// Not for use by two threads at once.
package final class ModuleFiles {
    private let cursor: DirectoryCursor
    /// The module's directory.
    package let root: String

    /// Opens the module's directory.
    package init(root: String) throws(Failure) {
        self.root = root
        do {
            cursor = try DirectoryCursor(root: root)
        } catch {
            throw Failure(.module, "module directory \(root) cannot be opened", cause: "\(error)")
        }
    }

    /// The directory that holds the unit, and its name there.
    package func parent(
        of path: [UInt8]
    ) throws(SystemError) -> (directory: OpenDirectory, name: [UInt8]) {
        try cursor.parent(of: path)
    }

    /// Opens a regular file and gives its metadata too.
    ///
    /// - Throws: `SystemError`, also when the path is no regular file any more.
    package func open(_ path: [UInt8]) throws(SystemError) -> OpenFile {
        let (directory, name) = try cursor.parent(of: path)
        let file = try directory.descriptor.openForReading(name)
        let metadata = try file.metadata()
        guard metadata.kind == .file else {
            throw SystemError(Errno.invalid, "open", printable(path))
        }
        return OpenFile(descriptor: file, metadata: metadata)
    }

    /// An open file and what it was when it was opened.
    package struct OpenFile: ~Copyable {
        package let descriptor: Descriptor
        package let metadata: FileMetadata
    }

    /// The unit at `path` as it is now; nil when there is nothing.
    package func unit(at path: [UInt8]) throws(SystemError) -> Unit? {
        do throws(SystemError) {
            let (directory, name) = try cursor.parent(of: path)
            let metadata = try directory.descriptor.metadata(of: name)
            let target =
                metadata.kind == .symlink ? try directory.descriptor.readLink(name) : nil
            let xattrs = try ExtendedAttributes.read(
                path: Array("/proc/self/fd/\(directory.descriptor.raw)/".utf8) + name)
            return Unit(path: path, metadata: metadata, target: target, xattrs: xattrs)
        } catch {
            if error.code == Errno.noEntry || error.code == Errno.notDirectory { return nil }
            throw error
        }
    }

    /// Forgets open directories after something was renamed.
    package func reset() { cursor.reset() }
}
