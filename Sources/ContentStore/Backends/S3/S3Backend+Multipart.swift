internal import Platform

extension S3Backend {
    /// No upload has more parts.
    private static let partLimit: UInt64 = 10_000
    private static let blockSize = 1 << 20

    /// The lengths of the parts of a file of `size` bytes.
    static func parts(_ size: UInt64, partSize: UInt64) -> [Range<UInt64>] {
        let least = (size + partLimit - 1) / partLimit
        let step = max(partSize, least, 1)
        var parts: [Range<UInt64>] = []
        var at: UInt64 = 0
        repeat {
            let end = min(size, at + step)
            parts.append(at..<end)
            at = end
        } while at < size
        return parts
    }

    /// Uploads a file in parts, and gives it its name only when all of them are there and are
    /// what the name says.
    func putParts(
        _ key: ObjectKey, _ file: borrowing Descriptor, _ size: UInt64
    ) throws(BackendError) {
        guard let id = key.id else {
            throw .refused(key, cause: "a config is not uploaded in parts")
        }
        let upload = try begin(key)
        CrashPoint.reached("s3-upload-begun")
        do throws(BackendError) {
            let whole = SHA256Hasher()
            var tags: [String] = []
            for part in S3Backend.parts(size, partSize: options.partSize) {
                tags.append(try put(key, file, part, number: tags.count + 1, upload, whole))
                CrashPoint.reached("s3-part-put")
            }
            guard whole.finish() == id else {
                throw .permanent(SystemError(Errno.inputOutput, "read", "spool file of \(key)"))
            }
            try complete(key, upload, tags)
            CrashPoint.reached("s3-upload-completed")
        } catch {
            // What cannot be aborted now is removed with other leftovers after a day.
            try? abort(key, upload: upload)
            throw error
        }
    }

    private func begin(_ key: ObjectKey) throws(BackendError) -> String {
        var request = request(.post, key)
        request.query = [("uploads", "")]
        let none: [UInt8] = []
        let response = try client.send(request, body: none.span)
        guard response.isSuccess else { throw missingPlace(error(response, request), request) }
        let document = try parse(response, root: "InitiateMultipartUploadResult", request)
        guard let id = document.fields["UploadId"], !id.isEmpty else {
            throw .temporary(key, cause: "\(request.label): the answer names no upload")
        }
        return id
    }

    /// Uploads a part and adds its bytes to `whole`; the part's tag.
    private func put(
        _ key: ObjectKey, _ file: borrowing Descriptor, _ range: Range<UInt64>, number: Int,
        _ upload: String, _ whole: SHA256Hasher
    ) throws(BackendError) -> String {
        let hashes = try hash(file, range, key, whole)
        var request = request(.put, key)
        request.query = [("partNumber", "\(number)"), ("uploadId", upload)]
        request.payload = hashes.sha256
        if let md5 = hashes.md5 { request.headers = [("Content-MD5", md5)] }
        let response = try client.send(request, body: file, range)
        guard response.isSuccess else { throw lostUpload(error(response, request), request) }
        guard let tag = response.header("etag") else {
            throw .temporary(key, cause: "\(request.label): the answer has no tag")
        }
        return tag
    }

    private func complete(
        _ key: ObjectKey, _ upload: String, _ tags: [String]
    ) throws(BackendError) {
        var text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        for (index, tag) in tags.enumerated() {
            text += "<Part><PartNumber>\(index + 1)</PartNumber>"
            text += "<ETag>\(S3Backend.escape(tag))</ETag></Part>"
        }
        let body = Array((text + "</CompleteMultipartUpload>").utf8)
        var request = request(.post, key)
        request.query = [("uploadId", upload)]
        request.payload = SHA256Hasher.hash(body.span)
        // The server puts the parts together before it answers.
        request.patience = 600
        let response = try client.send(request, body: body.span)
        guard response.isSuccess else { throw lostUpload(error(response, request), request) }
        // An answer of 200 may still be an error that came later.
        _ = try parse(response, root: "CompleteMultipartUploadResult", request)
    }

    /// The upload was aborted by somebody, or completed by a request whose answer was lost: the
    /// whole upload is tried again, which replaces the object with itself.
    private func lostUpload(_ error: BackendError, _ request: S3Request) -> BackendError {
        switch error {
        case .missing(let key): .temporary(key, cause: "\(request.label): the upload is gone")
        case .refused(let key, let cause, _) where cause.contains("NoSuchUpload"):
            .temporary(key, cause: cause)
        default: error
        }
    }

    /// Gives an unfinished upload and its parts up; one that is not there is a success.
    func abort(_ key: ObjectKey, upload: String) throws(BackendError) {
        var request = request(.delete, key)
        request.query = [("uploadId", upload)]
        let none: [UInt8] = []
        let response = try client.send(request, body: none.span)
        guard !response.isSuccess, response.status != 404 else { return }
        throw error(response, request)
    }

    /// The hashes of a part of a file; its bytes are added to `whole` as well.
    func hash(
        _ file: borrowing Descriptor, _ range: Range<UInt64>, _ key: ObjectKey,
        _ whole: SHA256Hasher? = nil
    ) throws(BackendError) -> (sha256: Digest, md5: String?) {
        let sha256 = SHA256Hasher()
        let md5 = MD5Hasher()
        var block = [UInt8](repeating: 0, count: S3Backend.blockSize)
        var at = range.lowerBound
        while at < range.upperBound {
            let count = Int(min(UInt64(block.count), range.upperBound - at))
            var room = block.mutableSpan
            var part = room._mutatingExtracting(first: count)
            let read: Int
            do throws(SystemError) {
                read = try file.read(into: &part, at: at)
                guard read > 0 else {
                    throw SystemError(Errno.inputOutput, "read", "spool file of \(key)")
                }
            } catch {
                throw .permanent(error)
            }
            let bytes = block.span.extracting(first: read)
            sha256.update(bytes)
            md5?.update(bytes)
            whole?.update(bytes)
            at += UInt64(read)
        }
        return (sha256.finish(), md5.map { base64($0.finish()) })
    }
}
