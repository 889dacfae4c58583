internal import Platform

/// Reads JSON from one line.
///
/// Every read checks the end of the line.
///
/// Failures are of the class `truncated` where the line ends too early and `usage` otherwise, and
/// name the byte.
@safe struct LineCursor {
    private let base: UnsafePointer<UInt8>
    private let end: Int
    /// The next byte's offset in the line.
    private(set) var at = 0

    /// How deep objects and arrays may be nested.
    private static let depthLimit = 32

    /// Reads `end` bytes at `base`, which must stay there as long as this value is used.
    init(base: UnsafePointer<UInt8>, end: Int) {
        unsafe self.base = unsafe base
        self.end = end
    }

    var isAtEnd: Bool { at == end }

    /// The failure for what is wrong at the offset `position`, else at the current one.
    func failure(_ what: String, at position: Int? = nil) -> Failure {
        let position = position ?? at
        return Failure(
            position >= end ? .truncated : .usage,
            position >= end
                ? "the line ends in the middle of a unit, at byte \(position)"
                : "\(what) at byte \(position)")
    }

    /// Steps over `text` where it comes next; else stays.
    @inline(__always) mutating func match(_ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        guard end - at >= length else { return false }
        let from = unsafe text.utf8Start
        var i = 0
        while i + 8 <= length {
            let a = unsafe UnsafeRawPointer(base + at + i).loadUnaligned(as: UInt64.self)
            let b = unsafe UnsafeRawPointer(from + i).loadUnaligned(as: UInt64.self)
            if a != b { return false }
            i += 8
        }
        while i < length {
            if unsafe base[at + i] != from[i] { return false }
            i += 1
        }
        at += length
        return true
    }

    /// The next byte, without stepping over it.
    @inline(__always) var peek: UInt8? { at < end ? unsafe base[at] : nil }

    /// Steps over `byte` where it comes next.
    @inline(__always) mutating func step(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        at += 1
        return true
    }

