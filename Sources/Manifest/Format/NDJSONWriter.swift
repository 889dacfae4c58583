package import Platform

/// Writes a list as NDJSON to a stream, buffered.
///
/// What was not flushed is lost: call `flush`.
package final class NDJSONWriter {
    private let descriptor: Descriptor
    private var buffer: [UInt8] = []
    private let bufferSize: Int

    /// Writes to `descriptor`, whenever `bufferSize` bytes have come together.
    package init(_ descriptor: consuming Descriptor, bufferSize: Int = 256 << 10) {
        self.descriptor = descriptor
        self.bufferSize = bufferSize
        buffer.reserveCapacity(bufferSize + 4096)
    }

    /// Writes one unit.
    ///
    /// Throws `SystemError` of write: EPIPE when nobody reads any more.
    package func write(_ unit: Unit) throws(SystemError) {
        Codec.encode(unit, into: &buffer)
        if buffer.count >= bufferSize { try flush() }
    }

    /// Writes one line.
    package func write(_ line: ListLine) throws(SystemError) {
        Codec.encode(line, into: &buffer)
        if buffer.count >= bufferSize { try flush() }
    }

    /// Writes lines that are encoded already, each with its newline.
    package func write(encoded lines: [UInt8]) throws(SystemError) {
        buffer += lines
        if buffer.count >= bufferSize { try flush() }
    }

    /// Writes out what is buffered.
    package func flush() throws(SystemError) {
        guard !buffer.isEmpty else { return }
        var bytes: [UInt8] = []
        swap(&bytes, &buffer)
        defer { swap(&bytes, &buffer) }
        try descriptor.write(bytes.span)
        bytes.removeAll(keepingCapacity: true)
    }
}
