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
        func diesAt(_ place: CrashPlace) -> Bool {
            switch self {
            case .storeInit: true
            case .dehydrate: place.name.hasPrefix("state-file") || place.number == 1
            case .run:
                place.name.hasPrefix("state-file") || Beginning.creation.contains(place.name)
            }
        }

        private static let creation: Set = [
            "password-file-made", "store-folders-made", "store-key-put", "store-config-put",
            "index-copy-empty", "index-copy-filled",
        ]

        /// What it must come by, or the test is hollow.
        var names: Set<String> {
            let work: Set = [
                "state-file-filled", "state-file-named", "list-appended", "pack-uploaded",
                "index-put", "snapshot-durable",
            ]
            return self == .storeInit ? Beginning.creation : Beginning.creation.union(work)
        }
    }

    /// After a kill at any place the next command goes on by itself, and restic opens the store
    /// with the password file that was made.
    @Test(arguments: Beginning.allCases)
    func whatWasBegunIsFinished(beginning: Beginning) throws {
        let scene = try Scene { try $0.small($1, count: 30) }
        let start = scene.fleet
        let restic = try #require(Restic.all.first)
        let places = try start.copy(to: folder()("reference")).command(beginning.arguments)
            .crashPlaces(folder()("places"))
        #expect(beginning.names.subtracting(places.names) == [])
        for place in places where beginning.diesAt(place) {
            let fleet = try start.copy(to: folder()("trial"))
            defer { removeTree(fleet.folder) }
            let running = try fleet.command(beginning.arguments)
                .dying(at: place, once: fleet.folder + "/once").start()
            let killed = try running.wait()
            try running.waitForDescendants()
            // The dispatcher gives the job of a killed worker to another.
            let goesOn = beginning == .run && killed.status == .exited(0)
            #expect(goesOn || killed.status == .killed(signal: SIGKILL), "\(place): \(killed)")
            let next = try fleet.command(["dehydrate", "data"]).run()
            #expect(next.status == .exited(0), "\(place): \(next)")
            guard next.status == .exited(0) else { continue }
            #expect(fleet.objects("keys").count == 1, "\(place): a key was left over")
            let check = try fleet.restic(restic, "check")
            #expect(
                check.text.contains("no errors were found")
                    && !check.text.contains("not referenced"), "\(place): \(check)")
            let target = try folder()("copy")
            defer { removeTree(target) }
            try fleet.cistern("hydrate", "data", "--to", target)
            #expect(try TreeComparison.differences(scene.module, target) == [], "\(place)")
            #expect(fleet.objects("locks") == [], "\(place): a lock was left behind")
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
            let command = Command(Project.cistern, ["init", place])
            try command.die(at: CrashPlace("starter-file-written", number))
            try command.run().expect()
            #expect(Corpus.files(place) == files)
            for file in files {
                let text = try String(contentsOfFile: "\(place)/\(file)", encoding: .utf8)
                #expect(try text == String(contentsOfFile: "\(whole)/\(file)", encoding: .utf8))
            }
        }
    }
}
