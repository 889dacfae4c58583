package import JobTable
package import Manifest
package import Platform

/// Reads the units of a module's last dehydrated state in a range of paths: the other side of every
/// comparison.
///
/// Not for use by two threads at once.
package final class BaselineReader {
    private let state: ModuleState
    private let key: ListKey
    // Two chunks: batch and chunk borders coincide as long as a module grows little.
    private var cache: [(number: Int, units: [Unit])] = []

    /// Reads the baseline list `key` of `state`.
    package init(state: ModuleState, key: ListKey) {
        self.state = state
        self.key = key
    }

    /// The units behind `after` up to and with `upTo`, in path order; nil means no border.
    package func units(after: [UInt8]?, upTo: [UInt8]?) throws(Failure) -> [Unit] {
        var result: [Unit] = []
        guard var number = try state.chunkNumber(key, containing: after.map(sortKey) ?? [])
        else { throw Failure(.module, "the list \(key) of the last snapshot is gone") }
        while let units = try decoded(number) {
            // Chunks at the borders reach beyond the range: most often none of their units do.
            let low = after.map { after in firstIndex(in: units) { comparePaths($0, after) > 0 } }
            let high = upTo.map { upTo in firstIndex(in: units) { comparePaths($0, upTo) > 0 } }
            let range = (low ?? 0)..<max(low ?? 0, high ?? units.count)
            if range.count == units.count && result.isEmpty {
                result = units
            } else {
                result += units[range]
            }
            if range.upperBound < units.count { break }
            if let upTo, let last = units.last, comparePaths(last.path, upTo) >= 0 { break }
            number += 1
        }
        return result
    }

    /// Chunk `number`, if it stands for just the paths behind `after` up to and with `upTo`.
    package func chunk(
        _ number: Int, after: [UInt8]?, upTo: [UInt8]?
    ) throws(Failure) -> (stored: CompressedChunk, lines: ListChunk)? {
        guard let upTo, (number == 0) == (after == nil),
            let (chunk, before) = try state.storedChunk(key, number),
            chunk.lastKey == sortKey(upTo), before == after.map(sortKey) ?? []
        else { return nil }
        return (chunk, try state.expand(chunk))
    }

    /// The unit at exactly `path`.
    package func unit(at path: [UInt8]) throws(Failure) -> Unit? {
        guard let number = try state.chunkNumber(key, containing: sortKey(path)),
            let units = try decoded(number)
        else { return nil }
        let index = firstIndex(in: units) { comparePaths($0, path) >= 0 }
        return index < units.count && units[index].path == path ? units[index] : nil
    }

    private func firstIndex(in units: [Unit], where isBehind: ([UInt8]) -> Bool) -> Int {
        var low = 0
        var high = units.count
        while low < high {
            let middle = (low + high) / 2
            if isBehind(units[middle].path) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    /// The units of chunk `number` that the last snapshot holds; nil behind the last chunk.
    private func decoded(_ number: Int) throws(Failure) -> [Unit]? {
        if let hit = cache.first(where: { $0.number == number }) { return hit.units }
        guard let chunk = try state.chunk(key, number) else { return nil }
        // A unit with an error was reported in that run, and is not in its snapshot.
        var units = try ListDecoder.units(of: chunk)
        let isLost = { (unit: Unit) in unit.error != nil && unit.metadata.kind != .directory }
        if units.contains(where: isLost) { units.removeAll(where: isLost) }
        if cache.count == 2 { cache.removeFirst() }
        cache.append((number, units))
        return units
    }
}
