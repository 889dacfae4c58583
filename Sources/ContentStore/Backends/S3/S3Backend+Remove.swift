internal import Platform

extension S3Backend {
    /// As many keys as one request may name.
    private static let batchSize = 1000

    package func remove(_ key: ObjectKey) throws(BackendError) {
        let request = request(.delete, key)
        let none: [UInt8] = []
        let response = try client.send(request, body: none.span)
        if response.isSuccess { return }
        let found = error(response, request)
        if case .missing = found { return }
        throw found
    }

    package func remove(_ keys: [ObjectKey]) throws(BackendError) {
        guard keys.count > 1 else {
            if let only = keys.first { try remove(only) }
            return
        }
        var rest = keys[...]
        while !rest.isEmpty {
            let batch = rest.prefix(S3Backend.batchSize)
            rest = rest.dropFirst(batch.count)
            guard try !removeBatch(batch.map { ($0, nil) }) else { continue }
            for key in batch { try remove(key) }
        }
    }

    package func removeObjectVersions(_ versions: [ObjectVersion]) throws(BackendError) {
        var rest = versions[...]
        while !rest.isEmpty {
            let batch = rest.prefix(S3Backend.batchSize)
            rest = rest.dropFirst(batch.count)
            guard try removeBatch(batch.map { ($0.key, $0.name) }) else {
                throw .refused(nil, cause: "the server does not delete versions of objects")
            }
        }
    }

    /// Removes objects, or versions of them where one is named.
    ///
    /// - Returns: false when the server does not take several in one request.
    private func removeBatch(
        _ batch: [(key: ObjectKey, version: String?)]
    ) throws(BackendError) -> Bool {
        var text = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>"
        for each in batch {
            text += "<Object><Key>\(S3Backend.escape(prefix + each.key.path))</Key>"
            if let version = each.version {
                text += "<VersionId>\(S3Backend.escape(version))</VersionId>"
            }
            text += "</Object>"
        }
        let body = Array((text + "</Delete>").utf8)
        var request = S3Request(.post)
        request.query = [("delete", "")]
        request.payload = SHA256Hasher.hash(body.span)
        request.limit = 8 << 20
        request.patience = 120
        if let md5 = MD5Hasher() {
            md5.update(body.span)
            request.headers = [("Content-MD5", base64(md5.finish()))]
        } else {
            let sum = base64(request.payload.bytes)
            request.headers = [("x-amz-checksum-sha256", sum)]
        }
        let response = try client.send(request, body: body.span)
        guard response.isSuccess else {
            if S3Problem(response).isUnknownToServer { return false }
            throw error(response, request)
        }
        try checkRemoved(response, request)
        return true
    }

    /// The first error of those of single objects; one that is not there is none.
    private func checkRemoved(
        _ response: HTTPResponse, _ request: S3Request
    ) throws(BackendError) {
        let document = try parse(response, root: "DeleteResult", request)
        let id = response.header("x-amz-request-id") ?? ""
        var worst: BackendError?
        for (name, fields) in document.records where name == "Error" {
            let code = fields["Code"] ?? ""
            guard code != "NoSuchKey", code != "NoSuchVersion" else { continue }
            let isTemporary = ["InternalError", "SlowDown", "ServiceUnavailable"].contains(code)
            let problem = S3Problem(
                fields: fields, status: isTemporary ? 503 : 403, requestID: id)
            let found = problem.error(
                nil, "DELETE \(fields["Key"] ?? "of an object")")
            // What will not get better is told rather than what may.
            if worst == nil || !isTemporary { worst = found }
        }
        if let worst { throw worst }
    }

    /// The document of a successful answer.
    func parse(
        _ response: HTTPResponse, root: String, _ request: S3Request
    ) throws(BackendError) -> XMLRecords {
        do throws(XMLMalformed) {
            let document = try XMLRecords(response.body)
            guard document.root == root else {
                if document.root == "Error" {
                    // Some requests are answered with 200 before they have failed.
                    let problem = S3Problem(fields: document.fields, status: 500)
                    throw XMLMalformed(reason: problem.description)
                }
                throw XMLMalformed(reason: "it begins with <\(document.root.prefix(64))>")
            }
            return document
        } catch {
            throw .temporary(
                request.object, cause: "\(request.label): unusable answer: \(error.reason)")
        }
    }

    static func escape(_ text: String) -> String {
        var output = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": output += "&amp;"
            case "<": output += "&lt;"
            case ">": output += "&gt;"
            case "\"": output += "&quot;"
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output
    }
}
