import Manifest
import Platform
import TestSupport
import Testing

@Suite struct CodecTests {
    @Test func aLineComesBackAsItWas() throws {
        var random = RandomUnits(seed: 7)
        for round in 0..<5000 {
            let line = random.line()
            let bytes = encoded(line)
            #expect(bytes.last == 10)
            #expect(!bytes.dropLast().contains(10))
            #expect(try decoded(bytes.dropLast()) == line, "seed 7, round \(round)")
        }
    }

    @Test func theKeysAreThoseOfTheDesign() throws {
        let unit = Unit(
            path: Array("a/b \"q\"".utf8),
            metadata: FileMetadata(
                kind: .file, permissions: 0o4755, uid: 1, gid: 2, size: 3,
                mtime: Timestamp(seconds: -1, nanoseconds: 999_999_999),
                ctime: Timestamp(seconds: 4, nanoseconds: 5), inode: 6, device: 7, links: 8),
            xattrs: [ExtendedAttribute(name: Array("user.a".utf8), value: [1, 2, 3, 4])],
            error: UnitError(call: "openat", code: 13),
            check: CheckResult(
                state: .rotted, healthy: false, recoverable: true, verified: true,
                copiesExpected: 2, copiesGood: 1, copiesCorrupt: 1, problems: ["x"]),
            content: ContentResult(ids: [], storedBytes: 9, newBytes: 10))
        let text = String(decoding: encoded(.unit(unit)), as: UTF8.self)
        #expect(
            text == #"""
                {"type":"file","path":"a/b \"q\"","mode":2541,"uid":1,"gid":2,"size":3,"mtime_ns":-1,\#
                "ctime_ns":4000000005,"inode":6,"device":7,"links":8,\#
                "xattrs":[{"name":"user.a","value_b64":"AQIDBA=="}],\#
                "error":{"call":"openat","errno":"EACCES","code":13},\#
                "check":{"state":"rotted","healthy":false,"recoverable":true,"verified":true,\#
                "copies_expected":2,"copies_good":1,"copies_corrupt":1,"problems":["x"]},\#
                "content":[],"stored_bytes":9,"new_bytes":10}

                """#)
    }

    @Test func namesThatAreNoTextAreBase64() throws {
        let unit = Unit(
            path: [0xFF, 0xFE], metadata: FileMetadata(kind: .symlink), target: [0xC3])
        let text = String(decoding: encoded(.unit(unit)), as: UTF8.self)
        #expect(text.contains(#""path_b64":"//4=""#))
        #expect(text.contains(#""target_b64":"ww==""#))
        #expect(!text.contains(#""path":"#))
    }

    @Test(
        arguments: [
            Timestamp(seconds: .max, nanoseconds: 0), Timestamp(seconds: .min, nanoseconds: 0),
            Timestamp(seconds: 0), Timestamp(seconds: -1, nanoseconds: 1),
            Timestamp(seconds: 9_223_372_036, nanoseconds: 854_775_808),
            Timestamp(seconds: 18_446_744_073, nanoseconds: 709_551_616),
        ])
    func everyTimeThatAFileSystemKeepsComesBack(_ time: Timestamp) throws {
        let metadata = FileMetadata(kind: .file, mtime: time, ctime: time)
        let line = ListLine.unit(Unit(path: [], metadata: metadata))
        if time.seconds == .min {
            // One second less than the format's range: refused, not changed.
            #expect(throws: Failure.self) { try decoded(encoded(line).dropLast()) }
        } else {
            #expect(try decoded(encoded(line).dropLast()) == line)
        }
    }

    static let good =
        #"{"type":"file","path":"a","mode":420,"uid":0,"gid":0,"size":1,"mtime_ns":2,"#
        + #""ctime_ns":3,"inode":4,"device":5,"links":1}"#

    @Test func keysMayStandInAnyOrderWithSpaceAndUnknownOnes() throws {
        let other = """
             { "links" : 1 , "x":{"a":[1,-2.5e+3,null,true,"\\u00e9"],"b":{}}, "path":"\\u0061",
            "mode":420,"gid": 0,"uid":0,\t"size":1,"ctime_ns":3,"mtime_ns":2,"inode":4,"type":"file",
            "device":5 }
            """
        #expect(try decoded(other) == decoded(CodecTests.good))
    }

    @Test(arguments: [
        (#"\ud83d\ude00"#, "😀"), (#"\u00e9"#, "é"), (#"\b\f\n\r\t\/\"\\"#, "\u{8}\u{c}\n\r\t/\"\\"),
        (#"\uFFFD"#, "\u{fffd}"), ("😀é", "😀é"),
    ])
    func escapesAreResolved(_ escaped: String, _ plain: String) throws {
        let line = try decoded(
            CodecTests.good.dropLast() + #","target":"\#(escaped)","type2":0}"#)
        guard case .unit(let unit) = line else { return #expect(Bool(false)) }
        #expect(unit.target == Array(plain.utf8))
    }

    /// A device number of what is no device says nothing, and does not come back.
    @Test func aDeviceNumberIsOfDevices() throws {
        for (type, number) in [("file", 0), ("symlink", 0), ("chardev", 7), ("blockdev", 7)] {
            let line = try decoded(
                CodecTests.good.replacing("file", with: type)
                    .replacing(#""links""#, with: #""rdev":7,"links""#))
            guard case .unit(let unit) = line else {
                Issue.record("\(line)")
                continue
            }
            #expect(unit.metadata.rdev == number, "\(type)")
            #expect(try decoded(Array(encoded(line).dropLast())) == line)
        }
    }

    @Test func everyPartOfALineIsTruncated() throws {
        let bytes = Array(CodecTests.good.utf8)
        for length in 1..<bytes.count {
            let failure = #expect(throws: Failure.self) { try decoded(Array(bytes[..<length])) }
            #expect(failure?.kind == .truncated, "\(length): \(String(describing: failure))")
        }
    }

    @Test(arguments: [
        (#""mode":420"#, #""mode":4096"#, "out of range"),
        (#""mode":420"#, #""mode":-1"#, "expected an integer"),
        (#""mode":420"#, #""mode":4.5"#, "expected an integer"),
        (#""mode":420"#, #""mode":1e3"#, "expected an integer"),
        (#""mode":420"#, #""mode":0420"#, "expected an integer"),
        (#""mode":420"#, #""mode":"420""#, "expected an integer"),
        (#""mode":420"#, #""mode":null"#, "expected an integer"),
        (#""mode":420,"#, "", "a unit without \"mode\""),
        (#""mode":420"#, #""mode":420,"mode":420"#, "a second mode"),
        (#""uid":0"#, #""uid":4294967296"#, "out of range"),
        (#""size":1"#, #""size":18446744073709551616"#, "out of range"),
        (#""mtime_ns":2"#, #""mtime_ns":99999999999999999999999999999"#, "out of range"),
        (#""mtime_ns":2"#, #""mtime_ns":-"#, "expected an integer"),
        (#""type":"file""#, #""type":"door""#, "unknown type"),
        (#""type":"file","#, "", "a unit without \"type\""),
        (#""path":"a""#, #""path":"../a""#, "not a relative path"),
        (#""path":"a""#, #""path":"/a""#, "not a relative path"),
        (#""path":"a""#, #""path":"a//b""#, "not a relative path"),
        (#""path":"a""#, #""path":"a/""#, "not a relative path"),
        (#""path":"a""#, #""path":"a/./b""#, "not a relative path"),
        (#""path":"a""#, #""path":"a\u0000b""#, "not a relative path"),
        (#""path":"a""#, #""path_b64":"Li4=""#, "not a relative path"),
        (#""path":"a""#, #""path_b64":"YQ""#, "bad base64"),
        (#""path":"a""#, #""path_b64":"YR==""#, "bad base64"),
        (#""path":"a""#, #""path_b64":"Y==="""#, "bad base64"),
        (#""path":"a""#, #""path":"a","path_b64":"YQ==""#, "a second path_b64"),
        (#""path":"a""#, "\"path\":\"a\u{1}\"", "control character"),
        (#""path":"a""#, #""path":"\ud800""#, "surrogate"),
        (#""path":"a""#, #""path":"\ud800\u0041""#, "surrogate"),
        (#""path":"a""#, #""path":"\udc00""#, "surrogate"),
        (#""path":"a""#, #""path":"\x""#, "unknown escape"),
        (#""path":"a""#, #""path":"\u12g4""#, "hexadecimal"),
        (#""links":1}"#, #""links":1}}"#, "something after"),
        (#""links":1}"#, #""links":1,}"#, "expected a string"),
        (#""links":1}"#, #""links":1,"seq":1}"#, "no sequence number"),
        (#""links":1}"#, #""links":1,"content":[]}"#, "some of"),
        (#""links":1}"#, #""links":1,"content":["ab"],"stored_bytes":0,"new_bytes":0}"#, "blob id"),
        (#""links":1}"#, #""links":1,"check":{"state":"fine"}}"#, "unknown word"),
        (#""links":1}"#, #""links":1,"check":{"state":"new"}}"#, "all of its fields"),
        (#""links":1}"#, #""links":1,"error":{"call":"x"}}"#, "without"),
        (#""links":1}"#, #""links":1,"stats":{"api-version":1}}"#, "without"),
        (#""links":1}"#, #""links":1,"x":tru }"#, "true or false"),
        (#""links":1}"#, #""links":1,"x":01}"#, "expected a value"),
    ])
    func aBadLineIsRefusedByName(_ part: String, _ bad: String, _ reason: String) throws {
        #expect(CodecTests.good.contains(part))
        let line = CodecTests.good.replacing(part, with: bad)
        let failure = #expect(throws: Failure.self) { try decoded(line) }
        #expect(failure?.kind == .usage, "\(line)")
        #expect(failure?.message.contains(reason) ?? false, "\(failure?.message ?? "") for \(line)")
    }

    @Test func bytesThatAreNoTextAreRefused() throws {
        for bad: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80]] {
            var line = Array(#"{"path":"12345678"#.utf8)
            line += bad + Array(#""}"#.utf8)
            let failure = #expect(throws: Failure.self) { try decoded(line) }
            #expect(failure?.message.contains("not UTF-8") ?? false)
        }
    }

    @Test func nestingHasALimit() throws {
        let deep = String(repeating: "[", count: 100_000)
        let failure = #expect(throws: Failure.self) { try decoded(#"{"x":\#(deep)"#) }
        #expect(failure?.message.contains("nested too deep") ?? false)
    }

    @Test(arguments: [
        "", "[]", "1", "null", "{}", #"{"seq":1,"count":0}"#, #"{"type":"stats"}"#,
        #"{"type":"stats","stats":{"api-version":2}}"#, #"{"seq":18446744073709551615}"#,
    ])
    func whatIsNoUnitIsRefused(_ line: String) {
        #expect(throws: Failure.self) { try decoded(line) }
    }

    @Test func survivesFuzzing() throws {
        var random = RandomUnits(seed: 3)
        let corpus = (0..<200).map { _ in Array(encoded(random.line()).dropLast()) }
        fuzz("unit codec", corpus: corpus, rounds: 200_000) { bytes in
            guard let line = try? decoded(bytes) else { return }
            // What is accepted has one meaning: it comes back from its own encoding.
            #expect(
                (try? decoded(Array(encoded(line).dropLast()))) == line,
                "\(String(decoding: bytes, as: UTF8.self))")
        }
    }
}
