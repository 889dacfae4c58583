/// A piece of an XML document.
enum XMLToken: Equatable {
    case start(String)
    case text(String)
    case end(String)
}

/// A document that is none.
package struct XMLMalformed: Error, Equatable {
    package var reason: String
}

/// Reads the XML that S3 servers answer with: elements and text, without validation.
///
/// Attributes, comments, processing instructions and document types are passed over, prefixes of
/// names are dropped, entities other than the five of XML and numeric ones are errors.
struct XMLReader {
    private let bytes: [UInt8]
    private var at = 0
    private var open: [String] = []
    /// The end of an element that was closed at once: `<a/>`.
    private var pending: String?
    private var seenRoot = false

    /// Elements in each other.
    private static let depthLimit = 32

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The next piece; nil at the end of a complete document.
    mutating func next() throws(XMLMalformed) -> XMLToken? {
        if let name = pending {
            pending = nil
            open.removeLast()
            return .end(name)
        }
        while at < bytes.count {
            guard bytes[at] == 0x3C else {
                let text = try takeText()
                guard !open.isEmpty else { continue }
                return .text(text)
            }
            if starts("<!--") {
                try skip(past: "-->")
            } else if starts("<![CDATA[") {
                at += 9
                let start = at
                try skip(past: "]]>")
                return .text(String(decoding: bytes[start..<(at - 3)], as: UTF8.self))
            } else if starts("<?") {
                try skip(past: "?>")
            } else if starts("<!") {
                try skip(past: ">")
            } else {
                return try takeTag()
            }
        }
        guard open.isEmpty, seenRoot else { throw XMLMalformed(reason: "it ends in the middle") }
        return nil
    }

    private mutating func takeTag() throws(XMLMalformed) -> XMLToken {
        let start = at + 1
        var quote: UInt8?
        at = start
        while at < bytes.count, quote != nil || bytes[at] != 0x3E {
            if let q = quote {
                if bytes[at] == q { quote = nil }
            } else if bytes[at] == 0x22 || bytes[at] == 0x27 {
                quote = bytes[at]
            }
            at += 1
        }
        guard at < bytes.count else { throw XMLMalformed(reason: "it ends in the middle of a tag") }
        var content = bytes[start..<at]
        at += 1
        if content.first == 0x2F {
            let name = XMLReader.name(content.dropFirst())
            guard open.popLast() == name else {
                throw XMLMalformed(reason: "</\(name)> is too much")
            }
            return .end(name)
        }
        let closed = content.last == 0x2F
        if closed { content.removeLast() }
        let name = XMLReader.name(content)
        guard !name.isEmpty, open.count < XMLReader.depthLimit, !(open.isEmpty && seenRoot) else {
            throw XMLMalformed(reason: "a tag where none may be")
        }
        seenRoot = true
        open.append(name)
        if closed { pending = name }
        return .start(name)
    }

    private static func name(_ tag: ArraySlice<UInt8>) -> String {
        let full = tag.prefix { $0 > 0x20 }
        let local = full.lastIndex(of: 0x3A).map { full[($0 + 1)...] } ?? full
        return String(decoding: local, as: UTF8.self)
    }

    private mutating func takeText() throws(XMLMalformed) -> String {
        var text: [UInt8] = []
        while at < bytes.count, bytes[at] != 0x3C {
            if bytes[at] == 0x26 {
                try takeEntity(&text)
            } else {
                text.append(bytes[at])
                at += 1
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private mutating func takeEntity(_ text: inout [UInt8]) throws(XMLMalformed) {
        guard let end = bytes[at...].prefix(12).firstIndex(of: 0x3B) else {
            throw XMLMalformed(reason: "an endless entity")
        }
        let name = String(decoding: bytes[(at + 1)..<end], as: UTF8.self)
        at = end + 1
        switch name {
        case "amp": text.append(0x26)
        case "lt": text.append(0x3C)
        case "gt": text.append(0x3E)
        case "quot": text.append(0x22)
        case "apos": text.append(0x27)
        default:
            let digits = name.dropFirst(name.hasPrefix("#x") ? 2 : 1)
            guard name.hasPrefix("#"),
                let value = UInt32(digits, radix: name.hasPrefix("#x") ? 16 : 10),
                let scalar = Unicode.Scalar(value)
            else { throw XMLMalformed(reason: "the unknown entity &\(name);") }
            text += Array(String(scalar).utf8)
        }
    }

    private func starts(_ text: StaticString) -> Bool {
        guard bytes.count - at >= text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { unsafe bytes[at...].starts(with: $0) }
    }

    private mutating func skip(past text: StaticString) throws(XMLMalformed) {
        while at < bytes.count {
            if starts(text) {
                at += text.utf8CodeUnitCount
                return
            }
            at += 1
        }
        throw XMLMalformed(reason: "it ends in the middle")
    }
}

/// A document as records: the values of the leaves below each element of a name.
package struct XMLRecords {
    /// The name of the outermost element.
    package private(set) var root = ""
    /// The leaves directly below the root.
    package private(set) var fields: [String: String] = [:]
    /// The elements below the root that hold further ones, in order.
    package private(set) var records: [(name: String, fields: [String: String])] = []

    /// Reads a whole document; leaves deeper than a record's own are passed over.
    package init(_ bytes: [UInt8]) throws(XMLMalformed) {
        var reader = XMLReader(bytes)
        var path: [String] = []
        var text = ""
        var record: [String: String] = [:]
        var hasLeaves = false
        while let token = try reader.next() {
            switch token {
            case .start(let name):
                if path.isEmpty { root = name }
                path.append(name)
                text = ""
                if path.count == 2 {
                    record = [:]
                    hasLeaves = false
                }
                if path.count == 3 { hasLeaves = true }
            case .text(let more): text += more
            case .end(let name):
                switch path.count {
                case 3: record[name] = text
                case 2 where hasLeaves: records.append((name, record))
                case 2: fields[name] = text
                default: break
                }
                path.removeLast()
                text = ""
            }
        }
    }
}
