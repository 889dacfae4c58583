internal import Platform

/// The sealed bytes of the small blobs that are read next, fetched in few long reads.
///
/// Files of one directory lie side by side in a pack: reading their blobs one by one costs more
/// than the bytes do.
struct BlobsAhead {
    /// Bytes kept at a time.
    private static let sizeLimit = 8 << 20
    /// Larger blobs are read alone: with them the number of reads does not matter.
    static let blobLimit = 1 << 20
    /// Bytes that nobody asked for, read to save a further read.
    private static let gapLimit: UInt64 = 32 << 10

    private struct Place {
        var start: Int
        var location: BlobLocation
    }

    private var places: [Digest: Place] = [:]
    private(set) var bytes: [UInt8] = []

    /// Where the blob's sealed bytes are in `bytes`, and what the index says of it.
    func place(of id: Digest) -> (range: Range<Int>, location: BlobLocation)? {
        guard let place = places[id] else { return nil }
        return (
            place.start..<(place.start + Int(place.location.storedLength)), place.location
        )
    }

    /// Forgets what it has.
    mutating func removeAll() {
        places.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
    }

    /// Fetches what can be had of `ids`.
    ///
    /// What cannot be read is left out without a word: whoever reads the blob alone is told.
    mutating func fetch(_ ids: [Digest], _ type: BlobType, from store: Store) throws(Failure) {
        removeAll()
        var wanted: [(id: Digest, location: BlobLocation)] = []
        var size = 0
        for (id, location) in zip(ids, try store.index.firstLocations(ids, type)) {
            guard let location, Int(location.storedLength) <= BlobsAhead.blobLimit else { continue }
            size += Int(location.storedLength)
            guard size <= BlobsAhead.sizeLimit else { break }
            wanted.append((id, location))
        }
        wanted.sort {
            ($0.location.pack, $0.location.offset) < ($1.location.pack, $1.location.offset)
        }
        var first = 0
        while first < wanted.count {
            let pack = wanted[first].location.pack
            let start = wanted[first].location.offset
            var end = start
            var next = first
            while next < wanted.count, wanted[next].location.pack == pack,
                wanted[next].location.offset <= end + BlobsAhead.gapLimit
            {
                let location = wanted[next].location
                end = max(end, location.offset + UInt64(location.storedLength))
                next += 1
            }
            let base = bytes.count
            if (try? store.backend.read(ObjectKey(.pack, pack), start..<end, into: &bytes)) != nil {
                for (id, location) in wanted[first..<next] {
                    places[id] = Place(
                        start: base + Int(location.offset - start), location: location)
                }
            }
            first = next
        }
    }
}
