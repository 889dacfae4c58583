package import Manifest
internal import Platform

extension Unit {
    /// Whether nothing of this unit's metadata speaks for a change since `stored`, the same path
    /// in the last snapshot: then its content is taken for the same without reading it.
    ///
    /// Files: size, mtime, ctime and inode. A baseline that was rebuilt from the store has neither
    /// inode nor ctime; then mode and owner count instead. Everything else: what a snapshot keeps.
    package func isUnchanged(since stored: Unit) -> Bool {
        let now = metadata
        let then = stored.metadata
        guard now.kind == then.kind, now.mtime == then.mtime else { return false }
        if now.kind == .file && then.inode != 0 {
            return now.size == then.size && now.ctime == then.ctime && now.inode == then.inode
        }
        return now.size == then.size && now.permissions == then.permissions && now.uid == then.uid
            && now.gid == then.gid && now.rdev == then.rdev && target == stored.target
            && xattrs == stored.xattrs
    }

    /// Whether this is below the directory `path`.
    package func isBelow(_ path: [UInt8]) -> Bool {
        path.isEmpty
            ? !self.path.isEmpty
            : self.path.count > path.count && self.path[path.count] == 0x2F
                && self.path.starts(with: path)
    }
}

/// Merges a batch with the units of the last snapshot in the same range: calls `each` in path
/// order with a unit, or its index among the batch's units and what the snapshot has at its path,
/// or only the latter.
package func forEachPair(
    _ units: [Unit], _ stored: [Unit],
    _ each: (_ index: Int?, _ stored: Unit?) throws -> Void
) rethrows {
    var j = 0
    for i in units.indices {
        while j < stored.count, comparePaths(stored[j].path, units[i].path) < 0 {
            try each(nil, stored[j])
            j += 1
        }
        if j < stored.count, stored[j].path == units[i].path {
            try each(i, stored[j])
            j += 1
        } else {
            try each(i, nil)
        }
    }
    while j < stored.count {
        try each(nil, stored[j])
        j += 1
    }
}
