import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// Bytes from hexadecimal digits; spaces are passed over.
func unhex(_ hex: String) -> [UInt8] {
    let digits = hex.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue ?? 0) }
    return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
}

/// Bytes that depend on `seed` alone.
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count {
        var word = generator.next()
        for _ in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
    }
    return Array(bytes.prefix(count))
}

/// A digest that depends on `seed` alone.
func someDigest(_ seed: UInt64) -> Digest {
    SHA256Hasher.hash(noise(8, seed: seed).span)
}

@Suite struct CryptoTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func hashesAsFIPS180Says(text: String, digest: String) {
        #expect(SHA256Hasher.hash(Array(text.utf8).span).description == digest)
        let hasher = SHA256Hasher()
        for _ in 0..<2 {
            for byte in text.utf8 { hasher.update([byte].span) }
            #expect(hasher.finish().description == digest, "a finished hasher starts anew")
        }
    }

    /// Appendix B of Bernstein, "The Poly1305-AES message-authentication code": r, k, nonce,
    /// message, code.
    ///
    /// The message stands in the place of the ciphertext.
    @Test(arguments: [
        (
            "851fc40c3467ac0be05cc20404f3f700", "ec074c835580741701425b623235add6",
            "fb447350c4e868c52ac3275cf9d4327e", "f3f6", "f4c633c3044fc145f84f335cb81953de"
        ),
        (
            "a0f3080000f46400d0c7e9076c834403", "75deaa25c09f208e1dc4ce6b5cad3fbf",
            "61ee09218d29b0aaed7e154a2c5509cc", "", "dd3fab2251f11ac759f0887129cc2ee7"
        ),
        (
            "48443d0bb0d21109c89a100b5ce2c208", "6acb5f61a7176dd320c5c1eb2edcdc74",
            "ae212a55399729595dea458bc621ff0e",
            "663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136",
            "0ee1c16bb73f0f4fd19881753c01cdbe"
        ),
        (
            "12976a08c4426d0ce8a82407c4f48207", "e1a5668a4d5b66a5f68cc5424ed5982d",
            "9ae831e743978d3a23527c7128149e3a",
            """
            ab0812724a7f1e342742cbed374d94d136c6b8795d45b3819830f2c04491faf0
            990c62e48b8018b2c3e4a0fa3134cb67fa83e158c994d961c4cb21095c1bf9
            """, "5154ad0d2cb26e01274fc51148491f1b"
        ),
    ])
    func authenticatesAsPoly1305AESSays(
        r: String, k: String, nonce: String, message: String, code: String
    ) throws {
        let key = try #require(MasterKey([UInt8](repeating: 7, count: 32) + unhex(k) + unhex(r)))
        let sealed = unhex(nonce) + unhex(message) + unhex(code)
        #expect(Sealer(key: key).isAuthentic(sealed.span) == true)
        let opener = try StreamOpener(key: key, iv: unhex(nonce).span)
        for byte in unhex(message) { opener.verify([byte].span) }
        #expect(opener.finish(unhex(code).span) == true)
        for i in sealed.indices {
            var damaged = sealed
            damaged[i] ^= 0x10
            #expect(Sealer(key: key).isAuthentic(damaged.span) == false, "byte \(i)")
        }
    }

    /// NIST SP 800-38A, F.5.5 CTR-AES256.Encrypt; and a counter that overflows its low half.
    @Test func encryptsAsSP800_38ASays() throws {
        let key = unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
        let plain = unhex(
            """
            6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
            30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710
            """)
        let cipher = unhex(
            """
            601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5
            2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6
            """)
        let master = try #require(MasterKey(key + [UInt8](repeating: 1, count: 32)))
        let opener = try StreamOpener(
            key: master, iv: unhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").span)
        var output: [UInt8] = []
        for part in [0..<5, 5..<16, 16..<64] {
            opener.update(Array(cipher[part]).span, into: &output)
        }
        #expect(output == plain)
    }

    @Test(arguments: [0, 1, 15, 16, 17, 1000, 100_000])
    func sealsAndOpens(count: Int) throws {
        let key = MasterKey.random()
        let sealer = Sealer(key: key)
        let plain = noise(count, seed: 3)
        var sealed: [UInt8] = [1, 2]
        sealer.seal(plain.span, into: &sealed)
        #expect(sealed.count == 2 + count + Sealer.overhead)
        sealed.removeFirst(2)
        var again: [UInt8] = [9]
        try sealer.open(sealed.span, into: &again)
        #expect(again == [9] + plain)

        var other: [UInt8] = []
        sealer.seal(plain.span, into: &other)
        #expect(other != sealed, "each message has its own IV")

        // What is written in pieces and partly taken back is sealed where it lies.
        var inPlace: [UInt8] = [7]
        sealer.seal(into: &inPlace) { output in
            let start = output.count
            output += [1, 2, 3]
            output.removeSubrange(start...)
            output += plain
        }
        #expect(inPlace.first == 7 && inPlace.count == 1 + count + Sealer.overhead)
        again.removeAll()
        try sealer.open(inPlace.span.extracting(1...), into: &again)
        #expect(again == plain)

        for at in [0, 16 + count / 2, sealed.count - 1] {
            var damaged = sealed
            damaged[at] ^= 1
            var untouched: [UInt8] = [5]
            #expect(throws: Failure.self) { try sealer.open(damaged.span, into: &untouched) }
            #expect(untouched == [5])
        }
        var ignored: [UInt8] = []
        #expect(throws: Failure.self) {
            try sealer.open(sealed.span.extracting(0..<31), into: &ignored)
        }
        let stranger = Sealer(key: .random())
        #expect(stranger.isAuthentic(sealed.span) == false)
    }

    @Test func streamsGiveWhatWholesGive() throws {
        let key = MasterKey.random()
        let plain = noise(300_000, seed: 4)
        let stream = StreamSealer(key: key)
        for _ in 0..<2 {
            var sealed: [UInt8] = []
            stream.begin(into: &sealed)
            for start in stride(from: 0, to: plain.count, by: 7777) {
                let part = start..<min(start + 7777, plain.count)
                stream.update(plain.span.extracting(part), into: &sealed)
            }
            stream.finish(into: &sealed)
            var whole: [UInt8] = []
            try Sealer(key: key).open(sealed.span, into: &whole)
            #expect(whole == plain)

            let opener = try StreamOpener(key: key, iv: sealed.span.extracting(0..<16))
            let cipher = sealed.span.extracting(16..<(sealed.count - 16))
            opener.verify(cipher)
            let tag = sealed.span.extracting((sealed.count - 16)..<sealed.count)
            #expect(opener.finish(tag) == true)
            var parts: [UInt8] = []
            opener.update(cipher.extracting(0..<100), into: &parts)
            opener.update(cipher.extracting(100..<cipher.count), into: &parts)
            #expect(parts == plain)
        }
    }

    @Test func masterKeysDoNotShow() {
        let key = MasterKey.random()
        #expect("\(key)" == "master key")
        var dumped = ""
        dump(key, to: &dumped)
        #expect(!dumped.contains("\(key.bytes[0])"))
        #expect(key != MasterKey.random())
        #expect(MasterKey([1, 2, 3]) == nil)
    }
}
