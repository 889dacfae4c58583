internal import ContentStore
internal import Manifest
internal import Platform

/// How a module is hydrated.
package struct HydrateOptions: Sendable {
    /// Remove what is in the target and not in the snapshot.
    package var delete: Bool
    /// Hash files that look the same instead of trusting size and time.
    package var verify: Bool
    /// Nil: as many as the store's place is worth.
    package var threads: Int?

    package init(delete: Bool = false, verify: Bool = false, threads: Int? = nil) {
        self.delete = delete
        self.verify = verify
        self.threads = threads
    }
}

/// What a hydrate did.
package struct HydrateResult: Sendable, Equatable {
    /// Files whose content was written.
    package var files: UInt64 = 0
    /// Bytes of content written.
    package var bytes: UInt64 = 0
    /// Files that were as they should be.
    package var unchanged: UInt64 = 0
    /// Directories, links and special files made or checked.
    package var others: UInt64 = 0
    /// Entries removed because the snapshot does not have them.
    package var deleted: UInt64 = 0
    /// How many entries could not be made as the snapshot has them.
    package var failed: UInt64 = 0
    /// The first failures, with their paths.
    package var failures: [String] = []

    /// Names of files with further names that could not be made: those must not become links.
    var brokenLinks: Set<[UInt8]> = []

    /// At most this many failures are told; all are counted.
    package static let failureLimit = 100

    package init() {}

    /// Notes that a file could not be made.
    mutating func fail(_ path: [UInt8], _ node: TreeNode, _ error: any Error) {
        if node.links > 1 { brokenLinks.insert(path) }
        fail(path, error)
    }

    mutating func fail(_ path: [UInt8], _ error: any Error) {
        failed += 1
        if failures.count < HydrateResult.failureLimit {
            failures.append("\(printable(path)): \(error)")
        }
    }
}

/// One step of a hydrate, in the order in which the tree gives them.
enum HydrateStep: Sendable {
    /// Some files of one directory.
    case files(HydrateFiles)
    /// A further name of a file that an earlier step made.
    case link(path: [UInt8], node: TreeNode, first: [UInt8])
    /// A symlink, fifo, socket or device.
    case special(path: [UInt8], node: TreeNode)
    /// Everything in the directory is there: its own metadata can be set now.
    case leave(path: [UInt8], node: TreeNode)
    /// Something that already failed while the tree was read.
    case failed(path: [UInt8], cause: Failure)

    /// The entry, or the directory of the files.
    var path: [UInt8] {
        switch self {
        case .files(let files): files.directory
        case .link(let path, _, _), .special(let path, _), .leave(let path, _),
            .failed(let path, _):
            path
        }
    }
}

/// Files of one directory, small enough for one go.
struct HydrateFiles: Sendable {
    /// The directory's path.
    var directory: [UInt8]
    /// The directory was made by this hydrate: nothing can be in the way.
    var isFresh: Bool
    var nodes: [TreeNode]
    var bytes: UInt64 = 0

    func path(_ node: TreeNode) -> [UInt8] { join(directory, node.name) }
}

/// The path of an entry of a directory.
func join(_ directory: [UInt8], _ name: [UInt8]) -> [UInt8] {
    directory.isEmpty ? name : directory + [0x2F] + name
}
