internal import ContentStore
internal import Manifest
internal import Platform

/// Builds the trees of a snapshot from units in path order, bottom up.
///
/// Each directory on the way to the last unit has its JSON growing in memory; beyond
/// `memoryLimit` bytes in all, the largest goes on in a file. A directory of a million entries
/// passes like any other. Used on one thread.
final class TreeBuilder {
    /// JSON that is held in memory, over all open directories.
    static let memoryLimit = 8 << 20
    /// A directory with more JSON than this is written out when memory is short.
    private static let spillSize = 16 << 10

    private final class OpenDirectory {
        let path: [UInt8]
        var node: TreeNode
        var json: [UInt8] = []
        var isEmpty = true
        var spill: TreeSpill?

        init(path: [UInt8], node: TreeNode) {
            self.path = path
            self.node = node
            TreeEncoder().begin(into: &json)
        }
    }

    private let store: Store
    private let session: StoreSession
    private let sink: BlobSink
    private var stack: [OpenDirectory] = []
    private var devices: DeviceNumbers
    private var held = 0
    private var root: TreeNode?
    /// Trees that the store did not have, and their bytes there.
    private(set) var newTrees: UInt64 = 0
    private(set) var newBytes: UInt64 = 0

    /// - Parameter rootDevice: the device of the module's directory.
    init(session: StoreSession, rootDevice: UInt64) {
        devices = DeviceNumbers(root: rootDevice)
        store = session.store
        self.session = session
        sink = BlobSink(session: session)
    }

    /// Adds the nodes of the next batch.
    func add(_ fragments: TreeFragments) throws {
        for item in fragments.items {
            try closeDirectories(notAbove: item.path)
            try checkPlace(of: item)
            if let node = item.directory {
                stack.append(OpenDirectory(path: item.path, node: node))
                continue
            }
            guard let parent = stack.last else { continue }
            if let foreign = item.foreign {
                var node = foreign.node
                node.deviceID = devices.number(of: foreign.device)
                var json: [UInt8] = []
                var encoder = TreeEncoder()
                try encoder.appendNode(node, into: &json)
                append(json.span, to: parent)
            } else {
                append(fragments.bytes.span.extracting(item.json), to: parent)
            }
            if held > TreeBuilder.memoryLimit { try spillLargest() }
        }
    }

    /// Lists come from people too: a unit without its directory would end up in another one.
    private func checkPlace(of item: TreeFragments.Item) throws(Failure) {
        let parent = item.path.lastIndex(of: 0x2F).map { item.path[..<$0] } ?? []
        let isRoot = item.path.isEmpty
        let fits =
            isRoot
            ? item.directory != nil && root == nil : stack.last.map { $0.path[...] } == parent
        guard stack.isEmpty == isRoot, fits else {
            throw Failure(
                .usage,
                "the list has \(printable(item.path)), but not the directory that it is in",
                hint: "Dehydrate needs whole lists: one that was filtered is none")
        }
    }

    /// Closes all directories and wraps the module's in a tree of its own: that is where its mode
    /// and times are kept.
    ///
    /// - Returns: the id of the snapshot's root tree.
    func finish(module: String) throws -> Digest {
        while !stack.isEmpty { try closeLast() }
        guard var node = root else {
            throw Failure(.module, "module \(module) has no directory to make a snapshot of")
        }
        node.name = Array(module.utf8)
        let top = OpenDirectory(path: [], node: node)
        var json: [UInt8] = []
        var encoder = TreeEncoder()
        try encoder.appendNode(node, into: &json)
        append(json.span, to: top)
        let id = try close(top)
        try sink.flush()
        return id
    }

    private func closeDirectories(notAbove path: [UInt8]) throws {
        while let last = stack.last, !isBelow(path, last.path) { try closeLast() }
    }

    private func isBelow(_ path: [UInt8], _ directory: [UInt8]) -> Bool {
        guard !directory.isEmpty else { return !path.isEmpty }
        return path.count > directory.count && path[directory.count] == 0x2F
            && path.starts(with: directory)
    }

    private func closeLast() throws {
        guard let last = stack.popLast() else { return }
        last.node.subtree = try close(last)
        guard let parent = stack.last else {
            root = last.node
            return
        }
        var json: [UInt8] = []
        var encoder = TreeEncoder()
        try encoder.appendNode(last.node, into: &json)
        append(json.span, to: parent)
    }

    private func append(_ node: Span<UInt8>, to directory: OpenDirectory) {
        let before = directory.json.count
        if !directory.isEmpty { directory.json.append(0x2C) }
        directory.isEmpty = false
        directory.json.append(copying: node)
        held += directory.json.count - before
    }

    private func close(_ directory: OpenDirectory) throws -> Digest {
        TreeEncoder().finish(into: &directory.json)
        let json = directory.json
        held -= min(held, json.count)
        if let spill = directory.spill {
            try spill.append(json)
            let blob = try spill.store(session)
            count(blob)
            return blob.id
        }
        // Trees never hold back a checkpoint: a resumed run builds them again from its list.
        let blob = try sink.store(json.span, .tree, batch: .max)
        count(blob)
        return blob.id
    }

    private func count(_ blob: StoredBlob) {
        if blob.newBytes > 0 { newTrees += 1 }
        newBytes += UInt64(blob.newBytes)
    }

    private func spillLargest() throws {
        guard let largest = stack.max(by: { $0.json.count < $1.json.count }),
            largest.json.count > TreeBuilder.spillSize
        else { return }
        let spill = try largest.spill ?? TreeSpill(store: store)
        largest.spill = spill
        try spill.append(largest.json)
        held -= min(held, largest.json.count)
        largest.json.removeAll(keepingCapacity: true)
    }
}
