internal import Platform

/// A part of a pack in memory, which moves from its beginning to its end.
final class PackWindow {
    private let backend: any Backend
    /// Bytes that one call reads.
    private let step: UInt64
    private var pack: IndexedPack?
    private var bytes: [UInt8] = []
    /// Where in the pack `bytes` begins.
    private var start: UInt64 = 0
    /// What made reading on impossible.
    private(set) var failure: Failure?

    /// How much was read.
    var bytesRead: UInt64 { start + UInt64(bytes.count) }

    init(backend: any Backend) {
        self.backend = backend
        step = UInt64(ReadStep.bytes(of: backend))
    }

    /// Goes to the beginning of `pack`.
    func open(_ pack: IndexedPack) {
        self.pack = pack
        bytes.removeAll(keepingCapacity: true)
        start = 0
        failure = nil
    }

    /// Bytes from the end of the pack, out of order.
    func tail(_ range: Range<UInt64>) throws(Failure) -> [UInt8] {
        // A small pack is read once, its end included.
        if let pack, pack.size <= step, bytes.isEmpty, failure == nil {
            do throws(Failure) {
                try read(0..<pack.size, into: &bytes)
            } catch {
                guard error.kind == .store else { throw error }
                failure = error
                bytes.removeAll(keepingCapacity: true)
            }
        }
        guard start == 0, range.upperBound <= UInt64(bytes.count) else { return try part(range) }
        return Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)])
    }

    private func part(_ range: Range<UInt64>) throws(Failure) -> [UInt8] {
        var part: [UInt8] = []
        try read(range, into: &part)
        return part
    }

    /// Calls `body` with the bytes `range`, which must not begin before an earlier one.
    ///
    /// - Throws: a `store` failure when these bytes cannot be read, others when the store is out.
    func with<R>(
        _ range: Range<UInt64>, _ body: (Span<UInt8>) throws(Failure) -> R
    ) throws(Failure) -> R {
        // Once a part cannot be read, each blob is tried on its own.
        guard failure == nil else {
            let part = try part(range)
            return try body(part.span)
        }
        var bytes: [UInt8] = []
        swap(&bytes, &self.bytes)
        defer { swap(&bytes, &self.bytes) }
        do throws(Failure) {
            try advance(&bytes, to: range)
        } catch {
            guard error.kind == .store else { throw error }
            failure = error
            bytes.removeAll(keepingCapacity: true)
            try read(range, into: &bytes)
            return try body(bytes.span)
        }
        let low = Int(range.lowerBound - start)
        return try body(bytes.span.extracting(low..<(low + range.count)))
    }

    private func advance(_ bytes: inout [UInt8], to range: Range<UInt64>) throws(Failure) {
        while start + UInt64(bytes.count) < range.upperBound {
            let passed = min(Int(range.lowerBound - start), bytes.count)
            if passed > 0 {
                bytes.removeSubrange(..<passed)
                start += UInt64(passed)
            }
            let old = bytes.count
            let at = start + UInt64(old)
            try read(at..<max(range.upperBound, end(after: at)), into: &bytes)
        }
    }

    private func end(after at: UInt64) -> UInt64 {
        min(pack?.size ?? 0, at + step)
    }

    private func read(_ range: Range<UInt64>, into output: inout [UInt8]) throws(Failure) {
        guard let pack, range.upperBound <= pack.size, !range.isEmpty else {
            throw Failure(.store, "it lies behind the end of the pack")
        }
        do throws(BackendError) {
            try backend.read(ObjectKey(.pack, pack.id), range, into: &output)
        } catch {
            switch ObjectProblem(error, at: backend) {
            case .unknown(let failure): throw failure
            case .gone, .damaged: throw error.failure(at: backend.location)
            }
        }
    }
}

/// Checks one blob after another with contexts and buffers that are reused.
final class StoreBlobChecker {
    /// Blobs with more plain or stored bytes are read in pieces: the largest chunk is 8 MiB.
    private static let wholeLimit = 12 << 20
    private static let piece: UInt64 = 256 << 10

    private let key: MasterKey
    private let sealer: Sealer
    private let decompressor = ZstdDecompressor()
    private let hasher = SHA256Hasher()
    private var opened: [UInt8] = []
    private var plain: [UInt8] = []

    init(key: MasterKey) {
        self.key = key
        sealer = Sealer(key: key)
    }

    /// What is wrong with the blob; nil when it is good.
    ///
    /// - Throws: `Failure` when the store cannot be reached.
    func check(_ entry: PackEntry, in window: PackWindow) throws(Failure) -> String? {
        do throws(Failure) {
            let isLarge =
                entry.storedLength > StoreBlobChecker.wholeLimit
                || entry.contentLength > StoreBlobChecker.wholeLimit
            let id = isLarge ? try stream(entry, window) : try whole(entry, window)
            return id == entry.id ? nil : "the content is not what its id says"
        } catch {
            guard error.kind == .store else { throw error }
            return error.description
        }
    }

    /// The hash of a blob that is read at once.
    private func whole(_ entry: PackEntry, _ window: PackWindow) throws(Failure) -> Digest {
        var opened: [UInt8] = []
        var plain: [UInt8] = []
        swap(&opened, &self.opened)
        swap(&plain, &self.plain)
        defer {
            swap(&opened, &self.opened)
            swap(&plain, &self.plain)
        }
        opened.removeAll(keepingCapacity: true)
        try window.with(entry.range) { sealed throws(Failure) in
            try sealer.open(sealed, into: &opened)
        }
        guard let plainLength = entry.plainLength else {
            hasher.update(opened.span)
            return hasher.finish()
        }
        plain.removeAll(keepingCapacity: true)
        try decompressor.decompress(opened.span, into: &plain, limit: Int(plainLength))
        hasher.update(plain.span)
        return hasher.finish()
    }

    /// The hash of a blob that is read in pieces: its plain form goes to nobody, so one pass is
    /// enough for its code and its content.
    private func stream(_ entry: PackEntry, _ window: PackWindow) throws(Failure) -> Digest {
        defer { _ = hasher.finish() }
        var at = entry.offset + UInt64(MasterKey.ivSize)
        let opener = try window.with(entry.offset..<at) { iv throws(Failure) in
            try StreamOpener(key: key, iv: iv)
        }
        let end = entry.range.upperBound - UInt64(MasterKey.macSize)
        let decompressor = entry.plainLength == nil ? nil : ZstdStreamDecompressor()
        var damage: Failure?
        while at < end {
            let next = min(at + StoreBlobChecker.piece, end)
            try window.with(at..<next) { cipher throws(Failure) in
                opener.verify(cipher)
                guard damage == nil else { return }
                do throws(Failure) {
                    try hash(cipher, opener, decompressor, limit: Int(entry.contentLength))
                } catch {
                    damage = error
                }
            }
            at = next
        }
        let isAuthentic = try window.with(end..<entry.range.upperBound) { opener.finish($0) }
        guard isAuthentic else {
            throw Failure(
                .store, "sealed data is damaged", cause: "its authentication code does not match")
        }
        if let damage { throw damage }
        try decompressor?.finish()
        return hasher.finish()
    }

    private func hash(
        _ cipher: Span<UInt8>, _ opener: StreamOpener, _ decompressor: ZstdStreamDecompressor?,
        limit: Int
    ) throws(Failure) {
        var opened: [UInt8] = []
        opener.update(cipher, into: &opened)
        guard let decompressor else { return hasher.update(opened.span) }
        try decompressor.update(opened.span, limit: limit) { piece throws(Failure) in
            hasher.update(piece)
        }
    }
}
