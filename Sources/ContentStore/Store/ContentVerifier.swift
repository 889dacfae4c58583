package import Platform

/// Compares files with the blobs they were stored as, by reading and hashing them.
///
/// Not for use by two threads at once.
package final class ContentVerifier {
    private static let readSize = 1 << 20

    private let index: BlobIndex
    private let chunker: Chunker
    private let hasher = SHA256Hasher()
    private var buffer: [UInt8] = []

    /// Verifies against the blobs of `store`.
    package init(store: Store) {
        index = store.index
        chunker = store.chunker
    }

    /// Whether an open file's content is exactly the blobs `ids`.
    ///
    /// - Throws: `SystemError` when the file cannot be read.
    package func matches(_ file: borrowing Descriptor, ids: [Digest]) throws -> Bool {
        do {
            return try compare(file, ids)
        } catch {
            // Half a file in the hasher would make the next one look rotted.
            _ = hasher.finish()
            throw error
        }
    }

    private func compare(_ file: borrowing Descriptor, _ ids: [Digest]) throws -> Bool {
        if ids.count == 1, let id = ids.first { return try matchesWhole(file, id) }
        var lengths: [Int] = []
        for id in ids {
            guard let length = try index.allLocations(id, .data).first?.contentLength else {
                // The index has lost the blob and with it its length: cut the file anew.
                return try matchesCut(file, ids)
            }
            lengths.append(Int(length))
        }
        for (id, length) in zip(ids, lengths) {
            guard try hash(file, upTo: length) == length, hasher.finish() == id else {
                _ = hasher.finish()
                return false
            }
        }
        return try atEnd(file)
    }

    private func matchesWhole(_ file: borrowing Descriptor, _ id: Digest) throws -> Bool {
        _ = try hash(file, upTo: .max)
        return hasher.finish() == id
    }

    /// Feeds up to `count` bytes of the file to the hasher and returns how many there were.
    private func hash(_ file: borrowing Descriptor, upTo count: Int) throws -> Int {
        var done = 0
        while done < count {
            buffer.removeAll(keepingCapacity: true)
            let wanted = min(ContentVerifier.readSize, count - done)
            let n = try file.read(appending: &buffer, upTo: wanted)
            hasher.update(buffer.span)
            done += n
            if n < wanted { break }
        }
        return done
    }

    private func matchesCut(_ file: borrowing Descriptor, _ ids: [Digest]) throws -> Bool {
        var rest = ids[...]
        var bytes: [UInt8] = []
        var ended = false
        while true {
            if !ended && bytes.count < Chunker.maximum {
                let wanted = 2 * Chunker.maximum - bytes.count
                ended = try file.read(appending: &bytes, upTo: wanted) < wanted
            }
            if bytes.isEmpty { return rest.isEmpty }
            guard let length = chunker.cut(bytes.span, atEnd: ended) else { return false }
            hasher.update(bytes.span.extracting(..<length))
            guard hasher.finish() == rest.popFirst() else { return false }
            bytes.removeSubrange(..<length)
        }
    }

    private func atEnd(_ file: borrowing Descriptor) throws -> Bool {
        buffer.removeAll(keepingCapacity: true)
        return try file.read(appending: &buffer, upTo: 1) == 0
    }
}
