internal import ArgumentParser
internal import ContentStore
internal import Dispatcher
internal import Platform

/// `cistern snapshots`: what the store has of which time.
struct Snapshots: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the snapshots in the store, the oldest first.",
        discussion: "Those that restic made are listed too, by their paths.")

    @Argument(help: "Only the snapshots of this module.")
    var module: String?

    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    private struct Document: Encodable {
        struct Item: Encodable {
            var id: String
            var timeNs: Int64
            var module: String?
            var hostname: String
            var paths: [String]
            var tags: [String]
            var tree: String
            var parent: String?
            var files: UInt64?
            var bytes: UInt64?
            var addedBytes: UInt64?
        }
        var snapshots: [Item]
    }

    func run() throws {
        let configuration = try config.load()
        guard configuration.store.scope == .module, module == nil else {
            var own = configuration
            if let module { own = try configuration.narrowed(to: module) }
            // A module that was not stored yet has no store of its own.
            let isNew = try own.store.module != nil && !StoreScopes.isThere(own)
            return try show(isNew ? [] : try snapshots(own), configuration)
        }
        var found: [StoredSnapshot] = []
        let round = StoreRound(configuration: configuration, style: .silent)
        let result = Result {
            try round.each(try StoreScopes.modules(configuration)) {
                found += try snapshots($0)
            }
        }
        // Those of the stores that could be read.
        found.sort { ($0.snapshot.time, $0.id) < ($1.snapshot.time, $1.id) }
        try show(found, configuration)
        try result.get()
    }

    private func snapshots(_ configuration: Configuration) throws -> [StoredSnapshot] {
        try StoreHandle.openForReading(configuration).during { handle in
            if let module { return try handle.store.snapshots(of: module) }
            return try handle.store.snapshots()
        }
    }

    private func show(_ found: [StoredSnapshot], _ configuration: Configuration) throws {
        if let module, found.isEmpty {
            // A wrong name is told from a module without snapshots.
            _ = try configuration.module(module)
        }
        if output.json {
            return try Print.out(JSON.document(Document(snapshots: found.map(item))))
        }
        guard !found.isEmpty else {
            return try Print.line(
                "no snapshots" + (module.map { " of module \($0)" } ?? "") + " yet")
        }
        try Print.out(table(found))
    }

    private func table(_ found: [StoredSnapshot]) -> String {
        var table = Table([
            .left("ID"), .left("TIME"), .left("MODULE"), .left("HOST"), .right("FILES"),
            .right("SIZE"), .right("ADDED"), .left("TAGS"),
        ])
        for stored in found {
            let snapshot = stored.snapshot
            let summary = snapshot.summary
            table.add([
                stored.id.short, Format.time(snapshot.time),
                snapshot.module ?? snapshot.paths.joined(separator: " "), snapshot.hostname,
                summary.map { Format.count(Int64(clamping: $0.totalFilesProcessed)) } ?? "-",
                summary.map { Format.bytes(Int64(clamping: $0.totalBytesProcessed)) } ?? "-",
                summary.map { Format.bytes(Int64(clamping: $0.dataAddedPacked)) } ?? "-",
                snapshot.tags.joined(separator: ","),
            ])
        }
        return table.text
    }

    private func item(_ stored: StoredSnapshot) -> Document.Item {
        let snapshot = stored.snapshot
        return Document.Item(
            id: stored.id.description, timeNs: Int64(clamping: snapshot.time.nanosecondsSinceEpoch),
            module: snapshot.module, hostname: snapshot.hostname, paths: snapshot.paths,
            tags: snapshot.tags, tree: snapshot.tree.description,
            parent: snapshot.parent?.description, files: snapshot.summary?.totalFilesProcessed,
            bytes: snapshot.summary?.totalBytesProcessed,
            addedBytes: snapshot.summary?.dataAddedPacked)
    }
}
