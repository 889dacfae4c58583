internal import Foundation

/// An installed restic: the independent judge of every store.
package struct Restic: Sendable, CustomStringConvertible {
    /// The path of the program.
    package let program: String
    /// The version as the program gives it: `0.14.0`.
    package let version: String

    package var description: String { "restic \(version)" }

    /// Whether it knows symlinks to names that are no UTF-8: since 0.16.
    package var keepsRawTargets: Bool {
        version.split(separator: ".").dropFirst().first.flatMap { Int($0) }.map { $0 >= 16 }
            ?? false
    }

    /// The distribution's own, in PATH.
    package static let installed: Restic? = find(environment["CISTERN_RESTIC"] ?? "restic")

    /// The one that scripts/newer-restic fetched; `rewrite` and `repair snapshots` need it.
    package static let newer: Restic? = find(
        environment["CISTERN_NEWER_RESTIC"] ?? "\(Project.root)/.build/tools/restic-sid")

    /// All that are there; the tests say visibly which are missing.
    package static let all: [Restic] = {
        if installed == nil { notice("restic is not installed: interoperation not checked") }
        if newer == nil {
            notice("no newer restic (scripts/newer-restic): not checked against it")
        }
        return [installed, newer].compactMap { $0 }
    }()

    /// A command on the repository at `store` with the password in `passwordFile`.
    package func command(
        _ arguments: [String], store: String, passwordFile: String
    ) -> Command {
        var command = Command(program, ["--no-cache"] + arguments)
        command.environment = [
            "RESTIC_REPOSITORY": store, "RESTIC_PASSWORD_FILE": passwordFile,
            "RESTIC_PASSWORD": nil, "RESTIC_CACHE_DIR": nil,
        ]
        return command
    }

    private static func find(_ program: String) -> Restic? {
        guard let result = try? Command(program, ["version"]).run(), result.status == .exited(0)
        else { return nil }
        let words = result.text.split(separator: " ")
        return Restic(program: program, version: words.count > 1 ? String(words[1]) : "?")
    }
}

/// Where the project's own files are.
package enum Project {
    /// The folder of Package.swift.
    package static let root: String = {
        // This file is Tests/Support/Restic.swift.
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path
    }()

    /// The program under test: `CISTERN`, else the one built together with what is running.
    package static let cistern: String = {
        if let path = environment["CISTERN"] { return path }
        let running = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let beside = running.deletingLastPathComponent().appendingPathComponent("cistern").path
        return access(beside, X_OK) == 0 ? beside : "\(root)/.build/release/cistern"
    }()

    /// The reader that checks a repository without restic's code, if this machine has it:
    /// `CISTERN_RESTIC_READ`.
    package static let resticRead: String? = environment["CISTERN_RESTIC_READ"]
}
