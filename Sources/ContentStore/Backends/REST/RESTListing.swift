internal import Platform

/// Reads the answer to a listing of restic's REST protocol: version 2, `[{"name":…,"size":…}]`, or
/// version 1, `["name"]`.
struct RESTListing {
    private var depth = 0
    private var key: [UInt8] = []
    private var name: Digest?
    private var size: UInt64?
    /// What was listed; without a size by servers of version 1.
    ///
    /// Names that are no object's are passed over.
    private(set) var objects: [(id: Digest, size: UInt64?)] = []

    /// Takes the whole answer.
    ///
    /// - Throws: a `store` failure when it is no listing.
    static func parse(_ body: [UInt8]) throws(Failure) -> [(id: Digest, size: UInt64?)] {
        var listing = RESTListing()
        var tokens = JSONTokens()
        try tokens.feed(body.span) { token, text throws(Failure) in try listing.take(token, text) }
        try tokens.finish()
        return listing.objects
    }

    private mutating func take(_ token: JSONToken, _ text: [UInt8]) throws(Failure) {
        switch token {
        case .beginArray, .beginObject:
            depth += 1
            name = nil
            size = nil
        case .endArray, .endObject:
            if depth == 2, let name, let size { objects.append((name, size)) }
            depth -= 1
        case .key:
            key = text
        case .string:
            let id = Digest(hex: text.span)
            if depth == 1, let id { objects.append((id, nil)) }
            if depth == 2, key == Array("name".utf8) { name = id }
        case .number(let number):
            if depth == 2, key == Array("size".utf8) { size = number }
        case .null:
            // rest-server of old has it for an empty folder.
            break
        case .other:
            break
        }
    }
}
