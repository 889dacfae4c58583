internal import ContentStore
internal import Manifest
internal import Platform

/// Units of the past, from the nodes of a snapshot's trees.
///
/// Snapshots do not keep inode numbers and the times of inodes in a form that can be compared:
/// both are 0, which means unknown, see `Unit.isUnchanged`.
enum RebuiltUnit {
    /// The unit of the module's directory.
    static func root(_ node: TreeNode?) -> Unit {
        guard let node else { return Unit(path: [], metadata: FileMetadata(kind: .directory)) }
        return unit(node, [])
    }

    /// The unit at `path` that `node` was made of.
    static func unit(_ node: TreeNode, _ path: [UInt8]) -> Unit {
        var metadata = FileMetadata(kind: node.kind)
        metadata.permissions = node.permissions
        metadata.uid = node.uid
        metadata.gid = node.gid
        metadata.mtime = node.mtime
        metadata.rdev = node.rdev
        metadata.links = UInt32(clamping: node.links)
        switch node.kind {
        case .file: metadata.size = node.size
        // As statx gives it; trees leave it out.
        case .symlink: metadata.size = UInt64(node.linkTarget?.count ?? 0)
        case .directory, .fifo, .socket, .chardev, .blockdev: break
        }
        return Unit(
            path: path, metadata: metadata, target: node.linkTarget, xattrs: node.xattrs,
            content: node.content.map { ContentResult(ids: $0) })
    }
}
