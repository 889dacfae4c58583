package import Platform

/// Reads a list as NDJSON from a stream, in memory of one line and 1 MiB.
///
/// A stream is whole only with its stats unit as the last line: everything before a fault is
/// delivered first, then the fault is thrown.
package final class NDJSONReader {
    private let descriptor: Descriptor
    private var buffer: [UInt8]
    // The bytes of `buffer` that were read and not yet decoded.
    private var start = 0
    private var end = 0
    // How much of start..<end is known to hold no newline.
    private var scanned = 0
    private var atEnd = false
    private var sawStats = false
    private var fault: Failure?
    /// Lines delivered so far.
    package private(set) var lines: UInt64 = 0

    /// Reads from `descriptor`, which may be a pipe.
    package init(_ descriptor: consuming Descriptor, bufferSize: Int = 1 << 20) {
        self.descriptor = descriptor
        buffer = [UInt8](repeating: 0, count: bufferSize)
    }

    /// The next lines, at least one and at most `limit`, as many as there are without waiting for
    /// more; nil after the stats unit.
    ///
    /// Throws a `truncated` failure when the stream ends without its stats unit or inside of a
    /// line, a `usage` failure for a line that is no unit, a `temporary` one when reading fails.
    package func next(limit: Int = 1024) throws(Failure) -> [ListLine]? {
        if let fault { throw fault }
        var batch: [ListLine] = []
        do throws(Failure) {
            while batch.count < limit {
                if let line = try line() {
                    batch.append(line)
                    lines += 1
                } else if atEnd {
                    try finish()
                    break
                } else if !batch.isEmpty {
                    break
                } else {
                    try fill()
                }
            }
        } catch {
            fault = error
            if batch.isEmpty { throw error }
        }
        return batch.isEmpty ? nil : batch
    }

    /// The next whole line of the buffer; nil when there is none.
    private func line() throws(Failure) -> ListLine? {
        guard let newline = newline() else { return nil }
        let range = start..<newline
        start = newline + 1
        scanned = start
        if sawStats { throw Failure(.usage, "line \(lines + 1): a line after the stats unit") }
        let line: ListLine
        do throws(Failure) {
            let bytes = buffer
            line = try Codec.decode(bytes.span.extracting(range))
        } catch {
            throw Failure(error.kind, "line \(lines + 1): \(error.message)", cause: error.cause)
        }
        if case .stats = line { sawStats = true }
        return line
    }

    private func newline() -> Int? {
        let bytes = buffer
        let span = bytes.span
        var at = max(scanned, start)
        let end = end
        while at < end {
            if span[at] == UInt8(ascii: "\n") { return at }
            at += 1
        }
        scanned = end
        return nil
    }

    private func fill() throws(Failure) {
        // Taken out of the object: a span may only be had of a local value.
        var buffer: [UInt8] = []
        swap(&buffer, &self.buffer)
        defer { swap(&buffer, &self.buffer) }
        if start > 0 {
            for i in start..<end { buffer[i - start] = buffer[i] }
            scanned -= start
            end -= start
            start = 0
        }
        if end == buffer.count {
            guard end < Codec.lineLimit else {
                throw Failure(
                    .usage, "line \(lines + 1) is longer than \(Codec.lineLimit) bytes")
            }
            buffer += [UInt8](repeating: 0, count: min(end, Codec.lineLimit - end))
        }
        do throws(SystemError) {
            var free = buffer.mutableSpan
            var rest = free._mutatingExtracting(end..<free.count)
            let n = try descriptor.read(into: &rest)
            end += n
            if n == 0 { atEnd = true }
        } catch {
            throw Failure(.temporary, "the list cannot be read", cause: error.description)
        }
    }

    private func finish() throws(Failure) {
        guard start == end else {
            throw Failure(
                .truncated, "the list ends in the middle of line \(lines + 1)",
                hint: "Write it again: what stands after this line is not known")
        }
        guard sawStats else {
            throw Failure(
                .truncated, "the list ends after \(lines) lines without its stats unit",
                hint: "Write it again: what should stand after this line is not known")
        }
    }
}
