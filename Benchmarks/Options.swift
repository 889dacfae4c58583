internal import TestSupport

/// What was asked for on the command line.
struct Options {
    /// Parts of the names of the rows to run; all when empty.
    var only: [String] = []
    /// Small corpora, for a look rather than a measurement.
    var quick = false
    /// Runs of each contestant in a row.
    var runs = 5

    private static let names = Row.all.map(\.name) + Memory.allCases.map(\.name)

    static let usage = """
        usage: Benchmarks [--only NAME]… [--quick] [--runs N]

        Rows: \(names.joined(separator: ", ")).
        NAME is a row's name or a part of it. The corpora are made in CISTERN_TEST_FOLDER or /var/tmp, which
        should be a disk with 40 GB free (4 GB with --quick), and removed at the end.
        """

    /// Parses the arguments after the program's name; throws the usage for anything unknown.
    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--quick": quick = true
            case "--only":
                guard let name = rest.popFirst() else { throw TestError(Options.usage) }
                only.append(name)
            case "--runs":
                guard let n = rest.popFirst().flatMap({ Int($0) }), n > 0 else {
                    throw TestError(Options.usage)
                }
                runs = n
            default: throw TestError(Options.usage)
            }
        }
        for name in only
        where !Options.names.contains(where: { $0.contains(name) }) {
            throw TestError("no row is called \(name)\n\(Options.usage)")
        }
    }

    func wants(_ name: String) -> Bool {
        only.isEmpty
            || only.contains { Options.names.contains($0) ? name == $0 : name.contains($0) }
    }
}
