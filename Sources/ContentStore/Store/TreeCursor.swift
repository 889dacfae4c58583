package import Platform

/// Reads the nodes of one tree, one after the other, in constant memory: a directory of a million
/// entries is a blob of hundreds of megabytes.
///
/// Every byte is authenticated before a node of it is given out; small trees are compared with
/// their id as well, large ones at their end. Not for use by two threads at once.
package final class TreeCursor {
    /// Trees up to this size are read at once.
    private static let smallTree = 4 << 20

    private var parser = TreeParser()
    private var stream: LargeBlobReader?
    private var finished = false

    /// Begins to read the tree `id`.
    ///
    /// - Throws: `Failure` when no copy of it can be read.
    package init(_ id: Digest, reader: BlobReader, store: Store) throws(Failure) {
        let first = try store.index.allLocations(id, .tree).first
        if let first, first.contentLength > TreeCursor.smallTree {
            stream = try LargeBlobReader.open(id, store: store)
        } else {
            var plain: [UInt8] = []
            try reader.read(id, .tree, into: &plain)
            parser.feed(plain.span)
        }
    }

    /// The next node, in the order of the names; nil at the end.
    package func next() throws(Failure) -> TreeNode? {
        while !finished {
            if let node = try parser.next() { return node }
            if let stream, let piece = try stream.next() {
                parser.feed(piece.span)
            } else {
                try parser.finish()
                finished = true
            }
        }
        return nil
    }
}

/// Reads a blob that does not fit in memory, in two passes over its sealed bytes: the first
/// authenticates, the second opens, piece by piece.
final class LargeBlobReader {
    // Small, because repetitive JSON may expand a hundredfold.
    private static let pieceSize: UInt64 = 64 << 10

    private let id: Digest
    private let backend: any Backend
    private let location: BlobLocation
    private let opener: StreamOpener
    private let decompressor: ZstdStreamDecompressor?
    private let hasher = SHA256Hasher()
    private var offset: UInt64
    private let end: UInt64

    /// Opens the first copy of the tree that is authentic, or what a mirror has of one.
    static func open(_ id: Digest, store: Store) throws(Failure) -> LargeBlobReader {
        var problems: [String] = []
        for location in try store.index.readableLocations(id, .tree) {
            // Once more before it counts as damaged: what is spoiled on the way looks the same.
            for isLast in [false, true] {
                do throws(CopyProblem) {
                    return try LargeBlobReader(id, location, store, store.backend)
                } catch {
                    if case .damaged = error, !isLast {
                        (store.backend as? BlockCache)?.forget(location.pack)
                        continue
                    }
                    try error.mark(id, .tree, location.pack, in: store.index)
                    problems.append("pack \(location.pack.short): \(error.failure)")
                    break
                }
            }
        }
        if problems.isEmpty { problems = ["no index file lists it, or its pack is gone"] }
        for mirror in store.mirrors {
            for location in try store.index.allLocations(id, .tree) {
                do throws(CopyProblem) {
                    let reader = try LargeBlobReader(id, location, store, mirror)
                    store.fallbacks.note(
                        "tree \(id.short)", Int(location.storedLength), from: mirror,
                        because: problems.first ?? "")
                    return reader
                } catch {
                    problems.append("mirror \(mirror.location): \(error.failure)")
                }
            }
        }
        throw Failure(
            .store, "tree \(id.short) cannot be read", cause: problems.joined(separator: "; "))
    }

    private init(
        _ id: Digest, _ location: BlobLocation, _ store: Store, _ backend: any Backend
    ) throws(CopyProblem) {
        self.id = id
        self.backend = backend
        self.location = location
        let start = location.offset
        let stop = start + UInt64(location.storedLength)
        let iv = try LargeBlobReader.read(backend, location, start..<(start + 16))
        let verifier = try LargeBlobReader.opener(store, iv)
        var at = start + 16
        while at < stop - 16 {
            let next = min(at + LargeBlobReader.pieceSize, stop - 16)
            let piece = try LargeBlobReader.read(backend, location, at..<next)
            verifier.verify(piece.span)
            at = next
        }
        let tag = try LargeBlobReader.read(backend, location, at..<stop)
        guard verifier.finish(tag.span) else {
            throw .damaged(Failure(.store, "the MAC does not match"))
        }
        opener = try LargeBlobReader.opener(store, iv)
        decompressor = location.plainLength == nil ? nil : ZstdStreamDecompressor()
        offset = start + 16
        end = stop - 16
    }

    private static func opener(
        _ store: Store, _ iv: [UInt8]
    ) throws(CopyProblem) -> StreamOpener {
        do throws(Failure) {
            return try StreamOpener(key: store.key, iv: iv.span)
        } catch {
            throw .damaged(error)
        }
    }

    private static func read(
        _ backend: any Backend, _ location: BlobLocation, _ range: Range<UInt64>
    ) throws(CopyProblem) -> [UInt8] {
        var bytes: [UInt8] = []
        do throws(BackendError) {
            try backend.read(ObjectKey(.pack, location.pack), range, into: &bytes)
        } catch {
            throw CopyProblem(error, at: backend.location)
        }
        return bytes
    }

    /// The next piece of content; nil at the end, once it has proven to be the blob.
    func next() throws(Failure) -> [UInt8]? {
        while offset < end {
            let next = min(offset + LargeBlobReader.pieceSize, end)
            let sealed: [UInt8]
            do throws(CopyProblem) {
                sealed = try LargeBlobReader.read(backend, location, offset..<next)
            } catch {
                throw error.failure
            }
            offset = next
            var opened: [UInt8] = []
            opener.update(sealed.span, into: &opened)
            var plain: [UInt8] = []
            if let decompressor {
                try decompressor.update(
                    opened.span, into: &plain, limit: location.contentLength)
            } else {
                plain = opened
            }
            hasher.update(plain.span)
            if !plain.isEmpty { return plain }
        }
        guard hasher.finish() == id else {
            // All of it was authentic in the first pass: the second brought something else.
            throw Failure(.temporary, "tree \(id.short) is not what its id says")
        }
        return nil
    }
}
