internal import ArgumentParser
internal import ContentStore
internal import Dispatcher
internal import Platform

/// `cistern store key`: the passwords of the store.
struct StoreKeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "List, add and remove the passwords of the store.",
        discussion: """
            Each key file holds the same master key, sealed with a password of its own; restic \
            uses the same ones. Passwords are never arguments: they come from files, from \
            $CISTERN_NEW_PASSWORD, or are made.
            """,
        subcommands: [KeyList.self, KeyAdd.self, KeyRemove.self, KeyPasswd.self])
}

/// What the key commands work on.
private struct OpenKeys {
    let store: Store
    let keys: StoreKeys
    let lock: RepositoryLock

    /// Opens the store and its keys under a lock, and gives the lock back after `body`.
    static func with(
        _ configuration: Configuration, exclusive: Bool, _ body: (OpenKeys) throws -> Void
    ) throws {
        let password = try StoreAccess.password(configuration, creating: false)
        let store = try Store(
            backend: try StoreAccess.backend(configuration, creating: false),
            mirrors: try StoreMirrors.all(configuration), password: password,
            stateDirectory: configuration.storeState)
        let lock = try store.lock(session: StoreSession.newName(), exclusive: exclusive)
        try lock.during {
            try body(
                OpenKeys(
                    store: store, keys: try StoreKeys(of: store, password: password), lock: lock))
        }
    }
}

/// Where a new password comes from.
struct NewPasswordOptions: ParsableArguments {
    private static let variable = "CISTERN_NEW_PASSWORD"

    @Option(
        help: ArgumentHelp(
            "The file with the new password, of mode 0600.",
            discussion: "Else $CISTERN_NEW_PASSWORD.", valueName: "file"))
    var newPasswordFile: String?

    /// The password that is given; nil when none is.
    func given() throws(Failure) -> [UInt8]? {
        if let newPasswordFile { return try PasswordFile.read(newPasswordFile) }
        return Environment.variable(NewPasswordOptions.variable).map { Array($0.utf8) }
    }
}

/// `cistern store key list`.
struct KeyList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the keys of the store, the oldest first.")

    @OptionGroup var selection: StoreSelection
    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    private struct Document: Encodable {
        struct Key: Encodable {
            var id: String
            var current: Bool
            var createdNs: Int64?
            var user: String?
            var host: String?
            var damage: String?
        }
        var keys: [Key]
    }

    func run() throws {
        try selection.each(try config.load(), json: output.json) { try list($0) }
    }

    private func list(_ configuration: Configuration) throws {
        var found: [StoredKey] = []
        try OpenKeys.with(configuration, exclusive: false) { found = try $0.keys.list() }
        if output.json {
            let keys = found.map { key in
                Document.Key(
                    id: key.id.description, current: key.isCurrent,
                    createdNs: key.label?.created.map {
                        Int64(clamping: $0.nanosecondsSinceEpoch)
                    },
                    user: key.label?.user, host: key.label?.host, damage: key.damage)
            }
            return try Print.out(
                JSON.document(Document(keys: keys), of: configuration.store.module))
        }
        var table = Table([
            .left("ID"), .left("CREATED"), .left("USER"), .left("HOST"), .left("NOTE"),
        ])
        for key in found {
            table.add([
                key.id.short, key.label?.created.map(Format.time) ?? "-", key.label?.user ?? "-",
                key.label?.host ?? "-",
                key.isCurrent ? "in use" : key.damage.map { "damaged: \($0)" } ?? "",
            ])
        }
        try Print.out(table.text)
    }
}

/// `cistern store key add`.
struct KeyAdd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Let one more password open the store.",
        discussion: """
            A file that is named and not there is made, with a random password. Its copy belongs \
            somewhere else than this machine.
            """)

    @OptionGroup var password: NewPasswordOptions
    @Option(help: "For whom the key is, for the list.")
    var user = "cistern"
    @Option(help: "For which host the key is, for the list.")
    var host: String?

    @OptionGroup var selection: StoreSelection
    @OptionGroup var config: ConfigOptions
    @OptionGroup var output: OutputOptions

    private struct Document: Encodable {
        var id: String
        var passwordFile: String?
    }

    func run() throws {
        let configuration = try selection.one(try config.load())
        try OpenKeys.with(configuration, exclusive: false) { open in
            let (bytes, isMade) = try newPassword()
            let id = try open.keys.add(
                bytes, cost: isMade ? PasswordSource.randomCost : .standard,
                created: SystemClock().now(), host: host ?? ProcessIdentity.hostName, user: user)
            if output.json {
                return try Print.out(
                    JSON.document(
                        Document(
                            id: id.description,
                            passwordFile: isMade ? password.newPasswordFile : nil)))
            }
            try Print.line("key \(id.short) added")
            if isMade, let file = password.newPasswordFile {
                try Print.line("its password is in \(file)")
            }
        }
    }

    /// The new password, and whether it was made here.
    private func newPassword() throws(Failure) -> ([UInt8], Bool) {
        if let file = password.newPasswordFile, Path.kind(file) == nil {
            let made = try PasswordFile.create(file)
            CrashPoint.reached("new-password-made")
            return (made, true)
        }
        guard let given = try password.given() else {
            throw Failure(
                .usage, "no new password",
                hint: "Name a file with --new-password-file (it is made when it is not there), or "
                    + "set CISTERN_NEW_PASSWORD")
        }
        return (given, false)
    }
}

/// `cistern store key remove`.
struct KeyRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Let a password open the store no more.",
        discussion: """
            The key in use stays. Who had the password and a copy of the key file can still open \
            the store with it: the master key stays the same.
            """)

    @Argument(help: "The key's id or its beginning.")
    var id: String

    @OptionGroup var selection: StoreSelection
    @OptionGroup var config: ConfigOptions

    func run() throws {
        let configuration = try selection.one(try config.load())
        try OpenKeys.with(configuration, exclusive: true) { open in
            let id = try open.keys.key(id)
            try open.lock.check()
            try open.keys.remove(id)
            try Print.line("key \(id.short) removed")
        }
    }
}

/// `cistern store key passwd`.
struct KeyPasswd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "passwd", abstract: "Change the password in the store's password file.",
        discussion: """
            Without a new one a random one is made. The new password opens the store before the \
            old one goes; killed at any moment, the file opens the store, and the next passwd \
            goes on. Other hosts with a copy of the file need a new copy.
            """)

    @OptionGroup var password: NewPasswordOptions
    @OptionGroup var selection: StoreSelection
    @OptionGroup var config: ConfigOptions

    func run() throws {
        let configuration = try selection.one(try config.load())
        guard let file = StoreAccess.passwordFile(configuration) else {
            throw Failure(
                .usage,
                "the store's password is \(PasswordSource(configuration)), which cannot be changed "
                    + "from here",
                hint: "`cistern store key add`, then change it at its source, then "
                    + "`cistern store key remove`")
        }
        let new = try password.given()
        try OpenKeys.with(configuration, exclusive: true) { open in
            try open.lock.check()
            let change = PasswordChange(store: open.store, file: file)
            switch try change.run(
                to: new, cost: .standard, randomCost: PasswordSource.randomCost)
            {
            case .changed(let old, let key):
                try Print.line("key \(key.short) in the place of \(old.short)")
            case .finished(let key):
                try Print.line(
                    "key \(key.short): an earlier change was cut off and is complete now")
            }
            try Print.line("the password is in \(file): keep a copy elsewhere")
        }
    }
}
