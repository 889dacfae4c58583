package import Platform

/// A backend with a bounded cache of pieces of packs in front of another one, for places where a
/// request costs more than the bytes that it brings.
///
/// Blobs of one module lie side by side in a pack, in the order in which they are read again: trees
/// above all are read one by one. A short read brings the block around it, and a read that goes on
/// behind a block brings several. What is asked for in long ranges, and everything but packs, goes
/// straight through.
///
/// What is in the cache is no better verified than what comes over the wire: who finds a blob
/// damaged calls `forget` before reading it again.
package final class BlockCache: Backend {
    /// Bytes of a block.
    static let blockSize: UInt64 = 256 << 10
    /// Blocks that are fetched at once when a read goes on where another ended.
    static let blocksAhead: UInt64 = 4
    /// Reads of this many bytes or more are not cached.
    static let longRead: UInt64 = 1 << 20
    /// Sizes of at most so many packs are remembered.
    private static let sizeLimit = 1 << 20

    private struct BlockKey: Hashable {
        var pack: Digest
        var number: UInt64
    }

    private struct Block {
        var bytes: [UInt8]
        var lastUse: UInt64
    }

    private struct State {
        /// Of the packs that were listed: a block ends where its pack does.
        var sizes: [Digest: UInt64] = [:]
        var blocks: [BlockKey: Block] = [:]
        /// Being fetched by some thread: the others wait for it.
        var loading: Set<BlockKey> = []
        /// How often packs were forgotten while something of them was fetched, which is not kept.
        var forgotten: [Digest: UInt64] = [:]
        var clock: UInt64 = 0
    }

    /// Blocks `numbers` of a pack of `size` bytes, which a thread has taken on to fetch.
    private struct Fetch {
        var pack: Digest
        var numbers: Range<UInt64>
        var size: UInt64
        var generation: UInt64

        var bytes: Range<UInt64> {
            numbers.lowerBound
                * BlockCache.blockSize..<min(numbers.upperBound * BlockCache.blockSize, size)
        }
    }

    private let base: any Backend
    private let blockLimit: Int
    private let state = Monitor(State())

    package var location: String { base.location }
    package var versioned: (any VersionedBackend)? { base.versioned }

    /// Caches what is read of packs of `base`.
    ///
    /// - Parameter limit: bytes that are kept at most.
    package init(_ base: any Backend, limit: Int = 32 << 20) {
        self.base = base
        blockLimit = max(1, limit / Int(BlockCache.blockSize))
    }

    /// Drops what is cached of a pack: the next read asks for it anew.
    package func forget(_ pack: Digest) {
        state.with { state in
            state.blocks = state.blocks.filter { $0.key.pack != pack }
            // Only who is fetching now has to be told.
            let isLoading = state.loading.contains { $0.pack == pack }
            state.forgotten[pack] = isLoading ? state.forgotten[pack, default: 0] + 1 : nil
        }
    }

    package func read(
        _ key: ObjectKey, _ range: Range<UInt64>, into output: inout [UInt8]
    ) throws(BackendError) {
        let start = output.count
        if key.kind == .pack, let pack = key.id, !range.isEmpty,
            UInt64(range.count) < BlockCache.longRead
        {
            let last = (range.upperBound - 1) / BlockCache.blockSize
            var number = range.lowerBound / BlockCache.blockSize
            while number <= last, append(pack, number, range, &output) { number += 1 }
            if number > last { return }
            output.removeSubrange(start...)
        }
        // Of a pack that is not known, or whose block cannot be had: just what is asked for.
        try base.read(key, range, into: &output)
    }

    /// Appends what a block has of `range`, fetched if need be; false when it cannot be had.
    private func append(
        _ pack: Digest, _ number: UInt64, _ range: Range<UInt64>, _ output: inout [UInt8]
    ) -> Bool {
        let key = BlockKey(pack: pack, number: number)
        var mayFetch = true
        while true {
            enum Next {
                case done, fetch(Fetch), impossible
            }
            let next: Next = state.wait { state in
                if let block = state.blocks[key] {
                    state.clock += 1
                    state.blocks[key]?.lastUse = state.clock
                    BlockCache.append(block.bytes, number, range, &output)
                    return .done
                }
                if state.loading.contains(key) { return nil }
                guard mayFetch, let fetch = BlockCache.begin(key, range, &state) else {
                    return .impossible
                }
                return .fetch(fetch)
            }
            switch next {
            case .done: return true
            case .impossible: return false
            case .fetch(let fetch):
                mayFetch = false
                guard let bytes = perform(fetch) else { return false }
                // Not from the cache: with a small one the block may be gone again.
                BlockCache.append(bytes, number, range, &output)
                return true
            }
        }
    }

    /// Takes on the fetch of the block `key` and perhaps of those behind it.
    private static func begin(
        _ key: BlockKey, _ range: Range<UInt64>, _ state: inout State
    ) -> Fetch? {
        guard let size = state.sizes[key.pack], range.upperBound <= size else { return nil }
        let needed = (range.upperBound - 1) / blockSize + 1
        var end = needed
        // The block before it is there: this is a walk through the pack.
        if key.number > 0,
            state.blocks[BlockKey(pack: key.pack, number: key.number - 1)] != nil
        {
            end = max(end, key.number + blocksAhead)
        }
        end = min(end, (size + blockSize - 1) / blockSize)
        var numbers = key.number..<key.number
        while numbers.upperBound < end {
            let next = BlockKey(pack: key.pack, number: numbers.upperBound)
            guard state.blocks[next] == nil, !state.loading.contains(next) else { break }
            state.loading.insert(next)
            numbers = numbers.lowerBound..<(numbers.upperBound + 1)
        }
        return Fetch(
            pack: key.pack, numbers: numbers, size: size,
            generation: state.forgotten[key.pack, default: 0])
    }

    /// Fetches, keeps the blocks, and returns the first one; nil when it cannot be had.
    private func perform(_ fetch: Fetch) -> [UInt8]? {
        var bytes: [UInt8] = []
        let isRead =
            (try? base.read(ObjectKey(.pack, fetch.pack), fetch.bytes, into: &bytes)) != nil
        var blocks: [[UInt8]] = []
        if isRead, bytes.count == fetch.bytes.count {
            for offset in stride(from: 0, to: bytes.count, by: Int(BlockCache.blockSize)) {
                let end = min(offset + Int(BlockCache.blockSize), bytes.count)
                blocks.append(Array(bytes[offset..<end]))
            }
        }
        state.with { state in
            for number in fetch.numbers {
                state.loading.remove(BlockKey(pack: fetch.pack, number: number))
            }
            guard state.forgotten[fetch.pack, default: 0] == fetch.generation else { return }
            for (number, block) in zip(fetch.numbers, blocks) {
                keep(block, BlockKey(pack: fetch.pack, number: number), &state)
            }
        }
        return blocks.first
    }

    private func keep(_ bytes: [UInt8], _ key: BlockKey, _ state: inout State) {
        state.clock += 1
        state.blocks[key] = Block(bytes: bytes, lastUse: state.clock)
        guard state.blocks.count > blockLimit,
            let oldest = state.blocks.min(by: { $0.value.lastUse < $1.value.lastUse })?.key
        else { return }
        state.blocks[oldest] = nil
    }

    private static func append(
        _ block: [UInt8], _ number: UInt64, _ range: Range<UInt64>, _ output: inout [UInt8]
    ) {
        let start = number * blockSize
        let from = Int(max(range.lowerBound, start) - start)
        let to = Int(min(range.upperBound, start + blockSize) - start)
        output += block[from..<to]
    }

    // MARK: What goes straight through

    package func put(_ key: ObjectKey, _ bytes: Span<UInt8>) throws(BackendError) {
        change([key])
        try base.put(key, bytes)
        know(key, UInt64(bytes.count))
    }

    package func put(
        _ key: ObjectKey, from file: borrowing Descriptor, size: UInt64
    ) throws(BackendError) {
        change([key])
        try base.put(key, from: file, size: size)
        know(key, size)
    }

    package func get(_ key: ObjectKey, limit: Int) throws(BackendError) -> [UInt8] {
        try base.get(key, limit: limit)
    }

    package func size(_ key: ObjectKey) throws(BackendError) -> UInt64? { try base.size(key) }

    package func list(
        _ kind: ObjectKind, _ each: (_ id: Digest, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) {
        try base.list(kind) { id, size throws(BackendError) in
            if kind == .pack { know(ObjectKey(.pack, id), size) }
            try each(id, size)
        }
    }

    package func listTogether(
        _ each: (_ key: ObjectKey, _ size: UInt64) throws(BackendError) -> Void
    ) throws(BackendError) -> Bool {
        try base.listTogether { key, size throws(BackendError) in
            know(key, size)
            try each(key, size)
        }
    }

    package func remove(_ key: ObjectKey) throws(BackendError) {
        change([key])
        try base.remove(key)
    }

    package func remove(_ keys: [ObjectKey]) throws(BackendError) {
        change(keys)
        try base.remove(keys)
    }

    package func removeLeftovers(olderThan time: Timestamp) throws(BackendError) -> Int {
        try base.removeLeftovers(olderThan: time)
    }

    private func know(_ key: ObjectKey, _ size: UInt64) {
        guard key.kind == .pack, let pack = key.id else { return }
        state.with { state in
            if state.sizes.count < BlockCache.sizeLimit || state.sizes[pack] != nil {
                state.sizes[pack] = size
            }
        }
    }

    /// Forgets packs that are about to be something else.
    private func change(_ keys: [ObjectKey]) {
        for key in keys where key.kind == .pack {
            guard let pack = key.id else { continue }
            state.with { $0.sizes[pack] = nil }
            forget(pack)
        }
    }
}
