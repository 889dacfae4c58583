internal import FoundationEssentials
internal import GRDB
internal import Platform

/// What snapshots use of each pack, and which packs they need that are about to go.
struct PackSurvey {
    /// What is known of one pack, by its number.
    private struct Pack {
        var size: UInt64 = 0
        /// In an index file and there with the right size.
        var isUsable = false
        /// In an index file.
        var isListed = false
        var isYoung = false
        var isFixed = false
        var isLeaving = false
        /// Bytes of live blobs in it, wherever else they are.
        var potential: UInt64 = 0
        /// Bytes of live blobs that are to be kept here.
        var live: UInt64 = 0

        /// The share of it that is in use at most; less than any other's if it is to go.
        var density: Double {
            isLeaving ? -1 : size == 0 ? 0 : Double(potential) / Double(size)
        }
    }

    /// One copy of a blob in a scan.
    private struct Copy {
        var pack: Int
        var bytes: UInt64
        var isBad: Bool
    }

    private var packs: [Pack] = []
    /// Live blobs of which there are several good copies, or bad ones.
    private(set) var several: LiveSet.Subset
    /// Whether there is a blob of which it is not known yet which copy stays.
    private var hasChoice = false

    /// Packs that no index file lists, with blobs that snapshots refer to.
    ///
    /// Of these blobs no listed copy is good. All packs that have one: some may be gone, of which
    /// the index knows the blobs still.
    private(set) var needed = Set<Int>()
    /// Live blobs of which no copy is known.
    private(set) var lost = 0
    /// All copies that were looked at.
    private(set) var blobs = 0

    /// Asks the index.
    ///
    /// - Parameters:
    ///   - youngSince: packs that were first seen from this second on are young.
    ///   - leaving: numbers of packs that are to go if their blobs are to be had elsewhere.
    ///   - tick: called now and then; may throw to stop.
    init(
        _ index: BlobIndex, live: LiveSet.Subset, youngSince: Int64, leaving: [Int] = [],
        tick: () throws -> Void
    ) throws {
        several = live.emptied()
        try index.read { db in
            // All of it from one state of the index, whatever other processes write meanwhile.
            try db.inTransaction(.deferred) {
                try loadPacks(db, youngSince)
                for number in leaving { packs[number].isLeaving = true }
                try PackSurvey.scan(db, live, tick) { id, copies in first(id, copies) }
                if hasChoice {
                    try PackSurvey.scan(db, live, tick) { _, copies in second(copies) }
                }
                return .commit
            }
        }
    }

    /// The use of every pack that an index file lists, in the order of their numbers.
    var uses: some Sequence<PackUse> {
        packs.indices.lazy.filter { packs[$0].isListed }.map { number in
            let pack = packs[number]
            return PackUse(
                number: number, size: pack.size,
                live: pack.live == 0 ? 0 : pack.live + UInt64(Sealer.overhead + 4),
                isYoung: pack.isYoung, isFixed: pack.isFixed || !pack.isUsable)
        }
    }

    /// Bytes of packs that index files list.
    var bytes: UInt64 { packs.reduce(0) { $0 + ($1.isListed ? $1.size : 0) } }
    /// How many packs index files list.
    var count: Int { packs.reduce(0) { $0 + ($1.isListed ? 1 : 0) } }

    private mutating func loadPacks(_ db: Database, _ youngSince: Int64) throws {
        let count = try Int.fetchOne(db, sql: "SELECT max(pk) FROM pack") ?? 0
        packs = [Pack](repeating: Pack(), count: count + 1)
        let rows = try Row.fetchCursor(db, sql: "SELECT pk, size, state, present, seen FROM pack")
        while let row = try rows.next() {
            let number: Int = row[0]
            guard packs.indices.contains(number) else { continue }
            let state: Int = row[2]
            var pack = Pack(size: UInt64(clamping: row[1] as Int64))
            pack.isListed = state >= BlobIndex.PackState.uploaded.rawValue
            pack.isUsable = pack.isListed && row[3] as Int == 1
            pack.isYoung = row[4] as Int64 >= youngSince
            packs[number] = pack
        }
    }

    /// Calls `each` with all copies of each live blob.
    private static func scan(
        _ db: Database, _ live: LiveSet.Subset, _ tick: () throws -> Void,
        _ each: (Digest, [Copy]) -> Void
    ) throws {
        let rows = try IndexStatement(
            db, "SELECT id, type, pack, stored, plain IS NULL, bad FROM blob")
        var copies: [Copy] = []
        var last: (id: Digest, type: Int64)?
        var isLive = false
        var count = 0
        while try rows.step() {
            count += 1
            if count & 0xFFFF == 0 { try tick() }
            guard let id = rows.digest(0) else {
                throw Failure(.store, "an entry of it cannot be read")
            }
            let type = rows.int(1)
            if last?.id != id || last?.type != type {
                if let last, isLive { each(last.id, copies) }
                copies.removeAll(keepingCapacity: true)
                last = (id, type)
                isLive = live.contains(id)
            }
            guard isLive else { continue }
            let entry: UInt64 = rows.int(4) == 1 ? 37 : 41
            copies.append(
                Copy(
                    pack: Int(rows.int(2)), bytes: UInt64(clamping: rows.int(3)) + entry,
                    isBad: rows.int(5) != 0))
        }
        if let last, isLive { each(last.id, copies) }
    }

    private mutating func first(_ id: Digest, _ copies: [Copy]) {
        blobs += copies.count
        var usable = 0
        var staying = 0
        var only: Copy?
        for copy in copies where packs[copy.pack].isUsable && !copy.isBad {
            usable += 1
            if packs[copy.pack].isLeaving {
                only = only ?? copy
            } else {
                staying += 1
                only = copy
            }
            packs[copy.pack].potential += copy.bytes
        }
        if usable > 1 || copies.contains(where: \.isBad) { several.insert(id) }
        if usable == 1 || staying == 1, let only {
            packs[only.pack].live += only.bytes
        } else if usable > 1 {
            hasChoice = true
        } else {
            protect(copies)
        }
    }

    /// A live blob without a good copy in the index: whatever there is of it has to stay.
    private mutating func protect(_ copies: [Copy]) {
        let unlisted = copies.filter { !packs[$0.pack].isListed && !$0.isBad }
        needed.formUnion(unlisted.lazy.map(\.pack))
        if unlisted.isEmpty { lost += 1 }
        for copy in copies where packs[copy.pack].isListed {
            packs[copy.pack].live += copy.bytes
            packs[copy.pack].isFixed = true
        }
    }

    /// Of several good copies the one in the pack that is used most stays.
    private mutating func second(_ copies: [Copy]) {
        let usable = copies.filter { packs[$0.pack].isUsable && !$0.isBad }
        guard usable.count > 1, usable.count(where: { !packs[$0.pack].isLeaving }) != 1 else {
            return
        }
        let best = usable.max { a, b in
            let x = packs[a.pack].density
            let y = packs[b.pack].density
            return x != y ? x < y : a.pack < b.pack
        }
        if let best { packs[best.pack].live += best.bytes }
    }
}
