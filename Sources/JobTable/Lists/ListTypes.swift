package import Platform

/// Names a list of a module: the run and the stage that wrote it.
package struct ListKey: Sendable, Hashable, CustomStringConvertible {
    package var run: String
    package var stage: String

    package init(run: String, stage: String) {
        self.run = run
        self.stage = stage
    }

    package var description: String { "\(run)/\(stage)" }
}

/// How far a stage's results are durable.
package struct Checkpoint: Sendable, Equatable {
    /// How many chunks of the previous list have been consumed.
    package var inputChunks: Int
    /// The last path that was finished, for stages without a previous list.
    package var lastPath: [UInt8]?
    /// What else the stage needs to go on; opaque to the state.
    package var note: [UInt8]?

    package init(inputChunks: Int = 0, lastPath: [UInt8]? = nil, note: [UInt8]? = nil) {
        self.inputChunks = inputChunks
        self.lastPath = lastPath
        self.note = note
    }
}

/// What is known of a list without reading it.
package struct ListInfo: Sendable, Equatable {
    package var key: ListKey
    /// Whether the list has its stats; until then nothing may take it for whole.
    package var finished: Bool
    package var chunks: Int
    /// Units so far: also the sequence number of the next one.
    package var units: Int
    package var checkpoint: Checkpoint
    /// The encoded stats line of a finished list.
    package var stats: [UInt8]?
    /// The sort key of the last unit, empty in a list without units.
    package var lastKey: [UInt8]
    /// The options of the stage that writes the list; opaque.
    package var definition: [UInt8]
}

/// Some consecutive units of a list, as NDJSON lines.
package struct ListChunk: Sendable, Equatable {
    /// The place of the chunk in its list, from 0.
    package var number: Int
    /// The sequence number of the first unit.
    package var firstSeq: Int
    /// How many units the chunk stands for.
    package var count: Int
    /// The sort key of the last unit: comparing these keys bytewise gives the list's order.
    package var lastKey: [UInt8]
    package var lines: [UInt8]

    package init(number: Int, firstSeq: Int, count: Int, lastKey: [UInt8], lines: [UInt8]) {
        self.number = number
        self.firstSeq = firstSeq
        self.count = count
        self.lastKey = lastKey
        self.lines = lines
    }
}

/// A chunk as it is stored; made by `ModuleState.compress` on the caller's thread.
package struct CompressedChunk: Sendable, Equatable {
    package var number: Int
    package var firstSeq: Int
    package let count: Int
    package let lastKey: [UInt8]
    /// One zstd frame with the lines.
    package let data: [UInt8]
    /// Bytes of the lines.
    package let rawSize: Int
    /// XXH64 of `data`.
    let dataSum: UInt64
}

/// The dehydrated state that the next run compares with.
package struct Baseline: Sendable, Equatable {
    /// Its list holds full unit lines with content.
    package var key: ListKey
    package var snapshot: Digest
    package var rootTree: Digest
    package var storeID: String
    /// The store's generation at that time: another one means that content may have gone.
    package var storeGeneration: Int64
    package var time: Timestamp

    package init(
        key: ListKey, snapshot: Digest, rootTree: Digest, storeID: String, storeGeneration: Int64,
        time: Timestamp
    ) {
        self.key = key
        self.snapshot = snapshot
        self.rootTree = rootTree
        self.storeID = storeID
        self.storeGeneration = storeGeneration
        self.time = time
    }
}

/// A change of the module's journal: a value, or nil to remove the note.
package struct NoteChange: Sendable, Equatable {
    package var name: String
    package var value: [UInt8]?

    package init(_ name: String, _ value: [UInt8]?) {
        self.name = name
        self.value = value
    }
}
