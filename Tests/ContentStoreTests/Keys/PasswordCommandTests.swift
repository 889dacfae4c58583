import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

@Suite struct PasswordCommandTests {
    private func run(_ script: String, seconds: Double = 60) throws -> String {
        String(
            decoding: try PasswordCommand.run(["sh", "-c", script], seconds: seconds), as: UTF8.self
        )
    }

    @Test(arguments: [
        ("printf secret", "secret"), ("echo secret; echo more", "secret"),
        ("printf 'secret\\r\\n'", "secret"), ("printf ' a b \\n'", " a b "),
        // What is asked of a terminal is answered at once: there is none.
        ("read line; echo \"[$line]\"", "[]"),
        (
            "i=0; while [ $i -lt 100 ]; do echo 0123456789012345678901234567890; i=$((i+1)); done",
            "0123456789012345678901234567890"
        ),
    ])
    func theFirstLineIsThePassword(_ script: String, _ password: String) throws {
        #expect(try run(script) == password)
    }

    /// A helper that stays in the background does not hold up who asked.
    @Test func aHelperThatStaysIsNotWaitedFor() throws {
        let start = monotonicSeconds()
        #expect(try run("sleep 20 & echo secret; echo $! >&2") == "secret")
        #expect(monotonicSeconds() - start < 15)
    }

    @Test(arguments: [
        ("exit 3", FailureClass.usage, "exit code 3"), ("true", .usage, "prints no password"),
        ("echo", .usage, "prints no password"), ("kill -9 $$", .usage, "SIGKILL"),
        ("cat /dev/zero", .usage, "more than"),
    ])
    func whatGivesNoPassword(_ script: String, _ kind: FailureClass, _ text: String) {
        let failure = #expect(throws: Failure.self) { try run("echo secret >/dev/null; " + script) }
        #expect(failure?.kind == kind)
        #expect(failure?.description.contains(text) == true, "\(failure as Any)")
        #expect(failure?.description.contains("secret") == false)
    }

    /// It and what it has started are killed.
    @Test func whatNeverEndsIsKilled() throws {
        let failure = #expect(throws: Failure.self) {
            try run("sleep 1000 & wait", seconds: 0.2)
        }
        #expect(failure?.kind == .temporary)
    }

    @Test func aProgramThatIsMissing() {
        let failure = #expect(throws: Failure.self) {
            try PasswordCommand.run(["no-such-program-anywhere"])
        }
        #expect(failure?.cause?.contains("No such file or directory") == true)
        #expect(throws: Failure.self) { try PasswordCommand.run([]) }
    }
}
