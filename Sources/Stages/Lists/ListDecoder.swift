package import JobTable
package import Manifest
package import Platform

/// Turns stored chunks back into units.
package enum ListDecoder {
    /// The units of a chunk that holds full lines.
    package static func units(of chunk: ListChunk) throws(Failure) -> [Unit] {
        try apply(chunk, to: (0, []))
    }

    /// The joined units of a chunk: full lines as they are, overlays on the units of the list
    /// before.
    ///
    /// - Parameter previous: the joined units of the same chunk number in the list before, and the
    ///   sequence number of the first of them.
    package static func apply(
        _ chunk: ListChunk, to previous: (firstSeq: Int, units: [Unit])
    ) throws(Failure) -> [Unit] {
        var units: [Unit] = []
        units.reserveCapacity(chunk.count)
        let bytes = chunk.lines.span
        var start = 0
        while start < bytes.count {
            let end = bytes.firstIndex(of: 0x0A, from: start) ?? bytes.count
            switch try Codec.decode(bytes.extracting(start..<end)) {
            case .unit(let unit):
                units.append(unit)
            case .overlay(let overlay):
                let first = Int(overlay.seq) - previous.firstSeq
                guard first >= 0, first + Int(overlay.count) <= previous.units.count else {
                    throw Failure(
                        .module,
                        "chunk \(chunk.number) of a list refers to units that are not there",
                        hint: "Run again with --fresh")
                }
                for index in first..<(first + Int(overlay.count)) {
                    var unit = previous.units[index]
                    if let check = overlay.check { unit.check = check }
                    if let repair = overlay.repair { unit.repair = repair }
                    units.append(unit)
                }
            case .stats:
                throw Failure(.module, "chunk \(chunk.number) of a list holds its end")
            }
            start = end + 1
        }
        guard units.count == chunk.count else {
            throw Failure(
                .module,
                "chunk \(chunk.number) of a list has \(units.count) units instead of \(chunk.count)"
            )
        }
        return units
    }
}

/// Turns a stage's output into the lines of its list.
package enum ListEncoder {
    /// Encodes `output` for the list of its stage: runs of units to which the stage added the
    /// same become one overlay line, everything else full lines.
    ///
    /// - Parameter onlyFull: for lists that others read without the list before (manifests and
    ///   baselines).
    package static func encode(
        _ output: StageOutput, of batch: UnitBatch, onlyFull: Bool
    ) -> [UInt8] {
        if let lines = output.lines { return lines }
        var lines: [UInt8] = []
        lines.reserveCapacity(onlyFull ? output.units.count * 192 : 256)
        var run: Overlay?
        for (unit, origin) in zip(output.units, output.origins) {
            guard !onlyFull, let origin else {
                if let run { Codec.encode(run, into: &lines) }
                run = nil
                Codec.encode(unit, into: &lines)
                continue
            }
            let seq = UInt64(batch.firstSeq + origin)
            if var current = run, current.seq + current.count == seq,
                current.check == unit.check, current.repair == unit.repair
            {
                current.count += 1
                run = current
            } else {
                if let run { Codec.encode(run, into: &lines) }
                run = Overlay(seq: seq, count: 1, check: unit.check, repair: unit.repair)
            }
        }
        if let run { Codec.encode(run, into: &lines) }
        return lines
    }
}
