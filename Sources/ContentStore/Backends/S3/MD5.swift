internal import CCrypto

/// MD5 (RFC 1321), which the header Content-MD5 is made of; against accidents alone.
@safe final class MD5Hasher {
    private let context: OpaquePointer

    /// Starts a hash of nothing; nil where the system's policy forbids MD5.
    init?() {
        guard let md = unsafe EVP_MD_fetch(nil, "MD5", nil) else { return nil }
        defer { unsafe EVP_MD_free(md) }
        guard let context = unsafe EVP_MD_CTX_new() else { return nil }
        unsafe self.context = unsafe context
        guard unsafe EVP_DigestInit_ex2(context, md, nil) == 1 else { return nil }
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
    }

    /// Adds `bytes` to what is hashed.
    func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBytes { pointer in
            require(
                unsafe EVP_DigestUpdate(context, pointer.baseAddress, pointer.count),
                "EVP_DigestUpdate")
        }
    }

    /// The 16 bytes of the hash.
    func finish() -> [UInt8] {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { out in
            require(unsafe EVP_DigestFinal_ex(context, out.baseAddress, nil), "EVP_DigestFinal")
            return unsafe Array(out)
        }
    }
}

/// Base 64 with padding (RFC 4648, section 4).
func base64(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    var at = 0
    while at < bytes.count {
        let rest = min(3, bytes.count - at)
        var word: UInt32 = 0
        for i in 0..<3 { word = word << 8 | (i < rest ? UInt32(bytes[at + i]) : 0) }
        for i in 0..<4 {
            text.append(i <= rest ? digits[Int(word >> UInt32(18 - 6 * i)) & 63] : 0x3D)
        }
        at += 3
    }
    return String(decoding: text, as: UTF8.self)
}
