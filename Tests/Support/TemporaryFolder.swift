internal import Foundation
package import Testing

/// A folder on disk that goes away with the value.
///
/// It lies in `CISTERN_TEST_FOLDER` or /var/tmp, because /tmp may be a tmpfs, which has no disk's
/// behaviour. With `CISTERN_KEEP=1` it stays, for a look at a failure.
package final class TemporaryFolder: Sendable {
    /// The absolute path, without symlinks and without a slash at the end.
    package let path: String

    /// Makes an empty folder with `name` in its name.
    package convenience init(_ name: String = "test") throws {
        try self.init(name, in: environment["CISTERN_TEST_FOLDER"] ?? "/var/tmp")
    }

    /// Makes an empty folder in `base`.
    package init(_ name: String, in base: String) throws {
        var template = Array("\(base)/cistern-\(name)-XXXXXX".utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
        }
        guard let made else { throw TestError("no temporary folder in \(base): errno \(errno)") }
        path = made
    }

    deinit {
        if environment["CISTERN_KEEP"] == "1" {
            print("kept \(path)")
        } else {
            removeTree(path)
        }
    }

    /// The path of `name` in the folder.
    package func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

    /// The folder of the running test, for tests with the trait `.temporaryFolder`.
    @TaskLocal package static var current: TemporaryFolder?
}

/// Gives a test a `TemporaryFolder.current` of its own.
package struct TemporaryFolderTrait: TestTrait, SuiteTrait, TestScoping {
    package var isRecursive: Bool { true }

    package func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        // A suite's own scope needs none: only the tests in it do.
        guard testCase != nil else { return try await function() }
        let folder = try TemporaryFolder()
        try await TemporaryFolder.$current.withValue(folder) { try await function() }
    }
}

extension Trait where Self == TemporaryFolderTrait {
    /// Gives the test a folder on disk, `TemporaryFolder.current`, removed after it.
    package static var temporaryFolder: Self { TemporaryFolderTrait() }
}

/// Something that the tests need did not work.
package struct TestError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// Removes a directory however deep it is and whatever modes are in it.
package func removeTree(_ path: String) {
    _ = try? Command("/bin/rm", ["-rf", "--one-file-system", path]).run()
    guard FileManager.default.fileExists(atPath: path) else { return }
    // A directory without permissions of its own: only a user other than root comes here.
    _ = try? Command("/bin/chmod", ["-R", "u+rwX", path]).run()
    _ = try? Command("/bin/rm", ["-rf", "--one-file-system", path]).run()
}
