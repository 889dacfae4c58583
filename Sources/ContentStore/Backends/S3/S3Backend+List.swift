package import Platform

/// Buckets may keep what was removed or replaced.
extension S3Backend: VersionedBackend {
    package func list(
        _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) {
        guard kind != .config else { return }
        try listPages(kind.folder + "/") { objects throws(BackendError) in
            for (key, size) in objects where key.kind == kind {
                if let id = key.id { try each(id, size) }
            }
            return true
        }
    }

    /// `snapshots/`, of which there may be very many, comes last where listings are in order.
    package func listTogether(
        _ each: (_ key: ObjectKey, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) -> Bool {
        var isWhole = true
        var isSorted = true
        var last = ""
        try listPages("") { objects throws(BackendError) in
            for (key, size) in objects {
                isSorted = isSorted && last < key.path
                last = key.path
                if key.kind != .snapshot { try each(key, size) }
            }
            // A page without any object of ours: the bucket holds something else as well.
            isWhole = !objects.isEmpty
            return isWhole && !(isSorted && objects.last?.key.kind == .snapshot)
        }
        return isWhole
    }

    /// Calls `each` with the objects below `folder`, a page at a time, until it returns false.
    private func listPages(
        _ folder: String,
        _ each: (_ objects: [(key: ObjectKey, size: UInt64)]) throws(BackendError) -> Bool
    ) throws(BackendError) {
        var token: String?
        repeat {
            var query = [("list-type", "2")]
            if let token { query.append(("continuation-token", token)) }
            let page = try page(folder, query, root: "ListBucketResult")
            var objects: [(key: ObjectKey, size: UInt64)] = []
            for (name, fields) in page.records where name == "Contents" {
                guard let key = key(fields, page), let size = UInt64(fields["Size"] ?? "")
                else { continue }
                objects.append((key, size))
            }
            guard try each(objects), page.fields["IsTruncated"] == "true" else { return }
            token = try S3Backend.advance(token, page.fields["NextContinuationToken"])
        } while true
    }

    package func knowsVersions() throws(BackendError) -> Bool {
        let (request, response) = try ask("config", [("versions", "")])
        if response.isSuccess {
            _ = try parse(response, root: "ListVersionsResult", request)
            return true
        }
        guard S3Problem(response).isUnknownToServer else { throw error(response, request) }
        return false
    }

    package func objectVersions(
        _ kind: ObjectKind, _ each: (ObjectVersion) throws(BackendError) -> Void
    ) throws(BackendError) {
        var marker: String?
        var version: String?
        repeat {
            var query = [("versions", "")]
            if let marker { query.append(("key-marker", marker)) }
            if let version { query.append(("version-id-marker", version)) }
            let folder = kind == .config ? "config" : kind.folder + "/"
            let page = try page(folder, query, root: "ListVersionsResult")
            for (name, fields) in page.records where ["Version", "DeleteMarker"].contains(name) {
                guard let key = key(fields, page), key.kind == kind else { continue }
                // What was written before the bucket kept versions has the name `null`.
                try each(ObjectVersion(key: key, name: fields["VersionId"] ?? "null"))
            }
            guard page.fields["IsTruncated"] == "true" else { return }
            let next = page.fields["NextKeyMarker"].map { S3Backend.decode($0, page) }
            let nextVersion = page.fields["NextVersionIdMarker"]
            _ = try S3Backend.advance(
                (marker ?? "") + " " + (version ?? ""), next.map { $0 + " " + (nextVersion ?? "") })
            marker = next
            version = nextVersion
        } while true
    }

    package func removeLeftovers(olderThan time: Timestamp) throws(BackendError) -> Int {
        var removed = 0
        var marker: String?
        var upload: String?
        repeat {
            var query = [("uploads", "")]
            if let marker { query.append(("key-marker", marker)) }
            if let upload { query.append(("upload-id-marker", upload)) }
            guard let page = try uploads(query, isFirst: marker == nil) else { return removed }
            for (name, fields) in page.records where name == "Upload" {
                let begun = Array((fields["Initiated"] ?? "").utf8)
                guard let key = key(fields, page), let id = fields["UploadId"],
                    let start = parseRFC3339Nano(begun.span), start < time
                else { continue }
                try abort(key, upload: id)
                removed += 1
            }
            guard page.fields["IsTruncated"] == "true" else { return removed }
            let next = page.fields["NextKeyMarker"].map { S3Backend.decode($0, page) }
            let nextUpload = page.fields["NextUploadIdMarker"]
            _ = try S3Backend.advance(
                (marker ?? "") + " " + (upload ?? ""), next.map { $0 + " " + (nextUpload ?? "") })
            marker = next
            upload = nextUpload
        } while true
    }

    /// A page of unfinished uploads; nil where the server has no such list.
    private func uploads(
        _ query: [(String, String)], isFirst: Bool
    ) throws(BackendError) -> XMLRecords? {
        let (request, response) = try ask("", query)
        if response.isSuccess {
            return try parse(response, root: "ListMultipartUploadsResult", request)
        }
        let problem = S3Problem(response)
        // rclone's server says that there is no such upload where there is none at all.
        if problem.isUnknownToServer || (isFirst && problem.code == "NoSuchUpload") { return nil }
        throw error(response, request)
    }

    /// One page of a listing below `folder`.
    private func page(
        _ folder: String, _ query: [(String, String)], root: String
    ) throws(BackendError) -> XMLRecords {
        let (request, response) = try ask(folder, query)
        guard response.isSuccess else { throw error(response, request) }
        return try parse(response, root: root, request)
    }

    /// Asks for one page of what is below `folder`.
    private func ask(
        _ folder: String, _ query: [(String, String)]
    ) throws(BackendError) -> (S3Request, HTTPResponse) {
        var request = S3Request(.get)
        request.query = query.map { (name: $0.0, value: $0.1) }
        request.query.append(("prefix", prefix + folder))
        request.query.append(("encoding-type", "url"))
        // A page is at most 1000 entries.
        request.limit = 16 << 20
        var body: [UInt8] = []
        var response = try client.send(request, into: &body)
        if response.isSuccess { response.body = body }
        return (request, response)
    }

    /// The object that the entry of a listing is; nil for what is none of ours.
    private func key(_ fields: [String: String], _ page: XMLRecords) -> ObjectKey? {
        guard let text = fields["Key"] else { return nil }
        let name = S3Backend.decode(text, page)
        guard name.hasPrefix(prefix) else { return nil }
        return ObjectKey(path: name.dropFirst(prefix.count))
    }

    /// The place where the next page begins; one that does not advance would never end.
    private static func advance(_ last: String?, _ next: String?) throws(BackendError) -> String {
        guard let next, !next.isEmpty, next != last else {
            throw .temporary(nil, cause: "the server cuts a listing off and does not say where")
        }
        return next
    }

    /// Undoes the encoding that `encoding-type=url` asks for, which not every server heeds.
    private static func decode(_ text: String, _ page: XMLRecords) -> String {
        page.fields["EncodingType"] == "url" ? decode(text) : text
    }

    static func decode(_ text: String) -> String {
        guard text.utf8.contains(0x25) || text.utf8.contains(0x2B) else { return text }
        var output: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == 0x25, rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                output.append(value)
                rest = rest.dropFirst(2)
            } else {
                output.append(byte == 0x2B ? 0x20 : byte)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}

extension ObjectKey {
    /// The key of the object at `path` below the repository's root; nil where no object may be.
    init?(path: Substring) {
        if path == "config" {
            self = .config
            return
        }
        for kind in ObjectKind.allCases where kind != .config && path.hasPrefix(kind.folder + "/") {
            guard let id = Digest(hex: String(path.suffix(64))) else { return nil }
            let key = ObjectKey(kind, id)
            guard key.path == path else { return nil }
            self = key
            return
        }
        return nil
    }
}
