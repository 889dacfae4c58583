internal import CCrypto

/// Stops the program when libcrypto refuses a call that has no other way to fail than a lack of
/// memory or a broken installation: going on would write bytes that nobody can read again.
func require(_ result: Int32, _ call: String) {
    guard result == 1 else { fatalError("libcrypto: \(call) failed, code \(ERR_get_error())") }
}

/// Fills `bytes` with random numbers for keys and initialisation vectors.
func fillRandom(_ bytes: inout MutableSpan<UInt8>) {
    unsafe bytes.withUnsafeMutableBufferPointer { pointer in
        require(unsafe RAND_bytes(pointer.baseAddress, Int32(pointer.count)), "RAND_bytes")
    }
}

/// `count` random bytes for keys, salts and ids.
package func randomBytes(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    fillRandom(&span)
    return bytes
}
