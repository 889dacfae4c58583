/// XXH64 with seed 0 (xxHash specification 0.1.1): the checksum of stored rows.
///
/// SQLite keeps no checksums of its pages; this one finds a flipped bit. It is no protection
/// against somebody who wants to deceive.
package func xxHash64(_ bytes: Span<UInt8>) -> UInt64 {
    let count = bytes.count
    var at = 0
    var hash: UInt64
    if count >= 32 {
        var a = prime1 &+ prime2
        var b = prime2
        var c: UInt64 = 0
        var d = 0 &- prime1
        while at &+ 32 <= count {
            a = round(a, word(bytes, at))
            b = round(b, word(bytes, at &+ 8))
            c = round(c, word(bytes, at &+ 16))
            d = round(d, word(bytes, at &+ 24))
            at &+= 32
        }
        hash = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
        for lane in [a, b, c, d] {
            hash = (hash ^ round(0, lane)) &* prime1 &+ prime4
        }
    } else {
        hash = prime5
    }
    hash &+= UInt64(count)
    while at &+ 8 <= count {
        hash = rotate(hash ^ round(0, word(bytes, at)), 27) &* prime1 &+ prime4
        at &+= 8
    }
    if at &+ 4 <= count {
        var half: UInt64 = 0
        for i in 0..<4 { half |= UInt64(bytes[at &+ i]) << UInt64(8 * i) }
        hash = rotate(hash ^ half &* prime1, 23) &* prime2 &+ prime3
        at &+= 4
    }
    while at < count {
        hash = rotate(hash ^ UInt64(bytes[at]) &* prime5, 11) &* prime1
        at &+= 1
    }
    hash = (hash ^ hash >> 33) &* prime2
    hash = (hash ^ hash >> 29) &* prime3
    return hash ^ hash >> 32
}

private let prime1: UInt64 = 0x9E37_79B1_85EB_CA87
private let prime2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
private let prime3: UInt64 = 0x1656_67B1_9E37_79F9
private let prime4: UInt64 = 0x85EB_CA77_C2B2_AE63
private let prime5: UInt64 = 0x27D4_EB2F_1656_67C5

private func round(_ accumulator: UInt64, _ input: UInt64) -> UInt64 {
    rotate(accumulator &+ input &* prime2, 31) &* prime1
}

private func rotate(_ value: UInt64, _ bits: UInt64) -> UInt64 {
    value << bits | value >> (64 &- bits)
}

private func word(_ bytes: Span<UInt8>, _ at: Int) -> UInt64 {
    unsafe bytes.withUnsafeBytes {
        UInt64(littleEndian: unsafe $0.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }
}
