import Dispatcher
import Testing

@Suite struct GlobTests {
    @Test(arguments: [
        ("*", "", true), ("*", "web", true), ("web", "web", true), ("web", "webs", false),
        ("web*", "web", true), ("web*", "web-1", true), ("*web", "my-web", true),
        ("*web", "web-1", false), ("w?b", "web", true), ("w?b", "wb", false),
        ("[a-c]x", "bx", true), ("[a-c]x", "dx", false), ("[!a-c]x", "dx", true),
        ("[!a-c]x", "ax", false), ("[]]", "]", true), ("[-a]", "-", true), ("[a-]", "-", true),
        ("a*b*c", "aXbYbZc", true), ("a*b*c", "aXbYbZ", false), ("", "", true), ("", "a", false),
        ("**", "anything", true), ("?", "ü", true), ("tab.*", "tabX", false),
    ])
    func matches(pattern: String, name: String, expected: Bool) throws {
        #expect(try #require(Glob(pattern)).matches(name) == expected)
    }

    @Test(arguments: ["[", "[]", "[a", "[!", "[z-a]", "x[1-"])
    func refuses(pattern: String) { #expect(Glob(pattern) == nil) }

    /// A pattern of many runs must not take exponential time.
    @Test func stars() throws {
        let glob = try #require(Glob(String(repeating: "*a", count: 50) + "b"))
        #expect(!glob.matches(String(repeating: "a", count: 5_000)))
    }
}
