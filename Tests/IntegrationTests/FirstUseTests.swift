import Foundation
import Platform
import TestSupport
import Testing

/// kill -9 while store and state are made for the first time.
@Suite(.temporaryFolder) struct FirstUseTests {
    /// What somebody may begin with.
    enum Beginning: CaseIterable {
        case storeInit, dehydrate, run

        var arguments: [String] {
            switch self {
            case .storeInit: ["store", "init"]
            case .dehydrate: ["dehydrate", "data"]
            case .run: ["run", "nightly"]
            }
        }

        /// Whether it is to die at this point: at each of them once, by one of these beginnings or
        /// another; the steps of every run have tests of their own.
        func diesAt(_ point: String) -> Bool {
            let name = String(point.prefix { $0 != ":" })
            switch self {
            case .storeInit: return true
            case .dehydrate: return name.hasPrefix("state-file") || point.hasSuffix(":1")
            case .run: return name.hasPrefix("state-file") || Beginning.creation.contains(name)
            }
        }

        private static let creation: Set = [
            "password-file-made", "store-folders-made", "store-key-put", "store-config-put",
            "index-copy-empty", "index-copy-filled",
        ]

        /// Points that it must come by, or the test is hollow.
        var points: Set<String> {
            let work: Set = [
                "state-file-filled", "state-file-named", "list-appended", "pack-uploaded",
                "index-put", "snapshot-durable",
            ]
            return self == .storeInit ? Beginning.creation : Beginning.creation.union(work)
        }
    }

    /// The points that a command reaches, each `name:count`.
    private func points(_ command: Command) throws -> [String] {
        let log = try folder()("points")
        var command = command
        command.environment["CISTERN_CRASH_LOG"] = log
        try command.run().expect()
        let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
        return lines.map(String.init).reduce(into: []) { all, point in
            if !all.contains(point) { all.append(point) }
        }
    }

    /// After a kill at any point the next command goes on by itself, and restic opens the store
    /// with the password file that was made.
    @Test(arguments: Beginning.allCases)
    func whatWasBegunIsFinished(beginning: Beginning) throws {
        let scene = try Scene { try $0.small($1, count: 30) }
        let start = scene.fleet
        let restic = try #require(Restic.all.first)
        let points = try points(start.copy(to: folder()("reference")).command(beginning.arguments))
        let names = Set(points.map { String($0.prefix { $0 != ":" }) })
        #expect(beginning.points.subtracting(names) == [])
        for point in points where beginning.diesAt(point) {
            let fleet = try start.copy(to: folder()("trial"))
            defer { removeTree(fleet.folder) }
            var command = fleet.command(beginning.arguments)
            command.environment["CISTERN_CRASH_AT"] = point
            command.environment["CISTERN_CRASH_ONCE"] = fleet.folder + "/once"
            let running = try command.start()
            let killed = try running.wait()
            try running.waitForDescendants()
            // The dispatcher gives the job of a killed worker to another.
            let goesOn = beginning == .run && killed.status == .exited(0)
            #expect(goesOn || killed.status == .killed(signal: SIGKILL), "\(point): \(killed)")
            let next = try fleet.command(["dehydrate", "data"]).run()
            #expect(next.status == .exited(0), "\(point): \(next)")
            guard next.status == .exited(0) else { continue }
            #expect(fleet.objects("keys").count == 1, "\(point): a key was left over")
            let check = try fleet.restic(restic, "check")
            #expect(
                check.text.contains("no errors were found")
                    && !check.text.contains("not referenced"), "\(point): \(check)")
            let target = try folder()("copy")
            defer { removeTree(target) }
            try fleet.cistern("hydrate", "data", "--to", target)
            #expect(try TreeComparison.differences(scene.module, target) == [], "\(point)")
            #expect(fleet.objects("locks") == [], "\(point): a lock was left behind")
        }
    }

    /// `cistern init` goes on where it was, and writes over nothing.
    @Test func theStarterIsFinished() throws {
        let whole = try folder()("whole")
        try Command(Project.cistern, ["init", whole]).run().expect()
        let files = Corpus.files(whole)
        #expect(files.count == 3)
        for number in 1...3 {
            let place = try folder()("place\(number)")
            var command = Command(Project.cistern, ["init", place])
            command.environment["CISTERN_CRASH_AT"] = "starter-file-written:\(number)"
            #expect(try command.run().status == .killed(signal: SIGKILL))
            try Command(Project.cistern, ["init", place]).run().expect()
            #expect(Corpus.files(place) == files)
            for file in files {
                let text = try String(contentsOfFile: "\(place)/\(file)", encoding: .utf8)
                #expect(try text == String(contentsOfFile: "\(whole)/\(file)", encoding: .utf8))
            }
        }
    }
}
