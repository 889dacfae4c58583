package import Platform

/// Reads the JSON of an index file that comes in parts, and gives one complete pack after another.
///
/// Memory is bounded by the largest pack a header can describe. Keys may come in any order, unknown
/// ones ("supersedes") are passed over.
package struct IndexParser {
    /// The most blobs that a pack can have: what fits in the longest header.
    package static let maximumEntries = PackHeader.maximumLength / 37

    private var tokens = JSONTokens()
    private var state = IndexParserState()

    package init() {}

    /// Takes the next part of the JSON and calls `each` for every pack that is complete, with its
    /// blobs in the order of the pack.
    ///
    /// Throws a `store` failure when the text is damaged, and what `each` throws. After an error
    /// the parser is of no further use.
    package mutating func feed(
        _ bytes: Span<UInt8>, each: (_ pack: Digest, _ entries: [PackEntry]) throws(Failure) -> Void
    ) throws(Failure) {
        try feed(bytes, each: each, marked: { _ throws(Failure) in })
    }

    /// As the other, and calls `marked` for each pack that the file marks for removal.
    package mutating func feed(
        _ bytes: Span<UInt8>,
        each: (_ pack: Digest, _ entries: [PackEntry]) throws(Failure) -> Void,
        marked: (MarkedPack) throws(Failure) -> Void
    ) throws(Failure) {
        var state = self.state
        self.state = IndexParserState()
        try tokens.feed(bytes) { bytes, at throws(Failure) in
            try state.takeBlob(bytes, at)
        } _: { token, text throws(Failure) in
            guard let pack = try state.take(token, text) else { return }
            let entries = state.takeEntries()
            if state.isMarked {
                try marked(MarkedPack(id: pack, time: state.time, entries: entries))
            } else {
                try each(pack, entries)
            }
        }
        self.state = state
    }

    /// Ends the text.
    ///
    /// Throws a `store` failure when it is not complete.
    package mutating func finish() throws(Failure) {
        try tokens.finish()
    }
}

/// A pack that an index file names under `packs_to_delete`: nothing new may rely on it, and it is
/// removed once nobody can rely on it any more.
///
/// The key is rustic's; restic passes over it.
package struct MarkedPack: Sendable, Equatable {
    package var id: Digest
    /// When it was marked, by the clock of who marked it; the epoch when the file does not tell.
    package var time: Timestamp
    /// Its blobs; none when its header could not be read.
    package var entries: [PackEntry]

    package init(id: Digest, time: Timestamp, entries: [PackEntry]) {
        self.id = id
        self.time = time
        self.entries = entries
    }
}

/// Where the parser is in `{"packs":[{"id":…,"blobs":[{"id":…,"type":…,…}]}]}`; the packs under
/// `packs_to_delete` have a time as well.
private struct IndexParserState {
    private enum Place {
        case start, top, packsValue, marksValue, packs, pack, packID, timeValue, blobsValue, blobs,
            blob
        case field(Field)
        case end
    }

    private enum Field {
        case id, type, offset, length, plainLength
    }

    private var place = Place.start
    /// Brackets open inside a value that is passed over, and whether one is.
    private var skipped = 0
    private var isSkipping = false

    /// Whether the pack is one of those that are marked for removal, and since when.
    private(set) var isMarked = false
    private(set) var time = Timestamp(seconds: 0)

    private var pack: Digest?
    private var hasBlobs = false
    private var entries: [PackEntry] = []
    private var isSorted = true

    private var id: Digest?
    private var type: BlobType?
    private var offset: UInt64?
    private var length: UInt32?
    private var plainLength: UInt32?

    /// Takes one token; returns the pack's id when it has become complete.
    mutating func take(_ token: JSONToken, _ text: [UInt8]) throws(Failure) -> Digest? {
        if isSkipping {
            skip(token)
            return nil
        }
        switch (place, token) {
        case (.start, .beginObject): place = .top
        case (.top, .key):
            try key(text, [("packs", .packsValue), ("packs_to_delete", .marksValue)])
        case (.top, .endObject): place = .end
        case (.packsValue, .null), (.marksValue, .null): place = .top
        case (.packsValue, .beginArray), (.marksValue, .beginArray):
            if case .marksValue = place { isMarked = true } else { isMarked = false }
            place = .packs
        case (.packs, .beginObject): beginPack()
        case (.packs, .endArray): place = .top
        case (.pack, .key) where isMarked:
            try key(text, [("id", .packID), ("blobs", .blobsValue), ("time", .timeValue)])
        case (.pack, .key): try key(text, [("id", .packID), ("blobs", .blobsValue)])
        case (.timeValue, .string):
            time = parseRFC3339Nano(text.span) ?? Timestamp(seconds: 0)
            place = .pack
        case (.timeValue, .null): place = .pack
        case (.packID, .string):
            pack = try digest(text)
            place = .pack
        case (.blobsValue, .null): place = .pack
        case (.blobsValue, .beginArray):
            guard !hasBlobs else { throw JSONTokens.damaged("a pack has its blobs twice") }
            hasBlobs = true
            place = .blobs
        case (.pack, .endObject):
            place = .packs
            guard let pack else { throw JSONTokens.damaged("a pack has no id") }
            return pack
        case (.blobs, .beginObject):
            (id, type, offset, length, plainLength) = (nil, nil, nil, nil, nil)
            place = .blob
        case (.blobs, .endArray): place = .pack
        case (.blob, .key): try blobKey(text)
        case (.blob, .endObject):
            try endBlob()
            place = .blobs
        case (.field(let field), _):
            try value(field, token, text)
            place = .blob
        default: throw JSONTokens.damaged("a value has the wrong type")
        }
        return nil
    }

