/// The key of a repository: 32 bytes for AES-256-CTR, 16 for AES-128 (`k`) and 16 for Poly1305
/// (`r`) of Poly1305-AES, as restic's master key.
///
/// It has no textual form on purpose, so that it cannot end in a log.
package struct MasterKey: Sendable, Equatable {
    /// The length of a master key.
    package static let size = 64
    /// The length of an initialisation vector.
    package static let ivSize = 16
    /// The length of a message authentication code.
    package static let macSize = 16

    /// AES-256-CTR key, `k`, `r`, in this order.
    package let bytes: [UInt8]

    /// The key from 64 bytes; nil for any other count.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == MasterKey.size else { return nil }
        self.bytes = bytes
    }

    private init(random: Void) {
        var bytes = randomBytes(MasterKey.size)
        // restic before 0.17 expects `r` masked when it makes keys; every reader masks again.
        for i in [3, 7, 11, 15] { bytes[48 + i] &= 15 }
        for i in [4, 8, 12] { bytes[48 + i] &= 252 }
        self.bytes = bytes
    }

    /// A new key.
    package static func random() -> MasterKey { MasterKey(random: ()) }

    /// The 32 bytes of the AES-256-CTR key.
    package var encryption: ArraySlice<UInt8> { bytes[0..<32] }
    /// The 16 bytes of the AES-128 key of the one-time pads.
    package var macK: ArraySlice<UInt8> { bytes[32..<48] }
    /// The 16 bytes of the Poly1305 point.
    package var macR: ArraySlice<UInt8> { bytes[48..<64] }
}

extension MasterKey: CustomStringConvertible, CustomReflectable {
    package var description: String { "master key" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
