/// Compares two relative paths in the order of lists: component by component, bytewise, so that
/// `a/b` comes before `a-b`.
///
/// Negative, 0 or positive as `a` is before, the same or after `b`.
package func comparePaths(_ a: Span<UInt8>, _ b: Span<UInt8>) -> Int {
    let shared = min(a.count, b.count)
    for i in 0..<shared where a[i] != b[i] {
        // A slash ends a component, and an ended component comes before every longer one.
        if a[i] == UInt8(ascii: "/") { return -1 }
        if b[i] == UInt8(ascii: "/") { return 1 }
        return a[i] < b[i] ? -1 : 1
    }
    return a.count - b.count
}

/// Compares as the function over spans does.
package func comparePaths(_ a: [UInt8], _ b: [UInt8]) -> Int {
    comparePaths(a.span, b.span)
}

/// Bytes whose plain bytewise order is the order of the paths: no name has a NUL, so it can stand
/// for the slash.
///
/// The root's key is empty and so the first.
package func sortKey(_ path: [UInt8]) -> [UInt8] {
    path.map { $0 == UInt8(ascii: "/") ? 0 : $0 }
}

/// The path of a key that `sortKey` made.
package func path(ofSortKey key: [UInt8]) -> [UInt8] {
    key.map { $0 == 0 ? UInt8(ascii: "/") : $0 }
}
