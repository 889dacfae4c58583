internal import ContentStore
internal import JobTable
internal import Platform

/// A snapshot that is about to be written, kept in the module's journal: after a crash the same
/// bytes are written again under the same name, so that a run makes one snapshot, however often it
/// dies.
struct PendingSnapshot {
    static let noteName = "pending-snapshot"

    var id: Digest
    var sealed: [UInt8]
    private var header: [UInt8]

    init(run: String, tree: Digest, store: Store, snapshot: Snapshot) {
        let json = snapshot.encode()
        let file = UnpackedFile.seal(
            json.span, sealer: Sealer(key: store.key), compressor: ZstdCompressor(level: 3))
        id = file.id
        sealed = file.bytes
        header = PendingSnapshot.header(run, tree)
    }

    private init(sealed: [UInt8], header: [UInt8]) {
        self.sealed = sealed
        self.header = header
        id = SHA256Hasher.hash(sealed.span)
    }

    /// The one that an interrupted end of the same run left, for the same tree.
    static func load(
        from state: ModuleState, run: String, tree: Digest
    ) throws(Failure) -> PendingSnapshot? {
        guard let note = try state.note(noteName) else { return nil }
        let header = header(run, tree)
        guard note.starts(with: header) else { return nil }
        return PendingSnapshot(sealed: Array(note[header.count...]), header: header)
    }

    func save(to state: ModuleState) throws(Failure) {
        try state.change([NoteChange(PendingSnapshot.noteName, header + sealed)])
    }

    private static func header(_ run: String, _ tree: Digest) -> [UInt8] {
        Array("\(run) \(tree)\n".utf8)
    }
}
