internal import FoundationEssentials
internal import GRDB
internal import Platform
internal import Synchronization

/// Answers "the store surely does not have this blob" from memory: a Bloom filter over the ids of
/// the index (Bloom, CACM 1970), so that storing many new files costs no look-up for each.
///
/// It is made when a process has asked for many blobs in vain, of at most 16 MiB: 13 bits a blob
/// at 10 million blobs, which is one wrong answer in 400. A wrong answer costs a look-up; a blob
/// that another process added since costs, at worst, a second copy, which the format allows.
final class BlobFilter: Sendable {
    /// Look-ups in vain before the filter is worth its making.
    private static let misses = 4096
    private static let maximumBits = 1 << 27
    private static let minimumBits = 1 << 23
    /// Bits set for each blob.
    private static let hashes = 5
    /// Seconds between two looks at what other processes have added.
    private static let interval: Double = 1

    private struct State {
        var missed = 0
        var bits: [UInt64] = []
        /// What this process has made durable while the filter was being made; nil at other times.
        var meanwhile: [PackEntry]?
        /// Packs up to this key are in the filter.
        var lastPack: Int64 = 0
        var checked: Double = 0
    }

    private let state = Mutex(State())

    /// Whether the store surely lacks the blob.
    func surelyLacks(_ id: Digest, _ type: BlobType) -> Bool {
        state.withLock { state in
            guard !state.bits.isEmpty else { return false }
            return !BlobFilter.positions(id, type, state.bits.count).allSatisfy {
                state.bits[$0 >> 6] & 1 << UInt64($0 & 63) != 0
            }
        }
    }

    /// Notes that a look-up found nothing, and makes the filter when that happens often.
    func missed(_ index: BlobIndex) throws(Failure) {
        let due = state.withLock { state in
            state.missed += 1
            return state.missed == BlobFilter.misses && state.bits.isEmpty
        }
        if due { try build(index) }
    }

    /// Adds the blobs of packs that this or another process has uploaded since the last look.
    func update(_ index: BlobIndex) throws(Failure) {
        let now = monotonicSeconds()
        let last = state.withLock { state -> Int64? in
            guard !state.bits.isEmpty, now - state.checked >= BlobFilter.interval else {
                return nil
            }
            state.checked = now
            return state.lastPack
        }
        guard let last else { return }
        let (entries, newest) = try index.entries(ofPacksAfter: last)
        state.withLock { state in
            for entry in entries { BlobFilter.add(entry.id, entry.type, &state.bits) }
            state.lastPack = max(state.lastPack, newest)
        }
    }

    /// Adds what this process has just made durable, so that it is not stored twice.
    func add(_ entries: [PackEntry]) {
        state.withLock { state in
            state.meanwhile?.append(contentsOf: entries)
            guard !state.bits.isEmpty else { return }
            for entry in entries { BlobFilter.add(entry.id, entry.type, &state.bits) }
        }
    }

    private func build(_ index: BlobIndex) throws(Failure) {
        state.withLock { $0.meanwhile = [] }
        defer { state.withLock { $0.meanwhile = nil } }
        var bits: [UInt64] = []
        let newest = try index.forEachID(
            count: { count in
                var size = BlobFilter.minimumBits
                while size < count * 14 && size < BlobFilter.maximumBits { size *= 2 }
                bits = [UInt64](repeating: 0, count: size / 64)
            },
            { id, type in BlobFilter.add(id, type, &bits) })
        state.withLock { state in
            for entry in state.meanwhile ?? [] { BlobFilter.add(entry.id, entry.type, &bits) }
            state.bits = bits
            state.lastPack = newest
        }
    }

    private static func add(_ id: Digest, _ type: BlobType, _ bits: inout [UInt64]) {
        for position in positions(id, type, bits.count) {
            bits[position >> 6] |= 1 << UInt64(position & 63)
        }
    }

    /// The bits of a blob: its id is a hash already, so two of its words give all of them
    /// (Kirsch and Mitzenmacher, 2006).
    private static func positions(
        _ id: Digest, _ type: BlobType, _ words: Int
    ) -> some Sequence<Int> {
        let a = id.words.0 ^ (type == .tree ? 0x9E37_79B9_7F4A_7C15 : 0)
        let b = id.words.1 | 1
        let mask = UInt64(words * 64 - 1)
        return (0..<UInt64(hashes)).lazy.map { Int((a &+ $0 &* b) & mask) }
    }
}

extension BlobIndex {
    /// Calls `each` for the id of every blob of every durable pack, after telling how many there
    /// are, and returns the key of the newest pack.
    fileprivate func forEachID(
        count: (Int) -> Void, _ each: (Digest, BlobType) -> Void
    ) throws(Failure) -> Int64 {
        try read { db in
            let newest = try Int64.fetchOne(db, sql: "SELECT max(pk) FROM pack WHERE state >= 1")
            count(try Int.fetchOne(db, sql: "SELECT count(*) FROM blob") ?? 0)
            let rows = try IndexStatement(db, "SELECT id, type FROM blob")
            while try rows.step() {
                guard let id = rows.digest(0),
                    let type = BlobType(rawValue: UInt8(truncatingIfNeeded: rows.int(1)))
                else { continue }
                each(id, type)
            }
            return newest ?? 0
        }
    }

    /// The blobs of durable packs behind `key` whose index file is not written yet, and the key of
    /// the newest.
    fileprivate func entries(ofPacksAfter key: Int64) throws(Failure) -> ([PackEntry], Int64) {
        try read { db in
            var entries: [PackEntry] = []
            var newest = key
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT pk, entries FROM pack
                    WHERE pk > ? AND state >= 1 AND entries IS NOT NULL
                    """, arguments: [key])
            while let row = try rows.next() {
                newest = max(newest, row[0])
                entries += try PackEntryCoding.decode([UInt8](row[1] as Data))
            }
            return (entries, newest)
        }
    }
}
