internal import Platform

extension LineCursor {
    /// The stats object of a list's last unit.
    mutating func stats() throws(Failure) -> Stats {
        let start = at
        var stats = Stats()
        var version: UInt64?
        var seen: Set<String> = []
        try object { (cursor, key) throws(Failure) in
            guard seen.insert(key).inserted else { throw cursor.failure("a second \(key)") }
            cursor.skipSpace()
            if key == "size-files-histogram" {
                stats.histogram = try cursor.histogram()
            } else if cursor.peek.map({ $0 &- 48 < 10 }) ?? false {
                let value = try cursor.unsigned()
                if key == "api-version" {
                    version = value
                } else if let path = statsFields[key] {
                    stats[keyPath: path] = value
                } else {
                    stats.counters.append(Stats.Counter(key, value))
                }
            } else if statsFields[key] != nil || key == "api-version" {
                throw cursor.failure("expected an integer")
            } else {
                return false
            }
            return true
        }
        guard let version else { throw failure("stats without \"api-version\"", at: start) }
        guard version == Stats.apiVersion else {
            throw Failure(
                .usage, "the list has version \(version), this program reads \(Stats.apiVersion)",
                hint: "Use the program that wrote the list, or write the list again")
        }
        for key in statsFields.keys where !seen.contains(key) && key != "count-errors" {
            throw failure("stats without \"\(key)\"", at: start)
        }
        return stats
    }

    private mutating func histogram() throws(Failure) -> Histogram {
        var histogram = Histogram()
        try array { (cursor) throws(Failure) in
            let start = cursor.at
            try cursor.expect(UInt8(ascii: "["))
            let low = try cursor.unsigned()
            try cursor.expect(UInt8(ascii: ","))
            let high = try cursor.unsigned()
            try cursor.expect(UInt8(ascii: ","))
            let count = try cursor.unsigned()
            try cursor.expect(UInt8(ascii: "]"))
            guard let bounds = Histogram.bounds(histogram.counts.count), bounds == (low, high)
            else { throw cursor.failure("not the next bucket of the histogram", at: start) }
            histogram.counts.append(count)
        }
        return histogram
    }
}

private let statsFields: [String: any WritableKeyPath<Stats, UInt64> & Sendable] = [
    "count-files": \.countFiles, "count-directories": \.countDirectories,
    "count-symlinks": \.countSymlinks, "count-other": \.countOther,
    "count-errors": \.countErrors, "size-files": \.sizeFiles, "largest-file": \.largestFile,
    "largest-directory-children": \.largestDirectoryChildren,
]
