/// The last unit of a list: what the list holds.
///
/// A list without it is unfinished.
package struct Stats: Sendable, Equatable {
    /// The version of this object; readers refuse a higher one.
    package static let apiVersion: UInt64 = 1

    package var countFiles: UInt64 = 0
    package var countDirectories: UInt64 = 0
    package var countSymlinks: UInt64 = 0
    /// Fifos, sockets and devices.
    package var countOther: UInt64 = 0
    /// Units with an error.
    package var countErrors: UInt64 = 0
    /// Bytes in all files.
    package var sizeFiles: UInt64 = 0
    /// Bytes of the largest file.
    package var largestFile: UInt64 = 0
    /// Entries of the directory that has most.
    package var largestDirectoryChildren: UInt64 = 0
    /// Files per size, see `Histogram`.
    package var histogram = Histogram()
    /// What a stage counts, in the order of printing.
    ///
    /// Names must not be those of the fields above.
    package var counters: [Counter] = []

    /// A number that one stage counts.
    package struct Counter: Sendable, Equatable {
        package var name: String
        package var value: UInt64

        package init(_ name: String, _ value: UInt64) {
            self.name = name
            self.value = value
        }
    }

    package init() {}

    /// The counter `name`, 0 where there is none; setting adds it at the end.
    package subscript(counter name: String) -> UInt64 {
        get { counters.first { $0.name == name }?.value ?? 0 }
        set {
            if let i = counters.firstIndex(where: { $0.name == name }) {
                counters[i].value = newValue
            } else {
                counters.append(Counter(name, newValue))
            }
        }
    }
}

/// Counts sizes in two buckets per decade: (0,0), (1,3), (4,10), (11,31), (32,100) and so on.
package struct Histogram: Sendable, Equatable {
    /// How many sizes fell into each bucket, without empty buckets at the end.
    package internal(set) var counts: [UInt64] = []

    package init() {}

    /// Counts one size.
    package mutating func add(_ size: UInt64) {
        let bucket = Histogram.bucket(of: size)
        while counts.count <= bucket { counts.append(0) }
        counts[bucket] += 1
    }

    /// The smallest and largest size of a bucket; nil past the last one.
    package static func bounds(_ bucket: Int) -> (min: UInt64, max: UInt64)? {
        guard maxima.indices.contains(bucket) else { return nil }
        return (bucket == 0 ? 0 : maxima[bucket - 1] + 1, maxima[bucket])
    }

    private static func bucket(of size: UInt64) -> Int {
        var low = 0
        var high = maxima.count - 1
        while low < high {
            let middle = (low + high) / 2
            if size <= maxima[middle] { high = middle } else { low = middle + 1 }
        }
        return low
    }

    // 10^(k/2) rounded down: the largest size of each bucket.
    private static let maxima: [UInt64] = {
        var maxima: [UInt64] = [0]
        // Digits of the square root of 10, so that every half decade is exact.
        let root: [UInt64] = [3, 1, 6, 2, 2, 7, 7, 6, 6, 0, 1, 6, 8, 3, 7, 9, 3, 3, 1, 9]
        var half: UInt64 = 0
        var full: UInt64 = 1
        for digit in root.prefix(19) {
            half = half * 10 + digit
            maxima.append(half)
            full *= 10
            maxima.append(full)
        }
        // sqrt(10) * 10^19 needs more than 64 bits: the last bucket takes the rest.
        maxima.append(.max)
        return maxima
    }()
}
