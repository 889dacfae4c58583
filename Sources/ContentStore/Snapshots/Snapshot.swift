package import Platform

/// A snapshot: the root of one tree at one time.
package struct Snapshot: Sendable, Equatable {
    package var time: Timestamp
    /// The snapshot that the writer compared with.
    package var parent: Digest?
    /// The root tree's blob id.
    package var tree: Digest
    /// What was stored; host and paths group snapshots for `restic forget`.
    package var paths: [String]
    package var hostname: String
    package var username: String
    package var uid: UInt32
    package var gid: UInt32
    package var excludes: [String]
    package var tags: [String]
    /// The snapshot that this one is a rewritten form of.
    package var original: Digest?
    /// The program that wrote it: `cistern 0.1.0`.
    package var programVersion: String
    /// What writing it did, for reports (restic ≥ 0.17).
    package var summary: Summary?

    /// The numbers of one backup, with restic's names.
    package struct Summary: Sendable, Equatable {
        package var start: Timestamp
        package var end: Timestamp
        package var filesNew: UInt64 = 0
        package var filesChanged: UInt64 = 0
        package var filesUnmodified: UInt64 = 0
        package var dirsNew: UInt64 = 0
        package var dirsChanged: UInt64 = 0
        package var dirsUnmodified: UInt64 = 0
        package var dataBlobs: Int64 = 0
        package var treeBlobs: Int64 = 0
        /// Plain bytes that were new.
        package var dataAdded: UInt64 = 0
        /// The same as stored.
        package var dataAddedPacked: UInt64 = 0
        package var totalFilesProcessed: UInt64 = 0
        package var totalBytesProcessed: UInt64 = 0

        /// A summary of zeros.
        package init(start: Timestamp, end: Timestamp) {
            self.start = start
            self.end = end
        }
    }

    package init(
        time: Timestamp, tree: Digest, paths: [String], hostname: String = "",
        username: String = "", uid: UInt32 = 0, gid: UInt32 = 0, tags: [String] = [],
        parent: Digest? = nil, excludes: [String] = [], original: Digest? = nil,
        programVersion: String = "", summary: Summary? = nil
    ) {
        self.time = time
        self.parent = parent
        self.tree = tree
        self.paths = paths
        self.hostname = hostname
        self.username = username
        self.uid = uid
        self.gid = gid
        self.excludes = excludes
        self.tags = tags
        self.original = original
        self.programVersion = programVersion
        self.summary = summary
    }

    /// The JSON, with fields in restic's order and empty ones left out as restic does.
    package func encode() -> [UInt8] {
        var json = JSONObject()
        json.add("time", time)
        if let parent { json.add("parent", parent.description) }
        json.add("tree", tree.description)
        json.add("paths", paths)
        if !hostname.isEmpty { json.add("hostname", hostname) }
        if !username.isEmpty { json.add("username", username) }
        if uid != 0 { json.add("uid", uid) }
        if gid != 0 { json.add("gid", gid) }
        if !excludes.isEmpty { json.add("excludes", excludes) }
        if !tags.isEmpty { json.add("tags", tags) }
        if let original { json.add("original", original.description) }
        if !programVersion.isEmpty { json.add("program_version", programVersion) }
        if let summary { json.add("summary", summary.encode()) }
        return json.finished
    }
}

extension Snapshot.Summary {
    fileprivate func encode() -> JSONObject {
        var json = JSONObject()
        json.add("backup_start", start)
        json.add("backup_end", end)
        json.add("files_new", filesNew)
        json.add("files_changed", filesChanged)
        json.add("files_unmodified", filesUnmodified)
        json.add("dirs_new", dirsNew)
        json.add("dirs_changed", dirsChanged)
        json.add("dirs_unmodified", dirsUnmodified)
        json.add("data_blobs", dataBlobs)
        json.add("tree_blobs", treeBlobs)
        json.add("data_added", dataAdded)
        json.add("data_added_packed", dataAddedPacked)
        json.add("total_files_processed", totalFilesProcessed)
        json.add("total_bytes_processed", totalBytesProcessed)
        return json
    }
}
