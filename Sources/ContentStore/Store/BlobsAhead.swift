internal import Platform

/// The sealed bytes of blobs that are read next, fetched before they are asked for, in few long
/// reads.
///
/// Files of one directory lie side by side in a pack: reading their blobs one by one costs more
/// than the bytes do. They come in windows; of a store on a network the next window is under way
/// while one is used. Not for use by two threads at once.
final class BlobsAhead {
    /// Stored bytes of one window, and of what lies between its blobs.
    static let windowSize = 2 << 20
    /// Blobs of one window: without content they have to end as well.
    private static let windowCount = 1024
    /// Windows at a time: the one that is used, and those behind it.
    private static let windowLimit = 2
    /// On a disk larger blobs are read alone: with them the number of reads does not matter.
    private static let blobLimitOnDisk = 1 << 20
    /// On a network few are larger, and each takes a window of its own.
    private static let blobLimitOnNetwork = 4 << 20
    /// Bytes that nobody asked for, read to save a further read.
    private static let gapLimit: UInt64 = 32 << 10
    /// Blobs that are looked up in the index at once.
    private static let lookupCount = 256

    private struct Place {
        var fetch: RangeFetcher.Fetch
        var start: Int
        var location: BlobLocation
    }

    private struct Window {
        var places: [Digest: Place] = [:]
        /// How many of its blobs are still to come, repeated ones each time.
        var left: Int
    }

    private let store: Store
    private let blobLimit: Int
    private var type = BlobType.data
    /// What was not looked up yet, last first.
    private var expected: [ArraySlice<Digest>] = []
    private var found: ArraySlice<(id: Digest, location: BlobLocation)> = []
    private var windows: [Window] = []

    init(store: Store) {
        self.store = store
        blobLimit =
            store.backend.isLocal ? BlobsAhead.blobLimitOnDisk : BlobsAhead.blobLimitOnNetwork
    }

    /// Begins to fetch what is read next, in this order, and forgets what was expected before.
    ///
    /// - Throws: `Failure` when the index cannot be asked.
    func expect(_ lists: [[Digest]], _ type: BlobType) throws(Failure) {
        self.type = type
        expected = lists.reversed().map { $0[...] }
        found = []
        windows.removeAll(keepingCapacity: true)
        try fill()
    }

    /// A blob that was expected: the bytes that it is in, where, and what the index says of it.
    ///
    /// Nil for others, and for what could not be read. What was expected before it is not any more.
    func blob(
        _ id: Digest, _ type: BlobType
    ) throws(Failure) -> (bytes: [UInt8], range: Range<Int>, location: BlobLocation)? {
        guard type == self.type else { return nil }
        if let first = windows.first, first.left <= 0 {
            windows.removeFirst()
            try fill()
        }
        guard let number = windows.firstIndex(where: { $0.places[id] != nil }) else { return nil }
        if number > 0 {
            windows.removeFirst(number)
            try fill()
        }
        windows[0].left -= 1
        guard let place = windows[0].places[id], let bytes = place.fetch.wait() else { return nil }
        let end = place.start + Int(place.location.storedLength)
        return (bytes, place.start..<end, place.location)
    }

    private func fill() throws(Failure) {
        while windows.count < BlobsAhead.windowLimit, let window = try next() {
            windows.append(window)
        }
    }

    /// The next window, on its way; nil at the end of what is expected.
    private func next() throws(Failure) -> Window? {
        var wanted: [Digest: BlobLocation] = [:]
        var count = 0
        var size = 0
        while count < BlobsAhead.windowCount, let blob = try nextFound() {
            if wanted[blob.id] == nil {
                size += Int(blob.location.storedLength)
                if size > BlobsAhead.windowSize, !wanted.isEmpty { break }
                wanted[blob.id] = blob.location
            }
            count += 1
            found.removeFirst()
        }
        guard !wanted.isEmpty else { return nil }
        let sorted = wanted.sorted {
            ($0.value.pack, $0.value.offset) < ($1.value.pack, $1.value.offset)
        }
        var window = Window(left: count)
        var gaps = UInt64(BlobsAhead.windowSize)
        var rest = sorted[...]
        while let first = rest.first?.value {
            let start = first.offset
            var end = start
            let run = rest.prefix { blob in
                let next = blob.value
                let gap = next.offset - min(next.offset, end)
                guard next.pack == first.pack, gap <= min(BlobsAhead.gapLimit, gaps) else {
                    return false
                }
                gaps -= gap
                end = max(end, next.offset + UInt64(next.storedLength))
                return true
            }
            let fetch = store.fetcher.fetch(first.pack, start..<end)
            for (id, location) in run {
                window.places[id] = Place(
                    fetch: fetch, start: Int(location.offset - start), location: location)
            }
            rest = rest[run.endIndex...]
        }
        return window
    }

    /// The next blob that is worth fetching, which stays the next one.
    private func nextFound() throws(Failure) -> (id: Digest, location: BlobLocation)? {
        while found.isEmpty {
            var ids: [Digest] = []
            while ids.count < BlobsAhead.lookupCount, let list = expected.popLast() {
                let taken = list.prefix(BlobsAhead.lookupCount - ids.count)
                ids += taken
                let rest = list[taken.endIndex...]
                if !rest.isEmpty { expected.append(rest) }
            }
            if ids.isEmpty { return nil }
            found =
                zip(ids, try store.index.firstLocations(ids, type)).compactMap { (id, location) in
                    guard let location, Int(location.storedLength) <= blobLimit else { return nil }
                    return (id, location)
                }[...]
        }
        return found.first
    }
}
