package import Platform

/// Seals a message that comes in parts, for those that do not fit in memory.
///
/// `begin`, any number of `update`, `finish`; then again from `begin`.
@safe package final class StreamSealer {
    private let context: CipherContext

    /// Makes a sealer for `key`.
    package init(key: MasterKey) {
        context = CipherContext(key: key)
    }

    /// Starts a message and appends its IV.
    package func begin(into output: inout [UInt8]) {
        output.append(
            addingCapacity: MasterKey.ivSize,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    let iv = unsafe pointer.baseAddress.unsafelyUnwrapped + initialized
                    unsafe Sealer.writeIV(iv)
                    unsafe context.startCipher(iv)
                    unsafe context.startMAC(iv)
                    initialized += MasterKey.ivSize
                }
            })
    }

    /// Appends the ciphertext of `plain`, of the same length.
    package func update(_ plain: Span<UInt8>, into output: inout [UInt8]) {
        guard !plain.isEmpty else { return }
        output.append(
            addingCapacity: plain.count,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    let text = unsafe pointer.baseAddress.unsafelyUnwrapped + initialized
                    unsafe plain.withUnsafeBufferPointer { source in
                        unsafe context.apply(
                            source.baseAddress.unsafelyUnwrapped, text, source.count)
                        unsafe context.authenticate(text, source.count)
                        initialized += source.count
                    }
                }
            })
    }

    /// Appends the message's authentication code.
    package func finish(into output: inout [UInt8]) {
        output.append(
            addingCapacity: MasterKey.macSize,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    unsafe context.finishMAC(pointer.baseAddress.unsafelyUnwrapped + initialized)
                    initialized += MasterKey.macSize
                }
            })
    }
}

/// Opens a sealed message that comes in parts, in two passes over its ciphertext: the first says
/// whether it is authentic, and only then may the second give its plain form to anybody.
@safe package final class StreamOpener {
    private let context: CipherContext

    /// Starts both passes over the message with the 16 bytes `iv`.
    ///
    /// Throws a `store` failure when `iv` has another length.
    package init(key: MasterKey, iv: Span<UInt8>) throws(Failure) {
        context = CipherContext(key: key)
        guard iv.count == MasterKey.ivSize else { throw Sealer.damaged(iv.count) }
        unsafe iv.withUnsafeBufferPointer { source in
            unsafe context.startMAC(source.baseAddress.unsafelyUnwrapped)
            unsafe context.startCipher(source.baseAddress.unsafelyUnwrapped)
        }
    }

    /// First pass: the next part of the ciphertext.
    package func verify(_ cipher: Span<UInt8>) {
        guard !cipher.isEmpty else { return }
        unsafe cipher.withUnsafeBufferPointer { source in
            unsafe context.authenticate(source.baseAddress.unsafelyUnwrapped, source.count)
        }
    }

    /// First pass, at its end: whether the code `tag` is that of the ciphertext.
    package func finish(_ tag: Span<UInt8>) -> Bool {
        guard tag.count == MasterKey.macSize else { return false }
        return unsafe tag.withUnsafeBufferPointer { source in
            unsafe context.finishMAC(equals: source.baseAddress.unsafelyUnwrapped)
        }
    }

    /// Second pass: appends the plain form of the next part of the ciphertext.
    package func update(_ cipher: Span<UInt8>, into output: inout [UInt8]) {
        guard !cipher.isEmpty else { return }
        output.append(
            addingCapacity: cipher.count,
            initializingWith: { (span: inout OutputSpan<UInt8>) in
                unsafe span.withUnsafeMutableBufferPointer { pointer, initialized in
                    let text = unsafe pointer.baseAddress.unsafelyUnwrapped + initialized
                    unsafe cipher.withUnsafeBufferPointer { source in
                        unsafe context.apply(
                            source.baseAddress.unsafelyUnwrapped, text, source.count)
                        initialized += source.count
                    }
                }
            })
    }
}
