internal import Platform

/// Replaces index files so that some packs are marked for removal, or named again, or forgotten.
///
/// Always in this order: new files durable, then the old ones removed. Whoever dies in between
/// leaves packs that are both listed and marked, and lists win.
struct IndexSwap {
    let store: Store
    let confirmLock: () throws(Failure) -> Void

    /// What a swap did.
    struct Result {
        var written = 0
        var removed = 0
    }

    /// Collects packs into files of at most about 50,000 blobs each.
    private struct Output {
        let form: IndexEncoder.Form
        let writer: IndexFileWriter
        var seen = Set<Digest>()

        init(_ form: IndexEncoder.Form) {
            self.form = form
            writer = IndexFileWriter(form)
        }

        var isFull: Bool { writer.blobCount >= StoreSession.indexFileBlobLimit }
        var isEmpty: Bool { writer.packCount == 0 }
    }

    /// Marks `dropped` and `orphans`, and forgets the marks of `forgotten`.
    ///
    /// - Parameters:
    ///   - dropped: packs that index files list.
    ///   - orphans: packs that none does, with their blobs where they are known.
    ///   - forgotten: packs that are gone or listed.
    ///   - keepingMarks: false: nothing is marked, and all marks in the files are left out.
    func mark(
        _ dropped: [IndexedPack], orphans: [MarkedPack] = [], forgotten: [Int] = [],
        keepingMarks: Bool = true
    ) throws -> Result {
        let files = try store.index.indexFiles(
            listing: dropped.map(\.number), marking: forgotten)
        guard !files.isEmpty || !orphans.isEmpty else { return Result() }
        let going = Set(dropped.map(\.id))
        let noMark = try Set(
            forgotten.compactMap { (number) throws(Failure) in
                try store.index.id(ofPack: number)
            })
        let replaced = Set(files)
        // One time for all: packs that were marked before have another one.
        let now = store.clock.now()
        var result = Result()
        var packs = Output(.packs)
        var marks = Output(.marks)
        for pack in orphans { marks.writer.append(pack) }
        let sealer = Sealer(key: store.key)
        for file in files {
            try confirmLock()
            let bytes = try read(file)
            try IndexFile.read(bytes.span, expected: file, sealer: sealer) {
                pack, entries throws(Failure) in
                if going.contains(pack) {
                    guard keepingMarks, marks.seen.insert(pack).inserted else { return }
                    marks.writer.append(MarkedPack(id: pack, time: now, entries: entries))
                } else if packs.seen.insert(pack).inserted,
                    try store.index.filesListing(pack).allSatisfy({ replaced.contains($0) })
                {
                    packs.writer.append(pack: pack, entries)
                }
            } marked: { pack throws(Failure) in
                if !keepingMarks || noMark.contains(pack.id) || going.contains(pack.id) { return }
                marks.writer.append(pack)
            }
            if packs.isFull { try put(&packs, sealer, &result) }
            if marks.isFull { try put(&marks, sealer, &result) }
        }
        if !packs.isEmpty { try put(&packs, sealer, &result) }
        if !marks.isEmpty { try put(&marks, sealer, &result) }
        CrashPoint.reached("gc-index-written")
        try confirmLock()
        for file in files {
            try store.backend.failing { backend throws(BackendError) in
                try backend.remove(ObjectKey(.index, file))
            }
            result.removed += 1
            CrashPoint.reached("gc-index-removed")
        }
        return result
    }

    private func put(
        _ output: inout Output, _ sealer: Sealer, _ result: inout Result
    ) throws(Failure) {
        let file = output.writer.finish(sealer: sealer)
        try store.backend.failing { backend throws(BackendError) in
            try backend.put(ObjectKey(.index, file.id), file.bytes.span)
        }
        result.written += 1
        CrashPoint.reached("gc-index-put")
    }

    private func read(_ file: Digest) throws(Failure) -> [UInt8] {
        do throws(BackendError) {
            return try store.backend.get(ObjectKey(.index, file), limit: IndexFile.storedLimit)
        } catch {
            if case .missing = error {
                throw Failure(
                    .temporary, "index file \(file.short) was replaced by another program",
                    hint: "Nothing is lost: run again.")
            }
            throw error.failure(at: store.backend.location)
        }
    }
}

extension Store {
    /// Names packs in an index file that are in none, whatever marks there are of them.
    ///
    /// Only for whoever may rely on them: a snapshot needs them, or the caller's session found them
    /// in the index and has held its lock since.
    ///
    /// - Returns: those that cannot be named, because they are gone or have no good header.
    @discardableResult
    func nameAgain(_ packs: [Digest]) throws(Failure) -> [UnnamedPack] {
        let sealer = Sealer(key: key)
        var unnamed: [UnnamedPack] = []
        var rest = packs[...]
        while !rest.isEmpty {
            let writer = IndexFileWriter()
            while writer.blobCount < StoreSession.indexFileBlobLimit, let pack = rest.popFirst() {
                let size = try backend.failing { store throws(BackendError) in
                    try store.size(ObjectKey(.pack, pack))
                }
                guard let size else {
                    unnamed.append(UnnamedPack(id: pack))
                    continue
                }
                do throws(Failure) {
                    writer.append(pack: pack, try header(of: pack, size: size, sealer: sealer))
                } catch {
                    guard error.kind == .store else { throw error }
                    unnamed.append(UnnamedPack(id: pack, damage: error))
                }
            }
            if writer.packCount == 0 { continue }
            let file = writer.finish(sealer: sealer)
            try backend.failing { store throws(BackendError) in
                try store.put(ObjectKey(.index, file.id), file.bytes.span)
            }
            CrashPoint.reached("gc-named-again")
        }
        try syncIndexFiles()
        return unnamed
    }
}

/// A pack that should be in an index file and cannot be.
struct UnnamedPack {
    var id: Digest
    /// What is wrong with its header; nil when it is gone.
    var damage: Failure?
}
