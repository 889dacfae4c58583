package import Platform

/// What a blob holds.
package enum BlobType: UInt8, Sendable, Hashable {
    case data = 0
    case tree = 1

    /// The word that index files use.
    package var word: StaticString {
        switch self {
        case .data: "data"
        case .tree: "tree"
        }
    }
}

/// One blob of a pack: what it is and where it lies.
package struct PackEntry: Sendable, Hashable {
    package var type: BlobType
    /// The SHA-256 of the plain content.
    package var id: Digest
    /// Where the sealed blob begins in the pack, in bytes.
    package var offset: UInt64
    /// The length of the sealed blob, with the 32 bytes of the seal.
    package var storedLength: UInt32
    /// The length of the plain content of a blob stored as zstd; nil when it is stored raw.
    package var plainLength: UInt32?

    package init(
        type: BlobType, id: Digest, offset: UInt64, storedLength: UInt32, plainLength: UInt32?
    ) {
        self.type = type
        self.id = id
        self.offset = offset
        self.storedLength = storedLength
        self.plainLength = plainLength
    }

    /// The length of the plain content in bytes.
    package var contentLength: UInt32 {
        plainLength ?? (storedLength < 32 ? 0 : storedLength - 32)
    }

    /// Where the blob lies in the pack.
    package var range: Range<UInt64> { offset..<(offset + UInt64(storedLength)) }

    /// The length of the entry in the pack's header.
    var headerLength: Int { plainLength == nil ? 37 : 41 }
}
