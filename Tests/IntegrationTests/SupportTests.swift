import Foundation
import TestSupport
import Testing

/// The tests' own tools: what they overlook, every other test overlooks.
@Suite(.temporaryFolder) struct SupportTests {
    @Test func makersGiveTheSameBytesAgain() throws {
        for name in ["a", "b"] {
            var corpus = Corpus(seed: 7)
            try corpus.small("\(folder()(name))/small", count: 300)
            try corpus.large("\(folder()(name))/large", count: 2, size: 3 << 20)
            try corpus.modules("\(folder()(name))/modules", count: 3)
            _ = try corpus.churn("\(folder()(name))/small")
            try corpus.nasty("\(folder()(name))/nasty")
            try corpus.deep("\(folder()(name))/deep", count: 1200)
        }
        var options = TreeComparison.Options()
        options.modificationTimes = false
        let differences = try TreeComparison.differences(
            folder()("a"), folder()("b"), options: options)
        #expect(differences == [])
    }

    @Test(arguments: [
        ("printf x >>plain", "size"), ("chmod 600 plain", "mode"), ("touch -d @5 plain", "mtime"),
        ("ln -sf other link-ok", "target"), ("rm hard2; cp -p hard1 hard2", "links"),
        ("rm fifo", "only in the first"), ("touch more", "only in the second"),
        ("rm fifo; touch fifo", "kind"), ("rm a/b; rmdir a; touch a", "kind"),
        ("setfattr -n user.note -v other plain", "extended attributes"),
        ("touch -d @6 empty-dir", "mtime"), ("printf y >>a/b", "size"),
        ("printf X | dd of=a-b conv=notrunc; touch -r ../first/a-b a-b", "content"),
    ])
    func comparisonSeesEachDifference(change: String, expected: String) throws {
        try Corpus().nasty(folder()("first"))
        try Command("cp", ["-a", folder()("first"), folder()("second")]).run().expect()
        #expect(try TreeComparison.differences(folder()("first"), folder()("second")) == [])
        var command = Command("sh", ["-c", change])
        command.folder = try folder()("second")
        guard try command.run().status == .exited(0) else {
            return notice("no setfattr here: that comparison is not checked")
        }
        let differences = try TreeComparison.differences(folder()("first"), folder()("second"))
        #expect(differences.contains { $0.hasPrefix(expected) }, "\(differences)")
    }

    @Test(.enabled(if: TemporaryFolder.hasMemory)) func rotLeavesTheTimes() throws {
        let memory = try TemporaryFolder(inMemory: "rot")
        let path = memory("file")
        try Data(repeating: 7, count: 100_000).write(to: URL(fileURLWithPath: path))
        try Damage.rot(path, at: 50_000)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(bytes[50_000] == 7 ^ 0x10)
        withExtendedLifetime(memory) {}
    }

    @Test func commandsReportTheirEnd() throws {
        #expect(try Command("sh", ["-c", "exit 7"]).run().status == .exited(7))
        #expect(try Command("sh", ["-c", "kill -9 $$"]).run().status == .killed(signal: 9))
        var slow = Command("sleep", ["60"])
        slow.timeout = 0.05
        #expect(throws: TestError.self) { try slow.run() }
        let running = try Command("sh", ["-c", "sleep 60 & echo started; wait"]).start()
        #expect(running.wait { $0.starts(with: Array("started".utf8)) })
        #expect(running.descendants.count == 1)
        #expect(try running.killAll().status == .killed(signal: 9))
        #expect(running.descendants.isEmpty)
    }
}
