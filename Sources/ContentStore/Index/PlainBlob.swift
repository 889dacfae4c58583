internal import Platform

/// A blob of an index file in the form that restic writes, and nothing but it:
/// `{"id":"…","type":"data","offset":0,"length":38,"uncompressed_length":99}`, the last one or not.
///
/// Nearly all of an index file is this. Reading it without cutting it into tokens is several times
/// as fast, and whatever is not exactly like this is left to the tokens.
struct PlainBlob {
    var id: Digest
    var type: BlobType
    var offset: UInt64
    var length: UInt32
    var plainLength: UInt32?
    /// Where the bytes after it begin.
    var end: Int

    /// Reads the blob that begins at `start`; nil when it has another form or does not end here.
    init?(_ bytes: Span<UInt8>, _ start: Int) {
        var cursor = Cursor(bytes: bytes, at: start)
        guard cursor.skip("{\"id\":\""), let id = cursor.digest(),
            cursor.skip("\",\"type\":\""), let type = cursor.type(),
            cursor.skip("\",\"offset\":"), let offset = cursor.number(),
            cursor.skip(",\"length\":"), let length = cursor.number().flatMap(UInt32.init(exactly:))
        else { return nil }
        if cursor.skip(",\"uncompressed_length\":") {
            guard let plain = cursor.number().flatMap(UInt32.init(exactly:)), plain > 0 else {
                return nil
            }
            plainLength = plain
        }
        guard cursor.skip("}") else { return nil }
        self.id = id
        self.type = type
        self.offset = offset
        self.length = length
        end = cursor.at
    }

    private struct Cursor: ~Escapable {
        let bytes: Span<UInt8>
        var at: Int

        @_lifetime(copy bytes)
        init(bytes: Span<UInt8>, at: Int) {
            self.bytes = bytes
            self.at = at
        }

        mutating func skip(_ word: StaticString) -> Bool {
            let count = word.utf8CodeUnitCount
            guard bytes.count - at >= count else { return false }
            for i in 0..<count where unsafe bytes[at + i] != word.utf8Start[i] { return false }
            at += count
            return true
        }

        mutating func digest() -> Digest? {
            guard bytes.count - at >= 64 else { return nil }
            let hex = bytes.extracting(at..<(at + 64))
            at += 64
            return Digest(hex: hex)
        }

        mutating func type() -> BlobType? {
            if skip("data") { return .data }
            if skip("tree") { return .tree }
            return nil
        }

        /// At most 18 digits, which always fit; not the last bytes, where more digits may follow.
        mutating func number() -> UInt64? {
            var value: UInt64 = 0
            let start = at
            while at < bytes.count, bytes[at] >= 0x30, bytes[at] <= 0x39 {
                guard at - start < 18 else { return nil }
                value = value * 10 + UInt64(bytes[at] - 0x30)
                at += 1
            }
            return at > start && at < bytes.count ? value : nil
        }
    }
}
