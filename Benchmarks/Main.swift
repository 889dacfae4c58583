internal import Foundation
internal import TestSupport

@main
struct Benchmarks {
    static func main() {
        do {
            try run(try Options(Array(CommandLine.arguments.dropFirst())))
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            exit(2)
        }
    }

    /// Measures what was asked for; a row that fails is named, and the others go on.
    private static func run(_ options: Options) throws {
        guard FileManager.default.isExecutableFile(atPath: Project.cistern) else {
            throw TestError("no program at \(Project.cistern): run make build first")
        }
        let workshop = try Workshop(options)
        let floor = try Command("true").run().peak
        print("\(options.runs) runs each, in turn; medians. Peaks below \(mebibytes(floor)) are")
        print("those of the measuring program.\(options.quick ? " Quick: small corpora." : "")\n")
        var lines: [[String]] = []
        var failures: [String] = []
        for row in Row.all where options.wants(row.name) {
            do {
                lines += try row.measure(workshop)
            } catch {
                failures.append("\(row.name): \(error)")
            }
        }
        if !lines.isEmpty { printTable(Row.header, lines) }
        let kinds = Memory.allCases.filter { options.wants($0.name) }
        if !kinds.isEmpty {
            do {
                if try !Memory.measure(kinds, workshop) {
                    failures.append("memory: over the limit")
                }
            } catch {
                failures.append("memory: \(error)")
            }
        }
        for failure in failures { print("\nFAILED \(failure)") }
        if !failures.isEmpty { throw TestError("\(failures.count) measurements failed") }
    }
}
