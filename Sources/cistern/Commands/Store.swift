internal import ArgumentParser
internal import ContentStore
internal import Dispatcher
internal import Platform

/// `cistern store`: the store as a whole.
struct StoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store",
        abstract: "Make, describe and check the store.",
        discussion:
            "The store is a restic repository: restic reads it with the same password file.",
        subcommands: [
            StoreInit.self, StoreInfo.self, StoreCheckCommand.self, StoreMirror.self,
            StoreKeyCommand.self,
        ])
}

/// `cistern store init`: a new, empty store.
struct StoreInit: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make the configured store, and its password file when there is none.",
        discussion: """
            The first run does the same by itself. A store that is there is never touched, and one \
            that this state has worked with and that is gone is not made anew.
            """)

    @OptionGroup var selection: StoreSelection
    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    private struct Document: Encodable {
        var id: String
        var location: String
        var passwordFile: String?
    }

    func run() throws {
        let configuration = try config.load()
        guard configuration.store.scope == .module, selection.module == nil else {
            return try make(try selection.one(configuration))
        }
        let round = StoreRound(
            configuration: configuration, style: output.json ? .documents : .headings,
            onlyMade: false)
        try round.each(configuration.modules.map(\.name)) { own in
            if try StoreScopes.isThere(own) {
                Print.note("module \(own.store.module ?? "") has a store already")
            } else {
                try make(own)
            }
        }
    }

    private func make(_ configuration: Configuration) throws {
        try StoreScopes.check(configuration)
        try StoreScopes.checkAround(configuration)
        let backend = try StoreAccess.backend(configuration, creating: true)
        guard try !Store.exists(backend) else {
            throw Failure(
                .usage, "there is a store at \(backend.location) already",
                hint: "`cistern store info` describes it")
        }
        let handle = try StoreHandle.open(configuration, creating: true, asked: true)
        try handle.close()
        let document = Document(
            id: handle.store.id.description, location: backend.location,
            passwordFile: StoreAccess.passwordFile(configuration))
        if output.json {
            return try Print.out(JSON.document(document, of: configuration.store.module))
        }
        try Print.line("store \(handle.store.id.short) at \(backend.location)")
    }
}

/// `cistern store info`: what the store is and holds.
struct StoreInfo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info", abstract: "Tell what the store is and how much it holds.")

    @OptionGroup var selection: StoreSelection
    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    private struct Document: Encodable {
        var id: String
        var location: String
        var version: Int
        var passwordFile: String?
        var localIndex: String
        var snapshots: Int
        var indexFiles: Int
        var packs = 0
        var packsMissing = 0
        var packBytes: UInt64 = 0
        var blobs: Int
        var mirrors: [MirrorDocument] = []
    }

    func run() throws {
        try selection.each(try config.load(), json: output.json) { try tell($0) }
    }

    private func tell(_ configuration: Configuration) throws {
        var document = try StoreHandle.open(configuration).during {
            try describe($0.store, configuration)
        }
        let records = StoreMirrors.records(configuration)
        document.mirrors = records.map { MirrorDocument($0) }
        if output.json {
            return try Print.out(JSON.document(document, of: configuration.store.module))
        }
        let missing =
            document.packsMissing > 0
            ? " (\(Format.count(Int64(document.packsMissing))) more are missing)" : ""
        try Print.out(
            """
            store          \(document.id)
            at             \(document.location)
            format         restic repository, version \(document.version)
            password from  \(PasswordSource(configuration))
            local index    \(document.localIndex)
            snapshots      \(Format.count(Int64(document.snapshots)))
            packs          \(Format.count(Int64(document.packs - document.packsMissing))), \
            \(Format.bytes(Int64(clamping: document.packBytes)))\(missing)
            blobs          \(Format.count(Int64(document.blobs)))
            index files    \(Format.count(Int64(document.indexFiles)))

            """)
        for record in records {
            try Print.line("mirror         \(record.location): \(StoreMirrors.state(record))")
        }
    }

    private func describe(
        _ store: Store, _ configuration: Configuration
    ) throws -> Document {
        var document = Document(
            id: store.id.description, location: store.backend.location,
            version: store.configuration.version,
            passwordFile: StoreAccess.passwordFile(configuration), localIndex: store.index.path,
            snapshots: try store.snapshots().count,
            indexFiles: try store.index.knownIndexFiles().count,
            blobs: try store.index.counts().blobs)
        try store.index.packs { _, size, present in
            document.packs += 1
            if present { document.packBytes += size } else { document.packsMissing += 1 }
        }
        return document
    }
}