    /// Takes a whole blob in the form that everybody writes; returns its bytes, 0 for another
    /// form.
    mutating func takeBlob(_ bytes: Span<UInt8>, _ at: Int) throws(Failure) -> Int {
        guard case .blobs = place, !isSkipping, let blob = PlainBlob(bytes, at) else { return 0 }
        (id, type, offset, length, plainLength) =
            (blob.id, blob.type, blob.offset, blob.length, blob.plainLength)
        try endBlob()
        return blob.end - at
    }

    private mutating func beginPack() {
        pack = nil
        time = Timestamp(seconds: 0)
        hasBlobs = false
        entries.removeAll()
        isSorted = true
        place = .pack
    }

    /// The entries of the pack that has become complete, in the order of the pack.
    mutating func takeEntries() -> [PackEntry] {
        var result: [PackEntry] = []
        swap(&result, &entries)
        if !isSorted { result.sort { $0.offset < $1.offset } }
        return result
    }

    private mutating func skip(_ token: JSONToken) {
        switch token {
        case .beginObject, .beginArray: skipped += 1
        case .endObject, .endArray: skipped -= 1
        default: break
        }
        isSkipping = skipped > 0
    }

    private mutating func key(_ text: [UInt8], _ known: [(StaticString, Place)]) throws(Failure) {
        for (name, next) in known where IndexParserState.equal(text, name) {
            place = next
            return
        }
        try unknown(text)
    }

    private mutating func blobKey(_ text: [UInt8]) throws(Failure) {
        switch text.count {
        case 2 where IndexParserState.equal(text, "id"): place = .field(.id)
        case 4 where IndexParserState.equal(text, "type"): place = .field(.type)
        case 6 where IndexParserState.equal(text, "offset"): place = .field(.offset)
        case 6 where IndexParserState.equal(text, "length"): place = .field(.length)
        case 19 where IndexParserState.equal(text, "uncompressed_length"):
            place = .field(.plainLength)
        default: try unknown(text)
        }
    }

    private mutating func unknown(_ text: [UInt8]) throws(Failure) {
        // An escape could spell a known key, whose value must not get lost.
        guard !text.contains(0x5C) else { throw JSONTokens.damaged("a key with an escape") }
        isSkipping = true
        skipped = 0
    }

    private mutating func value(
        _ field: Field, _ token: JSONToken, _ text: [UInt8]
    ) throws(Failure) {
        switch (field, token) {
        case (.id, .string): id = try digest(text)
        case (.type, .string):
            if IndexParserState.equal(text, "data") {
                type = .data
            } else if IndexParserState.equal(text, "tree") {
                type = .tree
            } else {
                throw JSONTokens.damaged("a blob has an unknown type")
            }
        case (.offset, .number(let value)): offset = value
        case (.length, .number(let value)): length = UInt32(exactly: value)
        case (.plainLength, .number(let value)):
            guard let value = UInt32(exactly: value) else {
                throw JSONTokens.damaged("a blob has a length of \(value) bytes")
            }
            // restic writes no zero; it means a blob stored raw.
            plainLength = value == 0 ? nil : value
        default: throw JSONTokens.damaged("a blob's field has the wrong type")
        }
    }

    private mutating func endBlob() throws(Failure) {
        guard let id, let type, let offset, let length, length >= UInt32(Sealer.overhead),
            offset <= UInt64.max - UInt64(UInt32.max)
        else { throw JSONTokens.damaged("a blob lacks a field, or has an impossible one") }
        guard entries.count < IndexParser.maximumEntries else {
            throw JSONTokens.damaged(
                "a pack has more than \(IndexParser.maximumEntries) blobs")
        }
        if let last = entries.last, last.offset > offset { isSorted = false }
        entries.append(
            PackEntry(
                type: type, id: id, offset: offset, storedLength: length,
                plainLength: plainLength))
    }

    private func digest(_ text: [UInt8]) throws(Failure) -> Digest {
        guard let id = Digest(hex: text.span) else {
            throw JSONTokens.damaged("an id is no 64 hex digits")
        }
        return id
    }

    private static func equal(_ text: [UInt8], _ word: StaticString) -> Bool {
        guard text.count == word.utf8CodeUnitCount else { return false }
        for i in text.indices where unsafe text[i] != word.utf8Start[i] { return false }
        return true
    }
}
