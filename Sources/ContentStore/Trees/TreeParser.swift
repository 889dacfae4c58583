package import Platform

/// Reads a tree piece by piece, one node at a time: a directory of any size in constant memory.
///
/// Call `next()` until it gives nil, then `feed` the next piece; call `finish()` after the last
/// one. What is held is one piece and at most one incomplete node.
package struct TreeParser: Sendable {
    /// The most bytes of JSON that one node may have: a file of a million chunks.
    package static let nodeLimit = 64 << 20

    private enum State {
        case start, firstKey, key, colon(nodes: Bool), nodes, otherValue
        case firstNode, node, afterNode, afterValue, end
    }

    private var state = State.start
    private var buffer: [UInt8] = []
    /// The first byte of `buffer` that is not consumed.
    private var position = 0
    /// Bytes of the tree before `buffer`.
    private var before = 0
    /// How far the incomplete value at `position` has been looked at.
    private var boundary: JSONBoundary?
    private var last: [UInt8]?
    private var hasNodes = false
    private var failure: Failure?

    /// Starts before the first byte of a tree.
    package init() {}

    /// Whether the whole tree has been read.
    package var isFinished: Bool {
        if case .end = state { return failure == nil }
        return false
    }

    /// Adds the next piece of the tree; `next()` must have given nil for what came before.
    package mutating func feed(_ bytes: Span<UInt8>) {
        if position > 0 {
            before += position
            buffer.removeSubrange(0..<position)
            position = 0
        }
        buffer.append(
            addingCapacity: bytes.count,
            initializingWith: { (span: inout OutputSpan<UInt8>) in span.append(raw: bytes) })
    }

    /// The next node; nil when more bytes are needed, or when the tree has ended.
    ///
    /// Throws a `store` failure, the same from then on, when the bytes are no tree, names are not
    /// in strictly ascending order, or an entry has a name that no directory can hold.
    package mutating func next() throws(Failure) -> TreeNode? {
        if let failure { throw failure }
        do {
            return try advance()
        } catch {
            switch error {
            case .incomplete:
                guard buffer.count - position <= TreeParser.nodeLimit else {
                    throw fail("expected entries of at most \(TreeParser.nodeLimit) bytes")
                }
                return nil
            case .invalid(let what):
                throw fail("expected \(what), near byte \(before + position)")
            }
        }
    }

    /// Throws a `store` failure when the tree is not complete, or has something after its end.
    package mutating func finish() throws(Failure) {
        while try next() != nil {}
        guard isFinished else { throw fail("it ends early, at byte \(before + buffer.count)") }
    }

    private mutating func fail(_ cause: String) -> Failure {
        let after = last.map { " after the entry \(printable($0))" } ?? ""
        let failure = Failure(
            .store, "tree is damaged\(after)", cause: cause,
            hint: "Whoever wrote it wrote it so, or it changed since: `store check` tells which")
        self.failure = failure
        return failure
    }

    private mutating func advance() throws(JSONProblem) -> TreeNode? {
        while true {
            switch state {
            case .node:
                return try node()
            case .end:
                // Only white space may follow.
                do {
                    _ = try peek()
                } catch .incomplete {
                    return nil
                }
                throw .invalid("the end")
            default:
                try step()
            }
        }
    }

    /// Reads what stands between the nodes, up to a change of state.
    private mutating func step() throws(JSONProblem) {
        let byte = try peek()
        switch state {
        case .start:
            guard byte == 0x7B else { throw .invalid("an object") }
            position += 1
            state = .firstKey
        case .firstKey where byte == 0x7D, .afterValue where byte == 0x7D:
            guard hasNodes else { throw .invalid("an array of nodes") }
            position += 1
            state = .end
        case .firstKey, .key:
            state = .colon(nodes: try key())
        case .colon(let nodes):
            guard byte == 0x3A else { throw .invalid("':'") }
            position += 1
            state = nodes ? .nodes : .otherValue
        case .nodes:
            try openNodes()
        case .otherValue:
            guard byte != 0x7D, byte != 0x5D, byte != 0x2C, byte != 0x3A else {
                throw .invalid("a value")
            }
            position = try endOfValue()
            state = .afterValue
        case .firstNode where byte == 0x5D, .afterNode where byte == 0x5D:
            position += 1
            state = .afterValue
        case .firstNode:
            state = .node
        case .afterNode:
            guard byte == 0x2C else { throw .invalid("',' or ']' after an entry") }
            position += 1
            state = .node
        case .afterValue:
            guard byte == 0x2C else { throw .invalid("',' or '}' after a value") }
            position += 1
            state = .key
        case .node, .end:
            break
        }
    }

    private mutating func openNodes() throws(JSONProblem) {
        guard !hasNodes else { throw .invalid("one array of nodes") }
        let bytes = buffer
        var cursor = JSONCursor(bytes.span, at: position)
        if try cursor.takeNull() {
            state = .afterValue
        } else {
            try cursor.expect(0x5B, "an array of nodes")
            state = .firstNode
        }
        position = cursor.at
        hasNodes = true
    }

    /// Whether the key at `position` is that of the nodes.
    private mutating func key() throws(JSONProblem) -> Bool {
        let end = try endOfValue()
        var cursor = JSONCursor(buffer.span, at: position)
        let nodes = cursor.equals(try cursor.text(), "nodes")
        position = end
        return nodes
    }

    /// Reads the node at `position`, which has to be there whole.
    private mutating func node() throws(JSONProblem) -> TreeNode {
        // Most nodes lie in the buffer whole and are read at once. One that does not is first
        // looked through for its end, each byte once, however many pieces it comes in.
        if boundary == nil { _ = try peek() } else { _ = try endOfValue() }
        let node: TreeNode
        do {
            let bytes = buffer
            var cursor = JSONCursor(bytes.span, at: position)
            node = try readTreeNode(&cursor)
            position = cursor.at
        } catch .incomplete {
            _ = try endOfValue()
            throw .invalid("a whole entry")
        }
        guard isEntryName(node.name.span) else {
            throw .invalid("a name for a directory entry in place of '\(printable(node.name))'")
        }
        if let last, !precedes(last.span, node.name.span) {
            let what = last == node.name ? "is there twice" : "is out of order"
            throw .invalid("ascending names, but '\(printable(node.name))' \(what)")
        }
        last = node.name
        state = .afterNode
        return node
    }

    /// One past the last byte of the value at `position`.
    private mutating func endOfValue() throws(JSONProblem) -> Int {
        var scan = boundary ?? JSONBoundary()
        guard let end = scan.scan(buffer.span, from: position) else {
            boundary = scan
            throw .incomplete
        }
        boundary = nil
        return end
    }

    /// Skips white space; the byte after it.
    private mutating func peek() throws(JSONProblem) -> UInt8 {
        let bytes = buffer
        var cursor = JSONCursor(bytes.span, at: position)
        defer { position = cursor.at }
        return try cursor.peek()
    }
}
