package import Platform

extension Snapshot {
    /// Reads the JSON of a snapshot.
    ///
    /// Unknown fields are passed over.
    ///
    /// Throws a `store` failure when it is damaged or names no tree.
    package static func decode(_ json: [UInt8]) throws(Failure) -> Snapshot {
        let what = "a snapshot"
        let fields = try SmallJSON.decode(Fields.self, json, what)
        guard let tree = Digest(hex: fields.tree) else {
            throw Failure(.store, "\(what) is damaged", cause: "its tree is no 64 hex digits")
        }
        return Snapshot(
            time: try SmallJSON.time(fields.time, what), tree: tree, paths: fields.paths ?? [],
            hostname: fields.hostname ?? "", username: fields.username ?? "",
            uid: fields.uid ?? 0, gid: fields.gid ?? 0, tags: fields.tags ?? [],
            parent: try digest(fields.parent, "parent"), excludes: fields.excludes ?? [],
            original: try digest(fields.original, "original"),
            programVersion: fields.program_version ?? "",
            summary: try fields.summary.map { fields throws(Failure) in try fields.summary() })
    }

    private static func digest(_ hex: String?, _ field: String) throws(Failure) -> Digest? {
        guard let hex, !hex.isEmpty else { return nil }
        guard let id = Digest(hex: hex) else {
            throw Failure(
                .store, "a snapshot is damaged", cause: "its \(field) is no 64 hex digits")
        }
        return id
    }

    // The names are those of the format.
    private struct Fields: Decodable {
        var time: String
        var parent: String?
        var tree: String
        var paths: [String]?
        var hostname: String?
        var username: String?
        var uid: UInt32?
        var gid: UInt32?
        var excludes: [String]?
        var tags: [String]?
        var original: String?
        var program_version: String?
        var summary: SummaryFields?
    }

    private struct SummaryFields: Decodable {
        var backup_start: String
        var backup_end: String
        var files_new: UInt64?
        var files_changed: UInt64?
        var files_unmodified: UInt64?
        var dirs_new: UInt64?
        var dirs_changed: UInt64?
        var dirs_unmodified: UInt64?
        var data_blobs: Int64?
        var tree_blobs: Int64?
        var data_added: UInt64?
        var data_added_packed: UInt64?
        var total_files_processed: UInt64?
        var total_bytes_processed: UInt64?

        func summary() throws(Failure) -> Summary {
            var summary = Summary(
                start: try SmallJSON.time(backup_start, "a snapshot's summary"),
                end: try SmallJSON.time(backup_end, "a snapshot's summary"))
            summary.filesNew = files_new ?? 0
            summary.filesChanged = files_changed ?? 0
            summary.filesUnmodified = files_unmodified ?? 0
            summary.dirsNew = dirs_new ?? 0
            summary.dirsChanged = dirs_changed ?? 0
            summary.dirsUnmodified = dirs_unmodified ?? 0
            summary.dataBlobs = data_blobs ?? 0
            summary.treeBlobs = tree_blobs ?? 0
            summary.dataAdded = data_added ?? 0
            summary.dataAddedPacked = data_added_packed ?? 0
            summary.totalFilesProcessed = total_files_processed ?? 0
            summary.totalBytesProcessed = total_bytes_processed ?? 0
            return summary
        }
    }
}
