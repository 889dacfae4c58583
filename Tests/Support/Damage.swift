internal import Foundation
internal import Platform

/// Damage done to files on purpose.
package enum Damage {
    /// Flips one bit of the byte at `offset` (from the middle when nil) and leaves size and mtime
    /// as they were.
    ///
    /// The ctime changes: only a device under a file system can flip without.
    package static func flipByte(_ path: String, at offset: Int? = nil) throws {
        let (folder, name) = split(path)
        let directory = try Descriptor.open(folder, [.readOnly, .directory])
        let before = try directory.metadata(of: name)
        // The store's objects are read-only, which does not hold for root but for others.
        try directory.setPermissions(name, before.permissions | 0o600)
        let file = try directory.open(name, [.readWrite, .noFollow], mode: 0)
        let at = UInt64(offset ?? Int(before.size) / 2)
        var bytes: [UInt8] = []
        try file.seek(to: at)
        _ = try file.read(appending: &bytes, upTo: 1)
        guard !bytes.isEmpty else { throw TestError("\(path) has no byte \(at)") }
        bytes[0] ^= 0x10
        try file.write(bytes.span, at: at)
        try directory.setPermissions(name, before.permissions)
        try directory.setModified(name, before.mtime)
    }

    /// Cuts a file to `size` bytes.
    package static func truncate(_ path: String, to size: Int) throws {
        let file = try Descriptor.open(path, [.readWrite])
        try file.truncate(to: UInt64(size))
    }

    /// Where `needle` is in the file `image`; throws unless it is there exactly once.
    package static func offset(of needle: [UInt8], in image: String) throws -> Int {
        let data = try Data(contentsOf: URL(fileURLWithPath: image), options: .alwaysMapped)
        let pattern = Data(needle)
        guard let first = data.range(of: pattern) else {
            throw TestError("the bytes are not in \(image)")
        }
        if data.range(of: pattern, in: first.upperBound..<data.count) != nil {
            throw TestError("the bytes are more than once in \(image)")
        }
        return first.lowerBound
    }

    private static func split(_ path: String) -> (folder: String, name: [UInt8]) {
        let url = URL(fileURLWithPath: path)
        return (url.deletingLastPathComponent().path, Array(url.lastPathComponent.utf8))
    }
}

/// A mounted file system, unmounted when the value goes away; as root only.
package final class Mount: Sendable {
    /// Where it is mounted.
    package let path: String

    /// A tmpfs of `bytes`, to run full.
    package static func tmpfs(at path: String, bytes: Int) throws -> Mount {
        try Mount(["-t", "tmpfs", "-o", "size=\(bytes)", "tmpfs", path], at: path)
    }

    /// The ext4 image file `image`, through a loop device.
    package static func ext4(_ image: String, at path: String) throws -> Mount {
        try Mount(["-o", "loop", image, path], at: path)
    }

    /// Makes an image file with an empty ext4 of `bytes`.
    package static func makeExt4(_ image: String, bytes: Int) throws {
        try Command("truncate", ["-s", "\(bytes)", image]).run().expect()
        try Command("mkfs.ext4", ["-q", "-F", "-E", "lazy_itable_init=0", image]).run().expect()
    }

    /// Whether file systems can be mounted here: root, with the right and with loop devices.
    package static let isPossible: Bool = {
        guard isRoot, let folder = try? TemporaryFolder("mount") else { return false }
        return (try? Mount.tmpfs(at: folder.path, bytes: 1 << 20)) != nil
    }()

    /// Whether ext4 images can be made and mounted.
    package static let isImagePossible: Bool = {
        guard isRoot, let folder = try? TemporaryFolder("mount") else { return false }
        let image = folder("image")
        guard (try? makeExt4(image, bytes: 4 << 20)) != nil else { return false }
        return (try? Mount.ext4(image, at: folder("at"))) != nil
    }()

    private init(_ arguments: [String], at path: String) throws {
        self.path = path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Command("mount", arguments).run().expect()
    }

    deinit {
        let result = try? Command("umount", [path]).run()
        if result?.status != .exited(0) { notice("could not unmount \(path)") }
    }
}
