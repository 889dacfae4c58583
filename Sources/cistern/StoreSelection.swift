internal import ArgumentParser
internal import Dispatcher
internal import Platform

/// `--module`, for commands about the store as a whole: with `scope: module` there are many.
struct StoreSelection: ParsableArguments {
    @Option(
        name: .customLong("module"),
        help: ArgumentHelp(
            "With `scope: module`: only the store of this module, else of all.",
            valueName: "name"))
    var module: String?

    /// The one store that a command works on.
    ///
    /// - Throws: a `usage` failure when it takes a module to tell which one.
    func one(_ configuration: Configuration) throws(Failure) -> Configuration {
        try checkScope(configuration)
        guard configuration.store.scope == .module else { return configuration }
        guard let module else {
            throw Failure(
                .usage, "each module has a store of its own (`scope: module`)",
                hint: "--module NAME says which one is meant")
        }
        return try configuration.narrowed(to: module)
    }

    /// Calls `body` with the configuration of each store, as `StoreRound` does; of one that was
    /// asked for by name errors pass as they are.
    func each(
        _ configuration: Configuration, json: Bool, _ body: (Configuration) throws -> Void
    ) throws {
        try checkScope(configuration)
        if configuration.store.scope == .fleet || module != nil {
            return try body(try one(configuration))
        }
        try StoreRound(configuration: configuration, style: json ? .documents : .headings)
            .each(try StoreScopes.modules(configuration), body)
    }

    private func checkScope(_ configuration: Configuration) throws(Failure) {
        guard module != nil, configuration.store.scope == .fleet else { return }
        throw Failure(
            .usage, "--module is for stores of modules, and all modules share one store",
            hint: "`store: {scope: module}` in \(configuration.file) gives each its own")
    }
}

/// Goes over the stores of several modules, one after the other; one that fails does not stop the
/// others.
struct StoreRound {
    /// How it is told whose turn it is.
    enum Style {
        /// A line before what is printed of each store.
        case headings
        /// A JSON document of each store that failed; the others name the module themselves.
        case documents
        /// Failures alone are told, on standard error.
        case silent
    }

    private struct Failed: Encodable {
        var module: String
        var ok = false
        var error: String
    }

    let configuration: Configuration
    var style = Style.headings
    /// Whether stores that were not made yet are passed over.
    var onlyMade = true

    /// Calls `body` with the configuration narrowed to each of `modules`.
    ///
    /// - Throws: an exit code, that of the worst failure, when all had their turn. A stop that was
    ///   asked for, and output that nobody takes, end it at once.
    func each(_ modules: [String], _ body: (Configuration) throws -> Void) throws {
        try StoreScopes.check(configuration)
        var worst: Int32 = 0
        var turns = 0
        for module in modules {
            try Interruption.check()
            do {
                let own = try configuration.narrowed(to: module)
                guard try !onlyMade || StoreScopes.isThere(own) else { continue }
                turns += 1
                if style == .headings {
                    try Print.line("\(turns > 1 ? "\n" : "")module \(module):")
                }
                try body(own)
            } catch {
                if StoreRound.endsAll(error) { throw error }
                worst = StoreRound.worse(worst, Exit.code(of: error))
                guard !(error is ExitCode) else { continue }
                Print.note("module \(module): \(error)")
                if style == .documents {
                    try Print.out(JSON.line(Failed(module: module, error: "\(error)")))
                }
            }
        }
        if turns == 0 && worst == 0 { Print.note("no module has a store yet") }
        if worst != 0 { throw ExitCode(worst) }
    }

    private static func endsAll(_ error: any Error) -> Bool {
        if let failure = error as? Failure { return failure.kind == .cancelled }
        return (error as? SystemError)?.code == Errno.brokenPipe
    }

    /// The exit code that says more of what is wrong: what failed, then what is damaged, then what
    /// is locked.
    static func worse(_ one: Int32, _ other: Int32) -> Int32 {
        let order = [Exit.fatal, Exit.usage, Exit.partly, Exit.locked, Exit.truncated]
        return order.first { $0 == one || $0 == other } ?? max(one, other)
    }
}
