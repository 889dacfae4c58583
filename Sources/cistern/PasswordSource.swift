internal import ContentStore
internal import Dispatcher
internal import Platform

/// Where the store's password comes from.
enum PasswordSource: CustomStringConvertible {
    case file(String)
    case command([String])
    case environment

    static let variable = "CISTERN_PASSWORD"

    /// The command or the file that the configuration names, else $CISTERN_PASSWORD, else the file
    /// beside the state; of a module's own store the file in `keys` there.
    init(_ configuration: Configuration) {
        if let command = configuration.store.passwordCommand {
            self = .command(command)
        } else if let file = configuration.store.passwordFile {
            self = .file(file)
        } else if let module = configuration.store.module {
            self = .file("\(configuration.state)/keys/\(module).key")
        } else if Environment.variable(PasswordSource.variable) != nil {
            self = .environment
        } else {
            self = .file("\(configuration.state)/store.key")
        }
    }

    /// For people; without the password.
    var description: String {
        switch self {
        case .file(let path): path
        case .command(let command): "what `\(command.first ?? "")` prints"
        case .environment: "$\(PasswordSource.variable)"
        }
    }

    /// What opening a key has to cost that has a password of our own: nothing, since no guessing
    /// finds 256 random bits.
    static let randomCost = KeyFile.Cost(n: 16384, r: 8, p: 1)

    /// What opening the store's first key has to cost: passwords of files are our own, unless
    /// somebody put one there.
    var keyCost: KeyFile.Cost {
        if case .file = self { PasswordSource.randomCost } else { .standard }
    }

    /// The password.
    func read() throws(Failure) -> [UInt8] {
        switch self {
        case .file(let path): try PasswordFile.read(path)
        case .command(let command): try PasswordCommand.run(command)
        case .environment: Array((Environment.variable(PasswordSource.variable) ?? "").utf8)
        }
    }
}
