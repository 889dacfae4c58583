import Manifest
import Platform
import Testing

@Suite struct ExcludesTests {
    // The documented rules of gitignore(5); a slash at the end of the path stands for a directory.
    @Test(arguments: [
        (["hello.*"], "hello.txt", true), (["hello.*"], "a/hello.java", true),
        (["/hello.*"], "hello.c", true), (["/hello.*"], "a/hello.java", false),
        (["doc/frotz/"], "doc/frotz/", true), (["doc/frotz/"], "a/doc/frotz/", false),
        (["frotz/"], "frotz/", true), (["frotz/"], "a/frotz/", true), (["frotz/"], "frotz", false),
        (["foo/*"], "foo/test.json", true), (["foo/*"], "foo/bar/", true),
        (["foo/*"], "foo/bar/hello.c", false), (["doc/frotz"], "doc/frotz", true),
        (["/doc/frotz"], "doc/frotz", true), (["**/foo"], "foo", true),
        (["**/foo"], "a/b/foo", true),
        (["**/foo/bar"], "foo/bar", true), (["**/foo/bar"], "x/foo/bar", true),
        (["**/foo/bar"], "x/foo/y/bar", false), (["abc/**"], "abc/x", true),
        (["abc/**"], "abc/x/y", true), (["abc/**"], "abc/", false), (["a/**/b"], "a/b", true),
        (["a/**/b"], "a/x/b", true), (["a/**/b"], "a/x/y/b", true), (["a/**/b"], "a/x/y/c", false),
        (["a/**/b/**/c"], "a/b/b/x/c", true), (["*.a", "!lib.a"], "lib.a", false),
        (["*.a", "!lib.a"], "x/other.a", true), (["!lib.a", "*.a"], "lib.a", true),
        (["/*", "!/foo"], "foo/", false), (["/*", "!/foo"], "bar", true),
        (["a?c"], "abc", true), (["a?c"], "ac", false), (["a*c"], "a/c", false),
        (["[a-c]x"], "bx", true), (["[a-c]x"], "dx", false), (["[!a-c]x"], "dx", true),
        (["[^a-c]x"], "ax", false), (["[]]"], "]", true), (["[a-]"], "-", true),
        (["[[:digit:]]*"], "7up", true), (["[[:digit:][:upper:]]*"], "Up", true),
        (["[[:digit:]]*"], "up", false), (["\\!x"], "!x", true), (["\\*"], "*", true),
        (["\\*"], "x", false), (["#x#"], "#x#", true), (["a**b"], "axxb", true),
        (["a**b"], "a/b", false), (["**"], "any/thing", true), (["*"], "x", true),
        (["a*a*a*a*a*a*a*a*b"], "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        (["**/a/**/a/**/a/**/b"], "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", false),
        (["sp ace "], "sp ace ", true), (["é*"], "été", true), (["x"], "", false),
    ])
    func patternsWorkAsGitDocumentsThem(_ patterns: [String], _ path: String, _ expected: Bool)
        throws
    {
        let excludes = try Excludes(patterns)
        let isDirectory = path.hasSuffix("/")
        let bytes = Array((isDirectory ? String(path.dropLast()) : path).utf8)
        #expect(excludes.excludes(bytes, isDirectory: isDirectory) == expected)
    }

    @Test func bytesThatAreNoTextAreMatched() throws {
        #expect(
            try Excludes(["*.tmp"]).excludes([0xFF, 0x2E, 0x74, 0x6D, 0x70], isDirectory: false))
        #expect(try Excludes(["?"]).excludes([0xFF], isDirectory: false))
    }

    @Test(arguments: [
        "", "/", "!", "!/", "a//b", "[a", "[", "a\\", "../x", "./x", "a/..", "[b-a]", "[[:nope:]]",
        "[[:alpha]", "a\u{0}b", "[\\",
    ])
    func aBadPatternIsNamed(_ pattern: String) {
        let failure = #expect(throws: Failure.self) { try Excludes(["ok", pattern]) }
        #expect(failure?.kind == .usage)
        #expect(failure?.message.contains("\"\(pattern)\"") ?? false)
    }
}
