internal import CZstd
internal import Glibc

/// Compresses one stream after another, part by part, into zstd frames (RFC 8878); not for use by
/// two threads at once.
@safe package final class ZstdStreamCompressor {
    private let context: OpaquePointer

    /// Makes a compressor of `level`, 1 (fast) to 19.
    package init(level: Int32) {
        guard let context = unsafe ZSTD_createCCtx() else { fatalError("out of memory for zstd") }
        unsafe self.context = unsafe context
        _ = unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
    }

    deinit {
        _ = unsafe ZSTD_freeCCtx(context)
    }

    /// Takes the next part and appends what is ready of the frame to `output`.
    package func update(_ bytes: Span<UInt8>, into output: inout [UInt8]) {
        run(bytes, ZSTD_e_continue, into: &output)
    }

    /// Ends the frame and appends the rest of it to `output`; the next `update` begins another.
    package func finish(into output: inout [UInt8]) {
        run([UInt8]().span, ZSTD_e_end, into: &output)
    }

    private func run(
        _ bytes: Span<UInt8>, _ mode: ZSTD_EndDirective, into output: inout [UInt8]
    ) {
        unsafe bytes.withUnsafeBytes { source in
            var input = unsafe ZSTD_inBuffer(
                src: source.baseAddress, size: source.count, pos: 0)
            var more = true
            while more {
                let left = unsafe appendStreamed(to: &output) { out in
                    unsafe ZSTD_compressStream2(context, &out, &input, mode)
                }
                precondition(ZSTD_isError(left) == 0, "zstd could not compress")
                more = unsafe mode == ZSTD_e_end ? left != 0 : input.pos < input.size
            }
        }
    }
}

/// Decompresses streams of zstd frames part by part; not for use by two threads at once.
@safe package final class ZstdStreamDecompressor {
    private let context: OpaquePointer
    private var isBetweenFrames = true
    private var produced = 0

    package init() {
        guard let context = unsafe ZSTD_createDCtx() else { fatalError("out of memory for zstd") }
        unsafe self.context = unsafe context
        // 128 MiB is what every zstd reader has to take; a frame may not ask for more memory.
        _ = unsafe ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27)
    }

    deinit {
        _ = unsafe ZSTD_freeDCtx(context)
    }

    /// Takes the next part of the stream and calls `each` with the plain bytes that it gives, in
    /// pieces of at most 128 KiB.
    ///
    /// Throws a `store` failure when the bytes are no zstd frame or the stream gives more than
    /// `limit` bytes in all, and what `each` throws.
    package func update(
        _ bytes: Span<UInt8>, limit: Int, each: (Span<UInt8>) throws(Failure) -> Void
    ) throws(Failure) {
        var piece: [UInt8] = []
        var at = 0
        var more = true
        while more {
            piece.removeAll(keepingCapacity: true)
            var wasFull = false
            let code = unsafe bytes.withUnsafeBytes { source in
                var input = unsafe ZSTD_inBuffer(
                    src: source.baseAddress, size: source.count, pos: at)
                let code = unsafe appendStreamed(to: &piece) { out in
                    let code = unsafe ZSTD_decompressStream(context, &out, &input)
                    wasFull = unsafe out.pos == out.size
                    return code
                }
                at = unsafe input.pos
                return code
            }
            guard ZSTD_isError(code) == 0 else {
                throw Failure(
                    .store, "zstd data is damaged",
                    cause: unsafe String(cString: ZSTD_getErrorName(code)))
            }
            produced += piece.count
            guard produced <= limit else {
                throw Failure(.store, "zstd data gives more than the limit of \(limit) bytes")
            }
            isBetweenFrames = code == 0
            if !piece.isEmpty { try each(piece.span) }
            more = at < bytes.count || (wasFull && !isBetweenFrames)
        }
    }

    /// As `update(_:limit:each:)`, appending the plain bytes to `output`.
    package func update(
        _ bytes: Span<UInt8>, into output: inout [UInt8], limit: Int
    ) throws(Failure) {
        try update(bytes, limit: limit) { piece throws(Failure) in
            output.append(copying: piece)
        }
    }

    /// Ends the stream; the next `update` begins another.
    ///
    /// Throws a `store` failure when it ended inside a frame.
    package func finish() throws(Failure) {
        let complete = isBetweenFrames
        reset()
        guard complete else {
            throw Failure(.store, "zstd data is damaged", cause: "it ends inside a frame")
        }
    }

    /// Forgets the stream at hand, after an error.
    package func reset() {
        _ = unsafe ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
        isBetweenFrames = true
        produced = 0
    }
}

/// Gives `body` room for 128 KiB at the end of `output`, and keeps what it wrote.
private func appendStreamed(
    to output: inout [UInt8], _ body: (inout ZSTD_outBuffer) -> Int
) -> Int {
    let room = 128 << 10
    var result = 0
    output.append(
        addingCapacity: room,
        initializingWith: { (span: inout OutputSpan<UInt8>) in
            unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                var out = unsafe ZSTD_outBuffer(
                    dst: pointer.baseAddress.map { unsafe $0 + initialized }, size: room, pos: 0)
                result = unsafe body(&out)
                initialized += unsafe out.pos
            }
        })
    return result
}
