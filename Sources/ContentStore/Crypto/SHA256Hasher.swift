internal import CCrypto
package import Platform

/// SHA-256 (FIPS 180-4) with one reused context; not for use by two threads at once.
@safe package final class SHA256Hasher {
    // Fetched once: looking an algorithm up by name costs more than hashing a small blob.
    private nonisolated(unsafe) static let algorithm: OpaquePointer = {
        guard let md = unsafe EVP_MD_fetch(nil, "SHA256", nil) else {
            fatalError("libcrypto has no SHA-256")
        }
        return unsafe md
    }()

    private let context: OpaquePointer

    /// Starts a hash of nothing.
    package init() {
        guard let context = unsafe EVP_MD_CTX_new() else { fatalError("out of memory for SHA-256") }
        unsafe self.context = unsafe context
        require(
            unsafe EVP_DigestInit_ex2(context, SHA256Hasher.algorithm, nil), "EVP_DigestInit")
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
    }

    /// Adds `bytes` to what is hashed.
    package func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBytes { pointer in
            require(
                unsafe EVP_DigestUpdate(context, pointer.baseAddress, pointer.count),
                "EVP_DigestUpdate")
        }
    }

    /// The digest of all bytes since the start; the hasher then starts anew.
    package func finish() -> Digest {
        let digest = unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { out in
            require(unsafe EVP_DigestFinal_ex(context, out.baseAddress, nil), "EVP_DigestFinal")
            return Digest(unsafe Span(_unsafeElements: UnsafeBufferPointer(out)))
        }
        require(unsafe EVP_DigestInit_ex2(context, nil, nil), "EVP_DigestInit")
        guard let digest else { fatalError("a SHA-256 digest has 32 bytes") }
        return digest
    }

    /// The digest of `bytes`; may be called on any thread.
    ///
    /// Loops should keep a hasher instead.
    package static func hash(_ bytes: Span<UInt8>) -> Digest {
        let hasher = SHA256Hasher()
        hasher.update(bytes)
        return hasher.finish()
    }
}
