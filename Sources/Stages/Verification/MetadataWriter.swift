package import Manifest
package import Platform

/// Gives a file that was just made the metadata of a unit.
package enum MetadataWriter {
    /// Owner (when asked for), extended attributes, permissions, time: in this order, because
    /// changing the owner clears setuid bits, and everything moves the time.
    ///
    /// - Parameter owners: set owner and group; only root may.
    package static func apply(
        _ unit: Unit, name: [UInt8], in directory: OpenDirectory, owners: Bool
    ) throws(SystemError) {
        let metadata = unit.metadata
        if owners && effectiveUserIsRoot {
            try directory.descriptor.setOwner(name, uid: metadata.uid, gid: metadata.gid)
        }
        for attribute in unit.xattrs {
            try ExtendedAttributes.set(path: path(name, in: directory), attribute)
        }
        if metadata.kind != .symlink {
            // As root the owner is right by now; for others it is whoever runs this.
            let isOwned =
                effectiveUserIsRoot || metadata.kind == .directory
                || (metadata.uid == effectiveUserID && metadata.gid == effectiveGroupID)
            try directory.descriptor.setPermissions(
                name, permissions(of: metadata.permissions, isOwned: isOwned))
        }
        try directory.descriptor.setModified(name, metadata.mtime)
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
