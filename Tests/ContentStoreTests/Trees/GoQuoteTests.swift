import ContentStore
import Testing

@Suite struct GoQuoteTests {
    static func quote(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        GoQuote.quote(bytes.span, into: &output)
        return String(decoding: output, as: UTF8.self)
    }

    static func unquote(_ text: String) -> [UInt8]? {
        let bytes = Array(text.utf8)
        return GoQuote.unquote(bytes.span)
    }

    @Test(arguments: [
        ("", ""), ("plain", "plain"), ("a b", "a b"), ("\"'", "\\\"'"), ("a\\b", "a\\\\b"),
        ("\u{07}\u{08}\u{0c}\n\r\t\u{0b}", "\\a\\b\\f\\n\\r\\t\\v"), ("\u{01}\u{1f}", "\\x01\\x1f"),
        ("\u{7f}", "\\x7f"), ("\u{80}\u{9f}", "\\u0080\\u009f"), ("\u{a0}", "\\u00a0"),
        ("\u{a1}\u{ac}", "\u{a1}\u{ac}"), ("\u{ad}", "\\u00ad"), ("\u{ae}\u{e9}", "\u{ae}\u{e9}"),
        ("e\u{301}", "e\u{301}"), ("\u{2028}\u{2029}", "\\u2028\\u2029"), ("\u{202e}", "\\u202e"),
        ("\u{feff}", "\\ufeff"), ("\u{fffd}", "\u{fffd}"), ("\u{ffff}", "\\uffff"),
        ("\u{e000}", "\\ue000"), ("\u{1f600}", "\u{1f600}"), ("\u{e0001}", "\\U000e0001"),
        ("\u{10ffff}", "\\U0010ffff"), ("\u{3000}", "\\u3000"), ("\u{378}", "\\u0378"),
        // Of Unicode 15.0 and of later versions.
        ("\u{11f00}", "\u{11f00}"), ("\u{31350}", "\u{31350}"), ("\u{2ffc}", "\\u2ffc"),
        ("\u{1c89}", "\\u1c89"), ("\u{1e5d0}", "\\U0001e5d0"), ("\u{88f}", "\\u088f"),
        ("<&>", "<&>"),
    ])
    func textIsQuotedAsStrconvDoes(text: String, quoted: String) {
        #expect(Self.quote(Array(text.utf8)) == quoted)
        #expect(Self.unquote(quoted) == Array(text.utf8))
    }

    @Test(arguments: [
        ([0xFF, 0xFE], "\\xff\\xfe"), ([0x61, 0xC3], "a\\xc3"),
        ([0xED, 0xA0, 0x80], "\\xed\\xa0\\x80"), ([0xC0, 0xAF], "\\xc0\\xaf"),
        ([0xF0, 0x9F, 0x98], "\\xf0\\x9f\\x98"), ([0xE2, 0x82, 0x41], "\\xe2\\x82A"),
        ([0xF4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80"),
        ([0xE0, 0x80, 0x80], "\\xe0\\x80\\x80"),
    ])
    func bytesThatAreNotUTF8(bytes: [UInt8], quoted: String) {
        #expect(Self.quote(bytes) == quoted)
        #expect(Self.unquote(quoted) == bytes)
    }

    @Test(arguments: [
        ("\\101\\000\\377", [0x41, 0, 0xFF]), ("\\xFF\\u00E9", [0xFF, 0xC3, 0xA9]),
        ("\\U0001F600", Array("\u{1f600}".utf8)), ("\r", [0x0D]), ("'", [0x27]),
    ])
    func otherFormsThatGoReads(quoted: String, bytes: [UInt8]) {
        #expect(Self.unquote(quoted) == bytes)
    }

    @Test(arguments: [
        "\\", "\\'", "\\q", "\"", "a\nb", "\\x", "\\x4", "\\xg0", "\\u12", "\\ud800", "\\U00110000",
        "\\U0001F60", "\\400", "\\1", "\\18", "\\0x1",
    ])
    func whatGoRefuses(quoted: String) {
        #expect(Self.unquote(quoted) == nil)
    }
}
