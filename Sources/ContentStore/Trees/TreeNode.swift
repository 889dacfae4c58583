package import Platform

/// One entry of a restic tree: a name in a directory and all that is kept of it.
///
/// The fields and their JSON are those of restic's `data.Node`. Times that the JSON leaves out
/// decode as Go's zero time, 0001-01-01.
package struct TreeNode: Sendable, Equatable {
    /// The name as the file system has it: any bytes but `/` and NUL.
    package var name: [UInt8]
    /// What the entry is.
    package var kind: FileKind
    /// The permission bits with setuid, setgid and sticky: mode & 0o7777.
    package var permissions: UInt32
    /// When the content last changed.
    package var mtime: Timestamp
    /// When it was last read; restic writes mtime here unless told otherwise.
    package var atime: Timestamp
    /// When the inode last changed.
    package var ctime: Timestamp
    /// The owner's number.
    package var uid: UInt32
    /// The group's number.
    package var gid: UInt32
    /// The owner's name; empty when it has none.
    package var user: String
    /// The group's name; empty when it has none.
    package var group: String
    /// The inode number; 0 leaves it out.
    package var inode: UInt64
    /// The device that the file lies on; 0 leaves it out.
    package var deviceID: UInt64
    /// Bytes of content: for a file the sum of its blobs.
    package var size: UInt64
    /// The count of hard links; 0 leaves it out.
    package var links: UInt64
    /// Where a symlink points to, as the file system has it.
    package var linkTarget: [UInt8]?
    /// Extended attributes in the order of the tree.
    package var xattrs: [ExtendedAttribute]
    /// The device that a chardev or blockdev stands for, as dev_t; 0 leaves it out.
    package var rdev: UInt64
    /// The blobs of a file in order, empty for an empty file; nil for everything else.
    package var content: [Digest]?
    /// The tree of a directory.
    package var subtree: Digest?
    /// What restic noted when it could not read the entry whole.
    package var error: String?

    /// Makes a node; what is not given is left out of the JSON.
    package init(
        name: [UInt8], kind: FileKind, permissions: UInt32, mtime: Timestamp, atime: Timestamp,
        ctime: Timestamp, uid: UInt32 = 0, gid: UInt32 = 0, user: String = "", group: String = "",
        inode: UInt64 = 0, deviceID: UInt64 = 0, size: UInt64 = 0, links: UInt64 = 0,
        linkTarget: [UInt8]? = nil, xattrs: [ExtendedAttribute] = [], rdev: UInt64 = 0,
        content: [Digest]? = nil, subtree: Digest? = nil, error: String? = nil
    ) {
        self.name = name
        self.kind = kind
        self.permissions = permissions
        self.mtime = mtime
        self.atime = atime
        self.ctime = ctime
        self.uid = uid
        self.gid = gid
        self.user = user
        self.group = group
        self.inode = inode
        self.deviceID = deviceID
        self.size = size
        self.links = links
        self.linkTarget = linkTarget
        self.xattrs = xattrs
        self.rdev = rdev
        self.content = content
        self.subtree = subtree
        self.error = error
    }
}
