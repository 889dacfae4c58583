internal import CZstd
internal import Glibc

/// Compresses with one reused zstd context (RFC 8878); not for use by two threads at once.
@safe package final class ZstdCompressor {
    private let context: OpaquePointer
    /// The level, 1 (fast) to 19.
    package let level: Int32

    /// Makes a compressor of the given level.
    package init(level: Int32) {
        guard let context = unsafe ZSTD_createCCtx() else { fatalError("out of memory for zstd") }
        unsafe self.context = unsafe context
        self.level = level
    }

    deinit {
        _ = unsafe ZSTD_freeCCtx(context)
    }

    /// The size of a frame with `count` bytes at most; `compress` wants this much room.
    package static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

    /// Appends one frame with `bytes` to `output`.
    package func compress(_ bytes: Span<UInt8>, into output: inout [UInt8]) {
        let bound = ZstdCompressor.bound(bytes.count)
        output.append(
            addingCapacity: bound,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    let n = unsafe bytes.withUnsafeBytes { source in
                        unsafe ZSTD_compressCCtx(
                            context, pointer.baseAddress.map { unsafe $0 + initialized }, bound,
                            source.baseAddress, source.count, level)
                    }
                    // With room for the bound and a valid level this call has no way to fail.
                    precondition(ZSTD_isError(n) == 0, "zstd could not compress")
                    initialized += n
                }
            })
    }
}

/// Decompresses whole frames with one reused zstd context; not for use by two threads at once.
@safe package final class ZstdDecompressor {
    private let context: OpaquePointer

    package init() {
        guard let context = unsafe ZSTD_createDCtx() else { fatalError("out of memory for zstd") }
        unsafe self.context = unsafe context
    }

    deinit {
        _ = unsafe ZSTD_freeDCtx(context)
    }

    /// Decompresses one frame (or several) to at most `limit` bytes, appended to `output`.
    ///
    /// Throws a `store` failure when the bytes are no zstd frame or give more than `limit`.
    package func decompress(
        _ bytes: Span<UInt8>, into output: inout [UInt8], limit: Int
    ) throws(Failure) {
        var failed: String?
        output.append(
            addingCapacity: limit,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    let n = unsafe bytes.withUnsafeBytes { source in
                        unsafe ZSTD_decompressDCtx(
                            context, pointer.baseAddress.map { unsafe $0 + initialized }, limit,
                            source.baseAddress, source.count)
                    }
                    if ZSTD_isError(n) != 0 {
                        failed = unsafe String(cString: ZSTD_getErrorName(n))
                    } else {
                        initialized += n
                    }
                }
            })
        if let failed { throw Failure(.store, "zstd data is damaged", cause: failed) }
    }
}
