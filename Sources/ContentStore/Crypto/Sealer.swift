package import Platform

/// Seals and opens whole messages as restic does: `IV(16) ‖ AES-256-CTR ‖ Poly1305-AES(16)`.
///
/// One per thread: the contexts are reused, and no call allocates but for its output.
@safe package final class Sealer {
    /// How many bytes a sealed message is longer than its plain form.
    package static let overhead = MasterKey.ivSize + MasterKey.macSize

    private let context: CipherContext
    // Random bytes for the next IVs: asking for each alone costs more than sealing a small file.
    private var randomPool: [UInt8] = []
    private static let poolSize = 256 * MasterKey.ivSize

    /// Makes a sealer for `key`.
    package init(key: MasterKey) {
        context = CipherContext(key: key)
    }

    /// Appends the sealed form of `plain` (its length and `overhead`) to `output`.
    package func seal(_ plain: Span<UInt8>, into output: inout [UInt8]) {
        let count = plain.count
        output.append(
            addingCapacity: count + Sealer.overhead,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    let iv = unsafe pointer.baseAddress.unsafelyUnwrapped + initialized
                    unsafe nextIV(iv)
                    let text = unsafe iv + MasterKey.ivSize
                    unsafe context.startCipher(iv)
                    unsafe context.startMAC(iv)
                    unsafe plain.withUnsafeBufferPointer { source in
                        guard let base = source.baseAddress else { return }
                        unsafe context.apply(base, text, count)
                    }
                    unsafe context.authenticate(text, count)
                    unsafe context.finishMAC(text + count)
                    initialized += count + Sealer.overhead
                }
            })
    }

    /// Appends the sealed form of what `write` appends to `output`: sealed where it lies, with no
    /// buffer between.
    package func seal(into output: inout [UInt8], _ write: (_ output: inout [UInt8]) -> Void) {
        let start = output.count
        output.append(contentsOf: repeatElement(0, count: MasterKey.ivSize))
        write(&output)
        let count = output.count - start - MasterKey.ivSize
        precondition(count >= 0, "the message to be sealed was cut off")
        output.append(contentsOf: repeatElement(0, count: MasterKey.macSize))
        unsafe output.withUnsafeMutableBufferPointer { buffer in
            let iv = unsafe buffer.baseAddress.unsafelyUnwrapped + start
            unsafe nextIV(iv)
            let text = unsafe iv + MasterKey.ivSize
            unsafe context.startCipher(iv)
            unsafe context.startMAC(iv)
            unsafe context.apply(text, text, count)
            unsafe context.authenticate(text, count)
            unsafe context.finishMAC(text + count)
        }
    }

    /// Appends the plain form of `sealed` to `output`, after the code has been found right.
    ///
    /// Throws a `store` failure, and appends nothing, when the bytes are not what was sealed.
    package func open(_ sealed: Span<UInt8>, into output: inout [UInt8]) throws(Failure) {
        guard isAuthentic(sealed) else { throw Sealer.damaged(sealed.count) }
        let count = sealed.count - Sealer.overhead
        guard count > 0 else { return }
        output.append(
            addingCapacity: count,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    unsafe sealed.withUnsafeBufferPointer { source in
                        let iv = unsafe source.baseAddress.unsafelyUnwrapped
                        unsafe context.startCipher(iv)
                        unsafe context.apply(
                            iv + MasterKey.ivSize,
                            pointer.baseAddress.unsafelyUnwrapped + initialized, count)
                    }
                    initialized += count
                }
            })
    }

    /// Whether `sealed` is what was sealed with this key: the code alone, without decrypting.
    package func isAuthentic(_ sealed: Span<UInt8>) -> Bool {
        let count = sealed.count - Sealer.overhead
        guard count >= 0 else { return false }
        return unsafe sealed.withUnsafeBufferPointer { source in
            let iv = unsafe source.baseAddress.unsafelyUnwrapped
            let text = unsafe iv + MasterKey.ivSize
            unsafe context.startMAC(iv)
            unsafe context.authenticate(text, count)
            return unsafe context.finishMAC(equals: text + count)
        }
    }

    /// Writes a new IV of 16 bytes.
    ///
    /// All zeros is what restic refuses, and so not a chance result.
    static func writeIV(_ iv: UnsafeMutablePointer<UInt8>) {
        var span = unsafe MutableSpan(_unsafeStart: iv, count: MasterKey.ivSize)
        fillRandom(&span)
    }

    private func nextIV(_ iv: UnsafeMutablePointer<UInt8>) {
        if randomPool.isEmpty { randomPool = randomBytes(Sealer.poolSize) }
        for i in 0..<MasterKey.ivSize { unsafe iv[i] = randomPool.removeLast() }
    }

    static func damaged(_ count: Int) -> Failure {
        Failure(
            .store, "sealed data is damaged",
            cause: count < overhead
                ? "only \(count) bytes" : "its authentication code does not match")
    }
}
