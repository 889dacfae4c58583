internal import Platform

/// One token of a JSON text.
enum JSONToken: Equatable {
    case beginObject, endObject, beginArray, endArray
    /// A key of an object, or a string; its bytes are in the tokenizer's `text`, without escapes
    /// being replaced: the words and digests that index files are made of have none.
    case key, string
    /// A number that is a whole one and fits; others are `other`.
    case number(UInt64)
    /// null, true, false, and numbers with sign, fraction or exponent.
    case null, other
}

/// Cuts a JSON text (RFC 8259) that comes in parts into tokens, and checks its grammar.
///
/// Memory is bounded: a token is at most 64 KiB, the depth at most 64.
struct JSONTokens {
    private enum Expecting {
        case value, valueOrEnd, keyOrEnd, key, colon, commaOrEnd, nothing
    }

    private enum Inside {
        case nothing, string, escape, word
    }

    private static let tokenLimit = 64 << 10
    private static let depthLimit = 64

    /// The bytes of the key or string that was given last.
    private(set) var text: [UInt8] = []
    private var expecting = Expecting.value
    private var inside = Inside.nothing
    private var isKey = false
    /// The open brackets, true for an object.
    private var open: [Bool] = []

    /// Takes the next part of the text and calls `each` for each token that is complete.
    ///
    /// Throws a `store` failure when this is no JSON, and what the closures throw.
    ///
    /// - Parameter element: asked wherever an element of an array begins: takes it at once and
    ///   tells how many bytes it has, or 0 to have it cut into tokens.
    mutating func feed(
        _ bytes: Span<UInt8>,
        element: (_ bytes: Span<UInt8>, _ at: Int) throws(Failure) -> Int = { _, _ in 0 },
        _ each: (JSONToken, [UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        var at = 0
        while at < bytes.count {
            switch inside {
            case .nothing:
                if atElement {
                    let taken = try element(bytes, at)
                    if taken > 0 {
                        at += taken
                        expecting = .commaOrEnd
                        continue
                    }
                }
                at = try begin(bytes, at, each)
            case .string: at = try continueString(bytes, at, each)
            case .escape:
                text.append(bytes[at])
                inside = .string
                at += 1
            case .word: at = try continueWord(bytes, at, each)
            }
        }
    }

    /// Ends the text.
    ///
    /// Throws a `store` failure when it is not complete.
    mutating func finish() throws(Failure) {
        guard expecting == .nothing, inside == .nothing else {
            throw JSONTokens.damaged("it ends in the middle")
        }
    }

    private var atElement: Bool {
        (expecting == .value || expecting == .valueOrEnd) && open.last == false
    }

    private mutating func begin(
        _ bytes: Span<UInt8>, _ start: Int, _ each: (JSONToken, [UInt8]) throws(Failure) -> Void
    ) throws(Failure) -> Int {
        let byte = bytes[start]
        switch byte {
        case 0x20, 0x09, 0x0A, 0x0D: break
        case 0x22:
            isKey = expecting == .key || expecting == .keyOrEnd
            guard isKey || expecting == .value || expecting == .valueOrEnd else {
                throw JSONTokens.unexpected(byte)
            }
            text.removeAll(keepingCapacity: true)
            inside = .string
        case 0x3A where expecting == .colon: expecting = .value
        case 0x2C where expecting == .commaOrEnd:
            expecting = open.last == true ? .key : .value
        case 0x7B where expecting == .value || expecting == .valueOrEnd:
            try push(true)
            try each(.beginObject, [])
        case 0x5B where expecting == .value || expecting == .valueOrEnd:
            try push(false)
            try each(.beginArray, [])
        case 0x7D where open.last == true && (expecting == .keyOrEnd || expecting == .commaOrEnd):
            pop()
            try each(.endObject, [])
        case 0x5D
        where open.last == false && (expecting == .valueOrEnd || expecting == .commaOrEnd):
            pop()
            try each(.endArray, [])
        case 0x2D, 0x30...0x39, 0x61...0x7A:
            guard expecting == .value || expecting == .valueOrEnd else {
                throw JSONTokens.unexpected(byte)
            }
            text.removeAll(keepingCapacity: true)
            inside = .word
            return start
        default: throw JSONTokens.unexpected(byte)
        }
        return start + 1
    }

    private mutating func push(_ isObject: Bool) throws(Failure) {
        guard open.count < JSONTokens.depthLimit else {
            throw JSONTokens.damaged("it is nested deeper than \(JSONTokens.depthLimit)")
        }
        open.append(isObject)
        expecting = isObject ? .keyOrEnd : .valueOrEnd
    }

    private mutating func pop() {
        open.removeLast()
        endValue()
    }

    private mutating func endValue() {
        expecting = open.isEmpty ? .nothing : .commaOrEnd
    }

    private mutating func continueString(
        _ bytes: Span<UInt8>, _ start: Int, _ each: (JSONToken, [UInt8]) throws(Failure) -> Void
    ) throws(Failure) -> Int {
        var end = start
        while end < bytes.count {
            let byte = bytes[end]
            if byte == 0x22 || byte == 0x5C || byte < 0x20 { break }
            end += 1
        }
        guard text.count + end - start <= JSONTokens.tokenLimit else {
            throw JSONTokens.damaged("a string is longer than \(JSONTokens.tokenLimit) bytes")
        }
        text.append(copying: bytes.extracting(start..<end))
        guard end < bytes.count else { return end }
        switch bytes[end] {
        case 0x22:
            inside = .nothing
            if isKey {
                expecting = .colon
                try each(.key, text)
            } else {
                endValue()
                try each(.string, text)
            }
        case 0x5C:
            text.append(0x5C)
            inside = .escape
        default: throw JSONTokens.unexpected(bytes[end])
        }
        return end + 1
    }

    private mutating func continueWord(
        _ bytes: Span<UInt8>, _ start: Int, _ each: (JSONToken, [UInt8]) throws(Failure) -> Void
    ) throws(Failure) -> Int {
        var end = start
        while end < bytes.count {
            switch bytes[end] {
            case 0x2B, 0x2D, 0x2E, 0x30...0x39, 0x61...0x7A, 0x45: end += 1
            default:
                text.append(copying: bytes.extracting(start..<end))
                inside = .nothing
                endValue()
                try each(try JSONTokens.word(text), [])
                return end
            }
            guard text.count + end - start <= 64 else {
                throw JSONTokens.damaged("a number is longer than 64 bytes")
            }
        }
        text.append(copying: bytes.extracting(start..<end))
        return end
    }

    private static func word(_ text: [UInt8]) throws(Failure) -> JSONToken {
        if text.first.map({ $0 >= 0x61 }) == true {
            switch String(decoding: text, as: UTF8.self) {
            case "null": return .null
            case "true", "false": return .other
            default: throw damaged("an unknown word")
            }
        }
        var value: UInt64 = 0
        for byte in text {
            guard byte >= 0x30, byte <= 0x39 else { return .other }
            let (product, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(byte - 0x30))
            if over || carry { return .other }
            value = sum
        }
        return .number(value)
    }

    private static func unexpected(_ byte: UInt8) -> Failure {
        damaged("the byte \(byte) is not expected where it is")
    }

    static func damaged(_ cause: String) -> Failure {
        Failure(.store, "an index file is damaged", cause: cause)
    }
}
