package import ContentStore
internal import Manifest
package import Platform

/// The state of the store's copies of one file's content.
package struct Copies: Sendable, Equatable {
    package var expected = 0
    package var good = 0
    package var corrupt = 0

    /// Whether every copy that should be there is.
    package var complete: Bool { good == expected }

    package init(expected: Int = 0, good: Int = 0, corrupt: Int = 0) {
        self.expected = expected
        self.good = good
        self.corrupt = corrupt
    }
}

/// Asks the store about the copies of files.
///
/// Not for use by two threads at once.
package final class CopyChecker {
    private let reader: BlobReader
    private let verify: Bool
    /// Nothing that the store had when the baseline was made has gone since: see
    /// `BlobIndex.generation`.
    private let unchanged: Bool

    /// - Parameters:
    ///   - verify: read and authenticate each blob, not only look it up.
    ///   - unchanged: presence needs no look-up.
    package init(store: Store, verify: Bool, unchanged: Bool) {
        reader = BlobReader(store: store)
        self.verify = verify
        self.unchanged = unchanged
    }

    /// The copies of the content `ids`: one that lacks any blob is missing, one with a damaged
    /// blob is corrupt.
    package func copies(of ids: [Digest]) throws(Failure) -> Copies {
        var copies = Copies(expected: 1)
        var state = CopyState.good
        if verify || !unchanged {
            for id in ids {
                let blob =
                    verify ? try reader.verify(id, .data) : try reader.isPresent(id, .data)
                if blob == .corrupt || state == .good { state = blob == .good ? state : blob }
            }
        }
        switch state {
        case .good: copies.good = 1
        case .corrupt: copies.corrupt = 1
        case .missing: break
        }
        return copies
    }
}
