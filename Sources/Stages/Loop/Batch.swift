package import JobTable
package import Manifest
internal import Platform

/// Some consecutive units on their way through a stage, and the range of paths they stand for.
package struct UnitBatch: Sendable {
    /// The place of the batch in its stream, from 0.
    ///
    /// The chunk that a stage stores for it has the same number.
    package var number: Int
    /// The sequence number of the first unit in the list it comes from.
    package var firstSeq: Int
    package var units: [Unit]
    /// The range begins behind this path; nil for the very beginning.
    package var after: [UInt8]?
    /// The range ends with this path; nil for the end of all paths: the last batch of a stream,
    /// often without units, covers what comes behind the last unit.
    package var upTo: [UInt8]?
    /// The outermost directory at or above `after` that could not be read: what the last snapshot
    /// has below it is unknown, not removed.
    package var unreadable: [UInt8]?

    package init(
        number: Int, firstSeq: Int, units: [Unit], after: [UInt8]?, upTo: [UInt8]?,
        unreadable: [UInt8]? = nil
    ) {
        self.number = number
        self.firstSeq = firstSeq
        self.units = units
        self.after = after
        self.upTo = upTo
        self.unreadable = unreadable
    }

    /// The bytes of the files in the batch, for progress.
    package var fileBytes: UInt64 {
        // By index: a copy of each unit costs more than the sum.
        units.indices.reduce(0) {
            $0 &+ (units[$1].metadata.kind == .file ? units[$1].metadata.size : 0)
        }
    }
}

/// What a stage made of one batch.
package struct StageOutput: Sendable {
    /// The units with what the stage adds, in path order; also units that the input did not have.
    package var units: [Unit] = []
    /// For each unit the index of the input unit that it is, when the stage only added its own
    /// part to it; nil when the unit is new or its own fields changed.
    package var origins: [Int?] = []
    /// What the stage counts.
    package var counters: [Stats.Counter] = []
    /// The units as whole lines, when the stage has them already; `units` may then lack what the
    /// stage adds.
    package var lines: [UInt8]?
    /// A chunk of an earlier list that holds just these lines.
    package var chunk: CompressedChunk?
    /// What the stage hands from the working thread to `Stage.collect`.
    package var payload: (any Sendable)?

    package init() {}

    /// Adds a unit; see `origins`.
    package mutating func append(_ unit: Unit, origin: Int?) {
        units.append(unit)
        origins.append(origin)
    }

    /// Adds `value` to the counter `name`.
    package mutating func count(_ name: String, _ value: UInt64 = 1) {
        if let i = counters.firstIndex(where: { $0.name == name }) {
            counters[i].value &+= value
        } else {
            counters.append(Stats.Counter(name, value))
        }
    }
}