    /// Steps over white space, then over `byte` where it comes next.
    mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard peek == byte else { return false }
        at += 1
        return true
    }

    /// Steps over white space and `byte`.
    mutating func expect(_ byte: UInt8) throws(Failure) {
        guard take(byte) else {
            throw failure("expected '\(Character(Unicode.Scalar(byte)))'")
        }
    }

    mutating func skipSpace() {
        while let byte = peek, byte == 0x20 || byte == 0x09 || byte == 0x0D || byte == 0x0A {
            at += 1
        }
    }

    // MARK: - Numbers

    /// An integer from 0 to `limit`.
    @inline(__always) mutating func unsigned(
        _ limit: UInt64 = .max
    ) throws(Failure) -> UInt64 {
        if let byte = peek, byte < 0x21 { skipSpace() }
        let start = at
        var value: UInt64 = 0
        // 19 digits always fit in 64 bits.
        let safe = min(end, at + 19)
        while at < safe, case let digit = unsafe base[at] &- 48, digit < 10 {
            value = value &* 10 &+ UInt64(digit)
            at += 1
        }
        if at == safe { value = try unsignedTail(value, start) }
        let zeros = at - start > 1 ? unsafe base[start] == 48 : false
        if at == start || zeros || isFractional { throw notAnInteger(start) }
        if value > limit { throw failure("number out of range (at most \(limit))", at: start) }
        return value
    }

    private mutating func unsignedTail(
        _ head: UInt64, _ start: Int
    ) throws(Failure) -> UInt64 {
        var value = head
        while let byte = peek, byte &- 48 < 10 {
            let (product, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(byte - 48))
            if over || carry { throw failure("number out of range", at: start) }
            value = sum
            at += 1
        }
        return value
    }

    private var isFractional: Bool {
        guard let byte = peek else { return false }
        return byte == UInt8(ascii: ".") || byte | 0x20 == UInt8(ascii: "e")
    }

    private func notAnInteger(_ start: Int) -> Failure {
        failure("expected an integer", at: at >= end && at == start ? at : start)
    }

    /// An integer of 64 bits.
    mutating func signed(_ range: ClosedRange<Int64>) throws(Failure) -> Int64 {
        skipSpace()
        let start = at
        let negative = take(UInt8(ascii: "-"))
        if negative, peek.map({ $0 &- 48 >= 10 }) ?? true { throw notAnInteger(start) }
        let magnitude = try unsigned(negative ? 1 << 63 : UInt64(Int64.max))
        let value = negative ? Int64(truncatingIfNeeded: 0 &- magnitude) : Int64(magnitude)
        guard range.contains(value) else { throw failure("number out of range", at: start) }
        return value
    }

    /// Nanoseconds since the epoch.
    @inline(__always) mutating func time() throws(Failure) -> Timestamp {
        let start = at
        var digits = at
        while digits < end, unsafe base[digits] &- 48 < 10 { digits += 1 }
        guard digits - start <= 19, digits > start else { return try wideTime() }
        let value = try unsigned()
        let seconds = value / 1_000_000_000
        return Timestamp(
            seconds: Int64(seconds),
            nanoseconds: UInt32(truncatingIfNeeded: value - seconds * 1_000_000_000))
    }

    private mutating func wideTime() throws(Failure) -> Timestamp {
        skipSpace()
        let start = at
        let negative = take(UInt8(ascii: "-"))
        let first = at
        var value: Int128 = 0
        while let byte = peek, byte &- 48 < 10 {
            // 10^28 is the end of what 64 bits of seconds can hold.
            if at - first >= 28 { throw failure("time out of range", at: start) }
            value = value * 10 + Int128(byte - 48)
            at += 1
        }
        let zeros = at - first > 1 ? unsafe base[first] == 48 : false
        if at == first || zeros || isFractional { throw notAnInteger(start) }
        if negative { value = -value }
        let limit = Int128(Int64.max) * 1_000_000_000
        guard value <= limit, value >= -limit else {
            throw failure("time out of range", at: start)
        }
        return Timestamp(nanosecondsSinceEpoch: value)
    }

    mutating func bool() throws(Failure) -> Bool {
        skipSpace()
        if match("true") { return true }
        if match("false") { return false }
        throw failure("expected true or false")
    }

    // MARK: - Strings

    /// A string's bytes, valid UTF-8, with the escapes resolved.
    mutating func string() throws(Failure) -> [UInt8] {
        if peek != UInt8(ascii: "\"") { try expectQuote() } else { at += 1 }
        let start = at
        var high: UInt64 = 0
        while end - at >= 8 {
            let word = unsafe UnsafeRawPointer(base + at).loadUnaligned(as: UInt64.self)
            if hasSpecial(word) { break }
            high |= word
            at += 8
        }
        while at < end {
            let byte = unsafe base[at]
            if byte == 0x22 {
                let bytes = unsafe UnsafeBufferPointer(start: base + start, count: at - start)
                // Bytes past the last word were not collected: ask for all of them when in doubt.
                if high & 0x8080_8080_8080_8080 != 0 {
                    guard isUTF8(unsafe Span(_unsafeElements: bytes)) else {
                        throw failure("string is not UTF-8", at: start)
                    }
                }
                at += 1
                return unsafe Array(bytes)
            }
            if byte == 0x5C || byte < 0x20 { return try escapedString(start) }
            high |= UInt64(byte)
            at += 1
        }
        throw failure("")
    }

    private mutating func expectQuote() throws(Failure) {
        skipSpace()
        guard peek == 0x22 else { throw failure("expected a string") }
        at += 1
    }

    private mutating func escapedString(_ start: Int) throws(Failure) -> [UInt8] {
        var bytes = unsafe Array(UnsafeBufferPointer(start: base + start, count: at - start))
        while let byte = peek {
            if byte == 0x22 {
                guard isUTF8(bytes.span) else { throw failure("string is not UTF-8", at: start) }
                at += 1
                return bytes
            }
            if byte < 0x20 { throw failure("control character in a string") }
            at += 1
            if byte == 0x5C { try escape(&bytes) } else { bytes.append(byte) }
        }
        throw failure("")
    }

    private mutating func escape(_ bytes: inout [UInt8]) throws(Failure) {
        guard let byte = peek else { throw failure("") }
        at += 1
        switch byte {
        case 0x22, 0x5C, 0x2F: bytes.append(byte)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            let start = at - 2
            var scalar = try hex4()
            if scalar & 0xFC00 == 0xD800 {
                guard match("\\u"), case let low = try hex4(), low & 0xFC00 == 0xDC00 else {
                    throw failure("half a surrogate pair", at: start)
                }
                scalar = 0x10000 + (scalar & 0x3FF) << 10 + low & 0x3FF
            }
            guard let scalar = Unicode.Scalar(scalar) else {
                throw failure("half a surrogate pair", at: start)
            }
            bytes += Array(String(Character(scalar)).utf8)
        default: throw failure("unknown escape", at: at - 2)
        }
    }

    private mutating func hex4() throws(Failure) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek else { throw failure("") }
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt32(byte - 0x37)
            case 0x61...0x66: value = value << 4 | UInt32(byte - 0x57)
            default: throw failure("bad hexadecimal digit")
            }
            at += 1
        }
        return value
    }

    /// A string as text.
    mutating func text() throws(Failure) -> String {
        String(decoding: try string(), as: UTF8.self)
    }

    /// A string of base64 (RFC 4648 section 4, padded).
    mutating func base64() throws(Failure) -> [UInt8] {
        skipSpace()
        let start = at
        let text = try string()
        guard text.count % 4 == 0 else { throw failure("bad base64", at: start) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        let padding = text.suffix(2).count { $0 == 0x3D }
        var word: UInt32 = 0
        for (i, byte) in text.enumerated() {
            let isPadding = byte == 0x3D && i >= text.count - padding
            guard let digit = isPadding ? 0 : base64Value(byte) else {
                throw failure("bad base64", at: start)
            }
            word = word << 6 | UInt32(digit)
            if i & 3 == 3 {
                bytes.append(UInt8(truncatingIfNeeded: word >> 16))
                bytes.append(UInt8(truncatingIfNeeded: word >> 8))
                bytes.append(UInt8(truncatingIfNeeded: word))
            }
        }
        // A second spelling of the same bytes would make two lines for one unit.
        let unused = bytes.suffix(padding)
        guard unused.allSatisfy({ $0 == 0 }) else {
            throw failure("bad base64", at: start)
        }
        bytes.removeLast(padding)
        return bytes
    }

    /// A string of 64 lower-case hexadecimal digits.
    mutating func digest() throws(Failure) -> Digest {
        skipSpace()
        let start = at
        var id: Digest?
        if end - at >= 66, unsafe base[at] == 0x22, unsafe base[at + 65] == 0x22 {
            id = unsafe Digest(hex: Span(_unsafeStart: base + at + 1, count: 64))
        }
        guard let id else {
            // Escapes are never needed here, so only what is wrong is left to find out.
            _ = try string()
            throw failure("not a blob id", at: start)
        }
        at += 66
        return id
    }

    // MARK: - Structure

    /// The elements of an array, each read by `element`.
    mutating func array(
        _ element: (inout LineCursor) throws(Failure) -> Void
    ) throws(Failure) {
        try expect(UInt8(ascii: "["))
        if take(UInt8(ascii: "]")) { return }
        repeat { try element(&self) } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "]"))
    }

    /// The fields of an object: `field` reads the value of a key it knows and returns true.
    mutating func object(
        _ field: (inout LineCursor, String) throws(Failure) -> Bool
    ) throws(Failure) {
        try expect(UInt8(ascii: "{"))
        if take(UInt8(ascii: "}")) { return }
        try fields(field)
    }

    /// The rest of an object from a key on, with its end.
    mutating func fields(
        _ field: (inout LineCursor, String) throws(Failure) -> Bool
    ) throws(Failure) {
        repeat {
            let key = try text()
            try expect(UInt8(ascii: ":"))
            if try !field(&self, key) { try skipValue(depth: 0) }
        } while take(UInt8(ascii: ","))
        try expect(UInt8(ascii: "}"))
    }

    /// Steps over any value.
    mutating func skipValue(depth: Int) throws(Failure) {
        guard depth < LineCursor.depthLimit else { throw failure("nested too deep") }
        skipSpace()
        switch peek {
        case UInt8(ascii: "{"):
            try object { (cursor, _) throws(Failure) in
                try cursor.skipValue(depth: depth + 1)
                return true
            }
        case UInt8(ascii: "["):
            try array { (cursor) throws(Failure) in try cursor.skipValue(depth: depth + 1) }
        case UInt8(ascii: "\""): _ = try string()
        case UInt8(ascii: "t"), UInt8(ascii: "f"): _ = try bool()
        case UInt8(ascii: "n"):
            guard match("null") else { throw failure("expected null") }
        default: try skipNumber()
        }
    }

    private mutating func skipNumber() throws(Failure) {
        let start = at
        if peek == UInt8(ascii: "-") { at += 1 }
        let first = at
        skipDigits()
        let zeros = at - first > 1 ? unsafe base[first] == 48 : false
        if at == first || zeros { throw failure("expected a value", at: at == end ? at : start) }
        if peek == UInt8(ascii: ".") {
            at += 1
            try needDigits()
        }
        if let byte = peek, byte | 0x20 == UInt8(ascii: "e") {
            at += 1
            if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { at += 1 }
            try needDigits()
        }
    }

    private mutating func skipDigits() {
        while let byte = peek, byte &- 48 < 10 { at += 1 }
    }

    private mutating func needDigits() throws(Failure) {
        let first = at
        skipDigits()
        if at == first { throw failure("expected a digit") }
    }
}

private func base64Value(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 65...90: byte - 65
    case 97...122: byte - 71
    case 48...57: byte + 4
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
}
