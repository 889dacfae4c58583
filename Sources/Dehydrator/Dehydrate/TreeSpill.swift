internal import ContentStore
internal import Platform

/// The JSON of a directory that is too large for memory, in a file that has no name: nothing is
/// left behind when the process dies.
final class TreeSpill {
    private let file: Descriptor
    private let hasher = SHA256Hasher()
    private var size: UInt64 = 0

    init(store: Store) throws {
        file = try Descriptor.temporary(in: store.spoolDirectory)
    }

    /// Appends JSON.
    func append(_ json: [UInt8]) throws(SystemError) {
        try file.write(json.span, at: size)
        hasher.update(json.span)
        size += UInt64(json.count)
    }

    /// Stores the whole as one tree blob in a pack of its own, unless the store has it.
    func store(_ session: StoreSession) throws -> StoredBlob {
        try LargeBlob.store(file, size: size, id: hasher.finish(), type: .tree, session: session)
    }
}
