import Foundation
import Platform

/// A temporary directory that goes away with the value, and shorthands to fill it.
final class Folder: Sendable {
    let path: String
    let descriptor: Descriptor

    init() throws {
        path = NSTemporaryDirectory() + "/manifest-" + UUID().uuidString
        try AtomicFile.makeDirectories(path)
        descriptor = try Descriptor.open(path, [.readOnly, .directory])
    }

    deinit {
        // Not FileManager: it cannot remove what is deeper than PATH_MAX.
        let rm = Process()
        rm.executableURL = URL(fileURLWithPath: "/bin/rm")
        rm.arguments = ["-rf", "--one-file-system", path]
        try? rm.run()
        rm.waitUntilExit()
    }

    /// Makes an empty or small file, with the directories above it.
    func file(_ name: String, _ text: String = "x") throws {
        if let slash = name.lastIndex(of: "/") { try directory(String(name[..<slash])) }
        let file = try descriptor.open(
            Array(name.utf8), [.writeOnly, .create, .truncate], mode: 0o644)
        try file.write(Array(text.utf8).span)
    }

    /// Makes a directory and those above it.
    func directory(_ name: String) throws {
        try AtomicFile.makeDirectories(path + "/" + name, mode: 0o755)
    }
}
