package import Platform
internal import Synchronization

/// Which blobs of the index snapshots refer to: two bits a blob and about five bytes to find them.
///
/// A blob is known by the first 48 bits or more of its id. Two blobs that agree in them are both
/// taken as referred to when one is, which keeps one too many and loses none. Usable by several
/// threads once it is filled.
package final class LiveSet: Sendable {
    /// What is filled once, in the order of the ids.
    private struct Names: Sendable {
        /// Bits of an id that choose its bucket.
        var bucketBits: UInt64 = 16
        /// Where each bucket begins in `suffixes`.
        var starts: [UInt32] = []
        /// The 32 bits of each id that follow the bucket's.
        var suffixes: [UInt32] = []
        /// Names that belong to more than one id.
        var ambiguous = Set<UInt64>()

        func name(_ id: Digest) -> UInt64 { id.prefix64 >> (32 - bucketBits) }
    }

    private struct Bits {
        var live: [UInt64]
        var walked: [UInt64]
        /// Trees that have been walked and have an ambiguous name: there a bit is not proof.
        var exactlyWalked = Set<Digest>()
    }

    /// Collects the ids that the set is over, in their order.
    package struct Builder {
        private var names = Names()
        private var last: Digest?

        /// - Parameter count: about how many blobs follow.
        package init(count: Int) {
            while names.bucketBits < 24 && 1 << names.bucketBits < count / 8 {
                names.bucketBits += 1
            }
            names.starts.reserveCapacity(1 << names.bucketBits + 1)
            names.suffixes.reserveCapacity(count)
        }

        /// Adds the next id; the same one may come several times.
        package mutating func add(_ id: Digest) throws(Failure) {
            if let last {
                if last == id { return }
                guard last < id else { throw Failure(.bug, "the index is out of order") }
                if names.name(last) == names.name(id) {
                    names.ambiguous.insert(names.name(id))
                    self.last = id
                    return
                }
            }
            last = id
            let name = names.name(id)
            let bucket = Int(name >> 32)
            while names.starts.count <= bucket { names.starts.append(UInt32(names.suffixes.count)) }
            names.suffixes.append(UInt32(truncatingIfNeeded: name))
        }

        /// The set.
        package consuming func finish() -> LiveSet {
            while names.starts.count <= 1 << names.bucketBits {
                names.starts.append(UInt32(names.suffixes.count))
            }
            return LiveSet(names)
        }
    }

    private let names: Names
    private let bits: Mutex<Bits>

    private init(_ names: consuming Names) {
        let words = names.suffixes.count / 64 + 1
        bits = Mutex(
            Bits(
                live: [UInt64](repeating: 0, count: words),
                walked: [UInt64](repeating: 0, count: words)))
        self.names = names
    }

    private func position(_ id: Digest) -> Int? {
        let name = names.name(id)
        let bucket = Int(name >> 32)
        let suffix = UInt32(truncatingIfNeeded: name)
        var low = Int(names.starts[bucket])
        var high = Int(names.starts[bucket + 1])
        while low < high {
            let middle = (low + high) / 2
            if names.suffixes[middle] < suffix { low = middle + 1 } else { high = middle }
        }
        guard low < Int(names.starts[bucket + 1]), names.suffixes[low] == suffix else {
            return nil
        }
        return low
    }

    /// How many blobs there are.
    package var count: Int { names.suffixes.count }

    /// Notes that blobs are referred to; returns those that the index does not have.
    package func mark(_ ids: [Digest]) -> [Digest] {
        var missing: [Digest] = []
        var positions: [Int] = []
        positions.reserveCapacity(ids.count)
        for id in ids {
            if let position = position(id) {
                positions.append(position)
            } else {
                missing.append(id)
            }
        }
        bits.withLock { bits in
            for position in positions { bits.live[position >> 6] |= 1 << UInt64(position & 63) }
        }
        return missing
    }

    /// Notes that a tree is referred to and will be walked; false when it was before.
    package func markTree(_ id: Digest) -> Bool {
        guard let position = position(id) else { return true }
        let isAmbiguous = !names.ambiguous.isEmpty && names.ambiguous.contains(names.name(id))
        return bits.withLock { bits in
            let bit: UInt64 = 1 << UInt64(position & 63)
            bits.live[position >> 6] |= bit
            if isAmbiguous { return bits.exactlyWalked.insert(id).inserted }
            defer { bits.walked[position >> 6] |= bit }
            return bits.walked[position >> 6] & bit == 0
        }
    }

    /// Forgets all references.
    package func clear() {
        bits.withLock { bits in
            let empty = [UInt64](repeating: 0, count: bits.live.count)
            bits = Bits(live: empty, walked: empty)
        }
    }

    /// Some blobs of the set; a value, for one thread's many questions.
    package struct Subset {
        fileprivate let set: LiveSet
        fileprivate var bits: [UInt64]

        /// Whether the blob is among them; one that the set does not know counts as if.
        package func contains(_ id: Digest) -> Bool {
            guard let position = set.position(id) else { return true }
            return bits[position >> 6] & 1 << UInt64(position & 63) != 0
        }

        /// Adds a blob; one that the set does not know is among them already.
        package mutating func insert(_ id: Digest) {
            guard let position = set.position(id) else { return }
            bits[position >> 6] |= 1 << UInt64(position & 63)
        }

        /// None of the blobs that the set knows.
        package func emptied() -> Subset {
            Subset(set: set, bits: [UInt64](repeating: 0, count: bits.count))
        }

        /// How many blobs are here and in `other`, and not in `before`.
        package func count(_ other: Subset, without before: Subset) -> Int {
            var count = 0
            for i in bits.indices {
                count += (bits[i] & other.bits[i] & ~before.bits[i]).nonzeroBitCount
            }
            return count
        }

        /// How many blobs these are.
        package var count: Int { bits.reduce(0) { $0 + $1.nonzeroBitCount } }
    }

    /// The blobs that are referred to, as far as is known at this moment.
    package func referred() -> Subset { Subset(set: self, bits: bits.withLock { $0.live }) }
}
