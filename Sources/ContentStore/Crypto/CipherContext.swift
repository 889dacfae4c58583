internal import CCrypto

/// The reused libcrypto contexts behind one key: AES-256-CTR and Poly1305-AES.
///
/// Poly1305-AES (Bernstein 2005): the one-time key is `r ‖ AES-128_k(IV)`, the message is the
/// ciphertext alone. `start` comes before anything else; not for use by two threads at once.
@safe final class CipherContext {
    private nonisolated(unsafe) static let ctr = unsafe cipher("AES-256-CTR")
    private nonisolated(unsafe) static let ecb = unsafe cipher("AES-128-ECB")
    private nonisolated(unsafe) static let poly1305: OpaquePointer = {
        guard let mac = unsafe EVP_MAC_fetch(nil, "POLY1305", nil) else {
            fatalError("libcrypto has no POLY1305")
        }
        return unsafe mac
    }()

    private static func cipher(_ name: String) -> OpaquePointer {
        guard let cipher = unsafe EVP_CIPHER_fetch(nil, name, nil) else {
            fatalError("libcrypto has no \(name)")
        }
        return unsafe cipher
    }

    private let stream: OpaquePointer
    private let block: OpaquePointer
    private let mac: OpaquePointer
    /// `r ‖ AES_k(IV)` of the message at hand, in memory of its own so that no call allocates.
    private let oneTimeKey = UnsafeMutablePointer<UInt8>.allocate(capacity: 32)

    init(key: MasterKey) {
        guard let stream = unsafe EVP_CIPHER_CTX_new(), let block = unsafe EVP_CIPHER_CTX_new(),
            let mac = unsafe EVP_MAC_CTX_new(CipherContext.poly1305)
        else { fatalError("out of memory for AES") }
        unsafe self.stream = unsafe stream
        unsafe self.block = unsafe block
        unsafe self.mac = unsafe mac
        for (i, byte) in key.macR.enumerated() { unsafe oneTimeKey[i] = byte }
        for i in 16..<32 { unsafe oneTimeKey[i] = 0 }
        require(
            unsafe EVP_EncryptInit_ex2(stream, CipherContext.ctr, Array(key.encryption), nil, nil),
            "EVP_EncryptInit(AES-256-CTR)")
        require(
            unsafe EVP_EncryptInit_ex2(block, CipherContext.ecb, Array(key.macK), nil, nil),
            "EVP_EncryptInit(AES-128-ECB)")
        require(unsafe EVP_CIPHER_CTX_set_padding(block, 0), "EVP_CIPHER_CTX_set_padding")
    }

    deinit {
        unsafe OPENSSL_cleanse(oneTimeKey, 32)
        unsafe oneTimeKey.deallocate()
        unsafe EVP_MAC_CTX_free(mac)
        unsafe EVP_CIPHER_CTX_free(block)
        unsafe EVP_CIPHER_CTX_free(stream)
    }

    /// Begins the cipher stream of a message with the 16 bytes at `iv`.
    func startCipher(_ iv: UnsafePointer<UInt8>) {
        require(unsafe EVP_EncryptInit_ex2(stream, nil, nil, iv, nil), "EVP_EncryptInit")
    }

    /// Begins the authentication of a message with the 16 bytes at `iv`.
    func startMAC(_ iv: UnsafePointer<UInt8>) {
        var n: Int32 = 0
        require(unsafe EVP_EncryptUpdate(block, oneTimeKey + 16, &n, iv, 16), "EVP_EncryptUpdate")
        require(unsafe EVP_MAC_init(mac, oneTimeKey, 32, nil), "EVP_MAC_init")
    }

    /// Encrypts or decrypts (the same in CTR) `count` bytes; the two places may be equal.
    func apply(_ input: UnsafePointer<UInt8>, _ output: UnsafeMutablePointer<UInt8>, _ count: Int) {
        var done = 0
        while done < count {
            // libcrypto counts in 32 bits.
            let part = min(count - done, 1 << 30)
            var n: Int32 = 0
            require(
                unsafe EVP_EncryptUpdate(stream, output + done, &n, input + done, Int32(part)),
                "EVP_EncryptUpdate")
            done += part
        }
    }

    /// Adds `count` bytes of ciphertext to what is authenticated.
    func authenticate(_ input: UnsafePointer<UInt8>, _ count: Int) {
        require(unsafe EVP_MAC_update(mac, input, count), "EVP_MAC_update")
    }

    /// Writes the 16 bytes of the code to `output`.
    func finishMAC(_ output: UnsafeMutablePointer<UInt8>) {
        var n = 0
        require(unsafe EVP_MAC_final(mac, output, &n, 16), "EVP_MAC_final")
    }

    /// Whether the code is the 16 bytes at `expected`, in constant time.
    func finishMAC(equals expected: UnsafePointer<UInt8>) -> Bool {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { code in
            let base = unsafe code.baseAddress.unsafelyUnwrapped
            unsafe finishMAC(base)
            return unsafe CRYPTO_memcmp(base, expected, 16) == 0
        }
    }
}
