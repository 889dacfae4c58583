/// Why a glob is none.
struct GlobError: Error {
    let reason: String
}

/// One component of a pattern, compiled: matched in time pattern × name at worst.
struct GlobComponent: Sendable {
    private enum Token {
        case byte(UInt8)
        case any
        case star
        case set(ByteSet)
    }

    private var tokens: [Token] = []
    /// Whether this is `**`, which stands for any number of components.
    let isAnyDepth: Bool
    // Most patterns are names without anything special.
    private var literal: [UInt8]? = []

    init(_ pattern: ArraySlice<UInt8>) throws(GlobError) {
        isAnyDepth = pattern.elementsEqual([0x2A, 0x2A])
        var rest = pattern
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"):
                // Two stars that are not a whole component are one.
                if case .star? = tokens.last { continue }
                append(.star)
            case UInt8(ascii: "?"): append(.any)
            case UInt8(ascii: "["): append(.set(try ByteSet(&rest)))
            case UInt8(ascii: "\\"):
                guard let next = rest.popFirst() else {
                    throw GlobError(reason: "it ends with a backslash")
                }
                append(.byte(next))
            default: append(.byte(byte))
            }
        }
    }

    private mutating func append(_ token: Token) {
        tokens.append(token)
        if case .byte(let byte) = token { literal?.append(byte) } else { literal = nil }
    }

    /// Whether the pattern matches the whole `name`.
    func matches(_ name: ArraySlice<UInt8>) -> Bool {
        if let literal { return name.elementsEqual(literal) }
        var t = 0
        var at = name.startIndex
        // Where to go on when a match fails: behind the last star with one byte more under it.
        var retry: (t: Int, at: Int)?
        while true {
            if t == tokens.count {
                if at == name.endIndex { return true }
            } else if case .star = tokens[t] {
                retry = (t + 1, at)
                t += 1
                continue
            } else if at < name.endIndex, matches(tokens[t], name[at]) {
                t += 1
                at += 1
                continue
            }
            guard let last = retry, last.at < name.endIndex else { return false }
            retry = (last.t, last.at + 1)
            t = last.t
            at = last.at + 1
        }
    }

    private func matches(_ token: Token, _ byte: UInt8) -> Bool {
        switch token {
        case .byte(let expected): byte == expected
        case .any, .star: true
        case .set(let set): set.contains(byte)
        }
    }
}

/// A bracket expression: `[a-z]`, `[!0-9]`, `[[:alpha:]_]`.
private struct ByteSet: Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    private var isNegated = false

    /// Reads an expression after its opening bracket, with its closing one.
    init(_ rest: inout ArraySlice<UInt8>) throws(GlobError) {
        if let first = rest.first, first == UInt8(ascii: "!") || first == UInt8(ascii: "^") {
            isNegated = true
            rest.removeFirst()
        }
        var isFirst = true
        while let byte = rest.popFirst() {
            // A closing bracket that comes first stands for itself.
            if byte == UInt8(ascii: "]"), !isFirst { return }
            isFirst = false
            if byte == UInt8(ascii: "["), rest.first == UInt8(ascii: ":") {
                try insertClass(&rest)
                continue
            }
            let low = try ByteSet.unescaped(byte, &rest)
            guard rest.first == UInt8(ascii: "-"), rest.count > 1,
                rest[rest.startIndex + 1] != UInt8(ascii: "]")
            else {
                insert(low)
                continue
            }
            rest.removeFirst()
            guard let next = rest.popFirst() else { break }
            let high = try ByteSet.unescaped(next, &rest)
            guard low <= high else { throw GlobError(reason: "a range runs backwards") }
            for byte in low...high { insert(byte) }
        }
        throw GlobError(reason: "a [ is not closed")
    }

    private static func unescaped(
        _ byte: UInt8, _ rest: inout ArraySlice<UInt8>
    ) throws(GlobError) -> UInt8 {
        guard byte == UInt8(ascii: "\\") else { return byte }
        guard let next = rest.popFirst() else { throw GlobError(reason: "a [ is not closed") }
        return next
    }

    private mutating func insertClass(_ rest: inout ArraySlice<UInt8>) throws(GlobError) {
        rest.removeFirst()
        guard let colon = rest.firstIndex(of: UInt8(ascii: ":")),
            colon + 1 < rest.endIndex, rest[colon + 1] == UInt8(ascii: "]")
        else { throw GlobError(reason: "a [: is not closed") }
        let name = String(decoding: rest[..<colon], as: UTF8.self)
        rest = rest[(colon + 2)...]
        guard let contains = ByteSet.classes[name] else {
            throw GlobError(reason: "unknown class [:\(name):]")
        }
        for byte in UInt8.min...127 where contains(byte) { insert(byte) }
    }

    private mutating func insert(_ byte: UInt8) {
        let bit: UInt64 = 1 << UInt64(byte & 63)
        switch byte >> 6 {
        case 0: words.0 |= bit
        case 1: words.1 |= bit
        case 2: words.2 |= bit
        default: words.3 |= bit
        }
    }

    func contains(_ byte: UInt8) -> Bool {
        let word =
            switch byte >> 6 {
            case 0: words.0
            case 1: words.1
            case 2: words.2
            default: words.3
            }
        return (word >> UInt64(byte & 63) & 1 == 1) != isNegated
    }

    private static let classes: [String: @Sendable (UInt8) -> Bool] = [
        "alpha": { isLetter($0) }, "digit": { isDigit($0) },
        "alnum": { isLetter($0) || isDigit($0) },
        "upper": { (65...90).contains($0) }, "lower": { (97...122).contains($0) },
        "space": { $0 == 32 || (9...13).contains($0) }, "blank": { $0 == 32 || $0 == 9 },
        "cntrl": { $0 < 32 || $0 == 127 }, "print": { (32...126).contains($0) },
        "graph": { (33...126).contains($0) },
        "punct": { (33...126).contains($0) && !isLetter($0) && !isDigit($0) },
        "xdigit": { isDigit($0) || (65...70).contains($0 & 0xDF) },
    ]

    private static func isLetter(_ byte: UInt8) -> Bool { (65...90).contains(byte & 0xDF) }

    private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
}
