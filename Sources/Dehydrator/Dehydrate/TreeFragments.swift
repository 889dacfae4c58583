internal import ContentStore
internal import Manifest
internal import Platform

/// The tree nodes of one batch, encoded on the working thread: for everything but directories the
/// JSON is ready, so that the one thread that builds trees only copies bytes.
struct TreeFragments: Sendable {
    /// One unit's place in the tree.
    struct Item: Sendable {
        var path: [UInt8]
        /// The node's JSON in `bytes`; empty for directories.
        var json: Range<Int>
        /// The directory's node, whose subtree is not known yet.
        var directory: TreeNode?
        /// A node that carries the number of a device other than the module's own: numbers are
        /// given in path order, so it is encoded by whoever builds the trees.
        var foreign: (node: TreeNode, device: UInt64)?
    }

    var bytes: [UInt8] = []
    var items: [Item] = []

    /// The nodes of units as a list of dehydrate holds them: all but those that could not be
    /// stored.
    ///
    /// - Parameter root: the device of the module's directory.
    init(_ units: [Unit], root: UInt64) throws(Failure) {
        bytes.reserveCapacity(units.count * 360)
        items.reserveCapacity(units.count)
        var encoder = TreeEncoder()
        for unit in units where unit.error == nil || unit.metadata.kind == .directory {
            let node = TreeFragments.node(unit)
            let device = unit.metadata.device
            if unit.metadata.kind == .directory {
                items.append(Item(path: unit.path, json: 0..<0, directory: node))
            } else if node.inode != 0 && device != root {
                items.append(Item(path: unit.path, json: 0..<0, foreign: (node, device)))
            } else {
                let start = bytes.count
                try encoder.appendNode(node, into: &bytes)
                items.append(Item(path: unit.path, json: start..<bytes.count))
            }
        }
    }

    /// The node of a unit.
    ///
    /// The same state of a module gives the same bytes: times that reading moves are left out, and
    /// inode and device too unless they tell hard links.
    static func node(_ unit: Unit) -> TreeNode {
        let metadata = unit.metadata
        let name = unit.path.lastIndex(of: 0x2F).map { Array(unit.path[($0 + 1)...]) } ?? unit.path
        var node = TreeNode(
            name: name, kind: metadata.kind, permissions: metadata.permissions,
            mtime: metadata.mtime, atime: metadata.mtime, ctime: metadata.mtime)
        node.uid = metadata.uid
        node.gid = metadata.gid
        node.xattrs = unit.xattrs
        if metadata.kind != .directory { node.links = UInt64(metadata.links) }
        if metadata.kind == .file {
            node.size = metadata.size
            node.content = unit.content?.ids ?? []
            if metadata.links > 1 {
                node.inode = metadata.inode
            }
        }
        node.linkTarget = unit.target
        node.rdev = metadata.rdev
        return node
    }
}

/// Gives the devices of a module small numbers in path order, the module's own being 0: device ids
/// of the system differ from boot to boot, and the tree must not.
struct DeviceNumbers {
    private var numbers: [UInt64]

    /// - Parameter root: the device of the module's directory.
    init(root: UInt64) {
        numbers = [root]
    }

    mutating func number(of device: UInt64) -> UInt64 {
        if let i = numbers.firstIndex(of: device) { return UInt64(i) }
        numbers.append(device)
        return UInt64(numbers.count - 1)
    }
}
