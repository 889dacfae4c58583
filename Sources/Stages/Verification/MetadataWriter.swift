package import Manifest
package import Platform

/// Gives a file that was just made the metadata of a unit.
package enum MetadataWriter {
    /// Owner (when asked for), extended attributes, permissions, time: in this order, because
    /// changing the owner clears setuid bits, and everything moves the time.
    ///
    /// - Parameter owners: set owner and group; only root may.
    /// - Throws: the first thing that could not be set; everything else is set all the same, so
    ///   that no file is left with the setuid bits cleared and not put back.
    package static func apply(
        _ unit: Unit, name: [UInt8], in directory: OpenDirectory, owners: Bool
    ) throws(SystemError) {
        let metadata = unit.metadata
        var problem: SystemError?
        var isOwned = true
        if !effectiveUserIsRoot && metadata.kind != .directory {
            let now = try directory.descriptor.metadata(of: name)
            isOwned = now.uid == metadata.uid && now.gid == metadata.gid
        }
        if owners && effectiveUserIsRoot {
            do throws(SystemError) {
                try directory.descriptor.setOwner(name, uid: metadata.uid, gid: metadata.gid)
            } catch {
                isOwned = false
                problem = error
            }
        }
        for attribute in unit.xattrs {
            do throws(SystemError) {
                try ExtendedAttributes.set(path: path(name, in: directory), attribute)
            } catch {
                // The path in the error is one of this process's own.
                problem =
                    problem ?? SystemError(error.code, error.call, printable(attribute.name))
            }
        }
        do throws(SystemError) {
            if metadata.kind != .symlink {
                try directory.descriptor.setPermissions(
                    name, permissions(of: metadata.permissions, isOwned: isOwned))
            }
        } catch {
            problem = problem ?? error
        }
        do throws(SystemError) {
            try directory.descriptor.setModified(name, metadata.mtime)
        } catch {
            problem = problem ?? error
        }
        if let problem { throw problem }
    }

    /// The permissions that a file gets when its owner or group may not be the right one: what
    /// was meant for them is not given to others, setuid least of all.
    package static func permissions(of permissions: UInt32, isOwned: Bool) -> UInt32 {
        if isOwned { return permissions }
        return permissions & (effectiveUserIsRoot ? 0o700 : 0o1777)
    }

    /// A path that leads to `name` in an open directory, for calls that take paths only.
    package static func path(_ name: [UInt8], in directory: OpenDirectory) -> [UInt8] {
        Array("/proc/self/fd/\(directory.descriptor.raw)/".utf8) + name
    }
}
