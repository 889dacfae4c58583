internal import Foundation

/// A place between two durable steps where a program can be made to die: a `CrashPoint`, reached
/// for the `number`-th time.
package struct CrashPlace: Sendable, Hashable, CustomStringConvertible {
    package var name: String
    /// From 1.
    package var number: Int

    package init(_ name: String, _ number: Int = 1) {
        self.name = name
        self.number = number
    }

    /// As the program writes it: `name:number`.
    package var description: String { "\(name):\(number)" }

    /// The places in the file that `Command.noting` named, each once, in the order they were first
    /// reached.
    package static func read(_ log: String) throws -> [CrashPlace] {
        var seen: Set<Substring> = []
        return try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
            .filter { seen.insert($0).inserted }
            .map { line in
                let parts = line.split(separator: ":")
                guard parts.count == 2, let number = Int(parts[1]) else {
                    throw TestError("\(log) has a line that is no crash point: \(line)")
                }
                return CrashPlace(String(parts[0]), number)
            }
    }
}

extension [CrashPlace] {
    /// What is reached, however often.
    package var names: Set<String> { Set(map(\.name)) }

    /// Of each name the first and the last place, for programs that come by very many.
    package var firstAndLast: [CrashPlace] {
        var ends: [String: (first: Int, last: Int)] = [:]
        for (index, place) in enumerated() {
            ends[place.name] = (ends[place.name]?.first ?? index, index)
        }
        return enumerated().filter { index, place in
            ends[place.name].map { $0.first == index || $0.last == index } ?? false
        }.map(\.element)
    }
}

extension Command {
    /// The same, appending the places it comes by to the file `log`.
    package func noting(_ log: String) -> Command {
        var command = self
        command.environment["CISTERN_CRASH_LOG"] = log
        return command
    }

    /// The same, dying at `place`; of several processes each, or only the first when all are given
    /// the path `once` of a file that is not there yet.
    package func dying(at place: CrashPlace, once: String? = nil) -> Command {
        var command = self
        command.environment["CISTERN_CRASH_AT"] = place.description
        if let once { command.environment["CISTERN_CRASH_ONCE"] = once }
        return command
    }

    /// Runs to a good end and gives the places it came by.
    ///
    /// - Parameter log: a file that is not there yet.
    package func crashPlaces(_ log: String) throws -> [CrashPlace] {
        try noting(log).run().expect()
        return try CrashPlace.read(log)
    }

    /// Runs until it dies at `place`; an error when it does not.
    package func die(at place: CrashPlace) throws {
        let result = try dying(at: place).run()
        guard result.status == .killed(signal: SIGKILL) else {
            throw TestError("it was to die at \(place):\n\(result)")
        }
    }
}

extension Fleet {
    /// Lets a command die at each place it comes by, each time in a copy of this fleet, and hands
    /// the copy on.
    ///
    /// - Parameters:
    ///   - folder: where the copies are made; each goes when `then` is through with it.
    ///   - chosen: at which of the places it is to die.
    ///   - undisturbed: looks at the copy where the command had its good end.
    /// - Returns: all places that the undisturbed command came by.
    @discardableResult
    package func dieEverywhere(
        _ arguments: [String], in folder: TemporaryFolder,
        at chosen: ([CrashPlace]) -> [CrashPlace] = { $0 },
        undisturbed: (Fleet) throws -> Void = { _ in },
        then: (Fleet, CrashPlace) throws -> Void
    ) throws -> [CrashPlace] {
        func copied<Value>(_ body: (Fleet) throws -> Value) throws -> Value {
            let fleet = try copy(to: folder("trial"))
            defer { removeTree(fleet.folder) }
            return try body(fleet)
        }
        let log = folder("crash-places")
        try? FileManager.default.removeItem(atPath: log)
        let places = try copied { fleet in
            let places = try fleet.command(arguments).crashPlaces(log)
            try undisturbed(fleet)
            return places
        }
        for place in chosen(places) {
            try copied { fleet in
                try fleet.command(arguments).die(at: place)
                try then(fleet, place)
            }
        }
        return places
    }
}
