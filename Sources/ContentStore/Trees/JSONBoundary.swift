/// Finds where a JSON value ends without understanding it, over as many pieces as it comes in.
struct JSONBoundary {
    /// Bytes of the value seen so far, from its first one.
    private(set) var offset = 0
    private var depth = 0
    private var inString = false
    private var escaped = false

    /// Goes on over `bytes`, whose index `start` is the first byte of the value; gives the end of
    /// the value (one past its last byte) once it is there, nil while more is needed.
    mutating func scan(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        var at = start + offset
        defer { offset = at - start }
        while at < bytes.count {
            let byte = bytes[at]
            if inString {
                at += 1
                if escaped {
                    escaped = false
                } else if byte == 0x5C {
                    escaped = true
                } else if byte == 0x22 {
                    inString = false
                    if depth == 0 { return at }
                }
                continue
            }
            switch byte {
            case 0x22:
                inString = true
            case 0x7B, 0x5B:
                depth += 1
            case 0x7D, 0x5D:
                // A number or a word ends before the bracket around it.
                if depth == 0 { return at }
                depth -= 1
                if depth == 0 { return at + 1 }
            case 0x2C where depth == 0:
                return at
            case 0x20, 0x0A, 0x0D, 0x09:
                if depth == 0 { return at }
            default: break
            }
            at += 1
        }
        return nil
    }
}
