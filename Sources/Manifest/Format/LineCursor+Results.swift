internal import Platform

/// The objects inside a unit.
extension LineCursor {
    /// Steps over `word` and the quote behind it.
    mutating func matchWord(_ word: String) -> Bool {
        var copy = self
        for byte in word.utf8 { guard copy.step(byte) else { return false } }
        guard copy.step(UInt8(ascii: "\"")) else { return false }
        self = copy
        return true
    }

    /// Steps over the rest of a string whose opening quote was taken.
    mutating func skipWord() throws(Failure) {
        while let byte = peek, byte != UInt8(ascii: "\"") { _ = step(byte) }
        guard step(UInt8(ascii: "\"")) else { throw failure("") }
    }

    mutating func texts() throws(Failure) -> [String] {
        var texts: [String] = []
        try array { (cursor) throws(Failure) in texts.append(try cursor.text()) }
        return texts
    }

    mutating func unitError() throws(Failure) -> UnitError {
        let start = at
        var call: String?
        var code: Int32?
        try object { (cursor, key) throws(Failure) in
            switch key {
            case "call": try cursor.once(&call, key) { (c) throws(Failure) in try c.text() }
            case "code":
                try cursor.once(&code, key) { (c) throws(Failure) in
                    Int32(try c.signed(Int64(Int32.min)...Int64(Int32.max)))
                }
            case "errno": _ = try cursor.text()
            default: return false
            }
            return true
        }
        guard let call, let code else {
            throw failure("an error without \"call\" and \"code\"", at: start)
        }
        return UnitError(call: call, code: code)
    }

    mutating func xattrs() throws(Failure) -> [ExtendedAttribute] {
        var xattrs: [ExtendedAttribute] = []
        try array { (cursor) throws(Failure) in
            cursor.skipSpace()
            let start = cursor.at
            var name: [UInt8]?
            var value: [UInt8]?
            try cursor.object { (cursor, key) throws(Failure) in
                switch key {
                case "name": try cursor.once(&name, key) { (c) throws(Failure) in try c.string() }
                case "name_b64":
                    try cursor.once(&name, key) { (c) throws(Failure) in try c.base64() }
                case "value_b64":
                    try cursor.once(&value, key) { (c) throws(Failure) in try c.base64() }
                default: return false
                }
                return true
            }
            guard let name, let value else {
                throw cursor.failure("an attribute without name or value", at: start)
            }
            xattrs.append(ExtendedAttribute(name: name, value: value))
        }
        return xattrs
    }

    mutating func check() throws(Failure) -> CheckResult {
        if let check = try fastCheck() { return check }
        skipSpace()
        let start = at
        var state: CheckResult.State?
        var healthy: Bool?
        var recoverable: Bool?
        var verified: Bool?
        var expected: Int?
        var good: Int?
        var corrupt: Int?
        var problems: [String]?
        try object { (cursor, key) throws(Failure) in
            switch key {
            case "state": try cursor.once(&state, key) { (c) throws(Failure) in try c.word() }
            case "healthy": try cursor.once(&healthy, key) { (c) throws(Failure) in try c.bool() }
            case "recoverable":
                try cursor.once(&recoverable, key) { (c) throws(Failure) in try c.bool() }
            case "verified":
                try cursor.once(&verified, key) { (c) throws(Failure) in try c.bool() }
            case "copies_expected":
                try cursor.once(&expected, key) { (c) throws(Failure) in try c.copies() }
            case "copies_good":
                try cursor.once(&good, key) { (c) throws(Failure) in try c.copies() }
            case "copies_corrupt":
                try cursor.once(&corrupt, key) { (c) throws(Failure) in try c.copies() }
            case "problems":
                try cursor.once(&problems, key) { (c) throws(Failure) in try c.texts() }
            default: return false
            }
            return true
        }
        guard let state, let healthy, let recoverable, let verified, let expected, let good,
            let corrupt, let problems
        else { throw failure("a check without all of its fields", at: start) }
        return CheckResult(
            state: state, healthy: healthy, recoverable: recoverable, verified: verified,
            copiesExpected: expected, copiesGood: good, copiesCorrupt: corrupt, problems: problems)
    }

    /// A check as the encoder writes it; nil, and nothing read, for any other spelling.
    private mutating func fastCheck() throws(Failure) -> CheckResult? {
        var c = self
        guard c.match("{\"state\":\"") else { return nil }
        let state: CheckResult.State
        if c.match("intact\"") {
            state = .intact
        } else if c.match("new\"") {
            state = .new
        } else if c.match("changed\"") {
            state = .changed
        } else {
            return nil
        }
        guard c.match(",\"healthy\":"), case let healthy = try c.bool(),
            c.match(",\"recoverable\":"), case let recoverable = try c.bool(),
            c.match(",\"verified\":"), case let verified = try c.bool(),
            c.match(",\"copies_expected\":"), case let expected = try c.copies(),
            c.match(",\"copies_good\":"), case let good = try c.copies(),
            c.match(",\"copies_corrupt\":"), case let corrupt = try c.copies(),
            c.match(",\"problems\":[]}")
        else { return nil }
        self = c
        return CheckResult(
            state: state, healthy: healthy, recoverable: recoverable, verified: verified,
            copiesExpected: expected, copiesGood: good, copiesCorrupt: corrupt)
    }

    mutating func repair() throws(Failure) -> RepairResult {
        let start = at
        var attempted: Bool?
        var successful: Bool?
        var action: RepairResult.Action?
        var before: CheckResult?
        var after: CheckResult?
        var error: String?
        try object { (cursor, key) throws(Failure) in
            switch key {
            case "attempted":
                try cursor.once(&attempted, key) { (c) throws(Failure) in try c.bool() }
            case "successful":
                try cursor.once(&successful, key) { (c) throws(Failure) in try c.bool() }
            case "action": try cursor.once(&action, key) { (c) throws(Failure) in try c.word() }
            case "before": try cursor.once(&before, key) { (c) throws(Failure) in try c.check() }
            case "after": try cursor.once(&after, key) { (c) throws(Failure) in try c.check() }
            case "error": try cursor.once(&error, key) { (c) throws(Failure) in try c.text() }
            default: return false
            }
            return true
        }
        guard let attempted, let successful, let action, let before, let after else {
            throw failure("a repair without all of its fields", at: start)
        }
        return RepairResult(
            attempted: attempted, successful: successful, action: action, before: before,
            after: after, error: error)
    }

    private mutating func copies() throws(Failure) -> Int {
        Int(try signed(0...Int64(Int32.max)))
    }

    /// One of the words of an enumeration.
    private mutating func word<Word: RawRepresentable>() throws(Failure) -> Word
    where Word.RawValue == String {
        skipSpace()
        let start = at
        guard let word = Word(rawValue: try text()) else {
            throw failure("unknown word", at: start)
        }
        return word
    }

    /// Reads a value that may be there once.
    mutating func once<Value>(
        _ value: inout Value?, _ key: String, _ read: (inout LineCursor) throws(Failure) -> Value
    ) throws(Failure) {
        guard value == nil else { throw failure("a second \(key)") }
        value = try read(&self)
    }
}
