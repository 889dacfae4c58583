import Checker
import ContentStore
import Foundation
import JobTable
import Platform
import Repairer
import TestSupport
import Testing

/// A store with two snapshots of one module, and a mirror of it, both in folders.
///
/// Copies of one scene are damaged, each in its own way.
final class StoreScene: Sendable {
    static let password = Array("secret".utf8)

    let folder: TemporaryFolder
    var store: String { folder("store") }
    var mirror: String { folder("mirror") }
    var module: String { folder("module") }
    /// The clock of checks.
    let clock = TestClock()

    /// Makes the scene.
    init(files: Int = 12) throws {
        folder = try TemporaryFolder("scene")
        try FileManager.default.createDirectory(
            atPath: folder("module/sub"), withIntermediateDirectories: true)
        try Store.create(
            on: try FileBackend(path: store, create: true), password: StoreScene.password,
            cost: KeyFile.Cost(n: 1024, r: 8, p: 1))
        var corpus = Corpus(seed: 11)
        for i in 0..<files {
            try Data(corpus.noise(20_000 + i)).write(
                to: URL(fileURLWithPath: folder("module/sub/f\(i)")))
        }
        try Data(corpus.noise(3_000_000)).write(to: URL(fileURLWithPath: folder("module/big")))
        let bench = try Workbench(try FileBackend(path: store), in: folder)
        try bench.store("1")
        try Data(corpus.noise(50_000)).write(to: URL(fileURLWithPath: folder("module/new")))
        try bench.store("2")
        try bench.state.close()
        try Command("cp", ["-a", store, mirror]).run().expect()
        try Command("chmod", ["-R", "u+w", store, mirror]).run().expect()
        try "secret\n".write(toFile: folder("key"), atomically: true, encoding: .utf8)
    }

    /// A copy with the state of a store that was never checked.
    init(copy other: StoreScene) throws {
        folder = try TemporaryFolder("scene")
        try Command("cp", ["-a", other.store, other.mirror, other.module, folder.path])
            .run().expect()
        try "secret\n".write(toFile: folder("key"), atomically: true, encoding: .utf8)
    }

    func place(_ path: String) throws -> FileBackend { try FileBackend(path: path) }

    func open() throws -> Store {
        try Store(
            backend: try place(store), password: StoreScene.password,
            stateDirectory: folder("state"), clock: clock)
    }

    func state(_ path: String) throws -> ScrubState {
        try ScrubState(stateDirectory: folder("state"), location: "file:\(path)")
    }

    /// The objects of a kind: packs of trees first, then of data, each by size.
    func objects(_ kind: ObjectKind, in path: String? = nil) throws -> [ObjectKey] {
        guard kind != .config else { return [.config] }
        var found: [(ObjectKey, UInt64)] = []
        try place(path ?? store).list(kind) { id, size in
            found.append((ObjectKey(kind, id), size))
        }
        return found.sorted { ($0.1, $0.0.path) < ($1.1, $1.0.path) }.map(\.0)
    }

    // MARK: Checks

    struct Found {
        var result = StoreCheckResult()
        var problems: [StoreProblem] = []
        var damage: [StoreProblem] { problems.filter { !$0.isNote } }
        var isHealthy: Bool { damage.isEmpty }
    }

    /// A check of the store, and of the mirror too.
    func check(
        _ level: ScrubLevel?, mirror withMirror: Bool = false, scrub: ScrubOptions? = nil
    ) throws -> Found {
        let problems = Monitor<[StoreProblem]>([])
        let options =
            scrub ?? ScrubOptions(selection: ScrubSelection(level: level ?? .deep), threads: 2)
        var found = Found()
        if level == .sum {
            for path in withMirror ? [store, mirror] : [store] {
                let check = PlaceCheck(
                    sumsAt: try place(path), isMirror: path == mirror, state: try state(path),
                    options: options, clock: clock)
                let report = try check.run(
                    deadline: options.deadline, progress: { _, _ in },
                    report: { problem in problems.with { $0.append(problem) } })
                found.result.places.append(report)
            }
        } else {
            let store = try open()
            let session = StoreSession.newName()
            let lock = try store.lock(session: session)
            let check = try StoreCheck(
                store: store, session: session,
                options: StoreCheckOptions(level: level, scrub: options),
                state: try state(self.store),
                mirrors: withMirror ? [try place(mirror)] : [],
                report: { problem in problems.with { $0.append(problem) } })
            found.result = try check.run()
            if withMirror && level == .deep {
                let report = try PlaceCheck(
                    mirror: try place(mirror), of: store, state: try state(mirror),
                    options: options
                ).run(
                    deadline: nil, progress: { _, _ in },
                    report: { problem in problems.with { $0.append(problem) } })
                found.result.places.append(report)
            }
            try lock.release()
        }
        found.problems = problems.with { $0 }
        return found
    }

    /// What the program does for --repair: what is needed to open, a check, and the repair.
    ///
    /// - Parameter afterCheck: what others do before the repair begins.
    func repair(
        mirror withMirror: Bool, live: Bool = false, directories: [String] = [],
        sources: [Store] = [], dryRun: Bool = false, restoresRemoved: Bool = false,
        mends: Bool = true, afterCheck: () throws -> Void = {}
    ) throws -> [StoreRepairEvent] {
        var places: [any Backend] = [try place(store)]
        if withMirror { places.append(try place(mirror)) }
        var events: [StoreRepairEvent] = []
        if mends {
            events = try mendOpening(
                mirror: withMirror, dryRun: dryRun, restoresRemoved: restoresRemoved)
        }
        _ = try check(.deep, mirror: withMirror)
        try afterCheck()
        let store = try open()
        let session = StoreSession.newName()
        let lock = try store.lock(session: session)
        try store.refresh(session: session) { _, _ in }
        let repair = try StoreRepair(
            store: store,
            session: StoreSession(
                store: store, confirmLock: { () throws(Failure) in try lock.check() }),
            name: session,
            places: [
                StorePlace(places[0], try state(self.store))
            ] + (withMirror ? [StorePlace(places[1], try state(mirror))] : []),
            options: StoreRepairOptions(
                dryRun: dryRun, restoresRemoved: restoresRemoved,
                modules: live ? ["m": module] : [:], directories: directories,
                sources: sources),
            report: { events.append($0) })
        _ = try repair.run()
        try lock.release()
        return events
    }

    /// What is needed to open the store.
    func mendOpening(
        mirror withMirror: Bool, dryRun: Bool = false, restoresRemoved: Bool = false
    ) throws -> [StoreRepairEvent] {
        var events: [StoreRepairEvent] = []
        try StoreOpening(
            places: try (withMirror ? [store, mirror] : [store]).map { try place($0) },
            password: StoreScene.password, stateDirectory: folder("state"), dryRun: dryRun,
            restoresRemoved: restoresRemoved, report: { events.append($0) }
        ).mend()
        return events
    }

    /// Whether restic finds nothing wrong in all of the store.
    func resticAgrees() throws -> Bool {
        guard let restic = Restic.installed else { return true }
        return try restic.command(
            ["check", "--read-data"], store: store, passwordFile: folder("key")
        ).run().status == .exited(0)
    }

    /// The module as the newest snapshot gives it back, compared with its files.
    func restores() throws -> Bool {
        let fresh = try Store(
            backend: try place(store), password: StoreScene.password,
            stateDirectory: folder("fresh-\(UInt64.random(in: .min ... .max))"))
        try fresh.refresh(session: StoreSession.newName())
        var isWhole = true
        try DamagedContent(store: fresh).find { _ in isWhole = false }
        return isWhole
    }

    /// Everything that lies in the store, or in another place, with its bytes.
    func contents(of path: String? = nil) throws -> [String: Data] {
        let path = path ?? store
        var result: [String: Data] = [:]
        for kind in ObjectKind.checked {
            for key in try objects(kind, in: path) {
                result[key.path] = FileManager.default.contents(atPath: "\(path)/\(key.path)")
            }
        }
        return result
    }
}

/// A clock that a test sets.
final class TestClock: WallClock {
    private let time = Monitor(Timestamp(seconds: 1_800_000_000))

    func now() -> Timestamp { time.with { $0 } }

    func advance(_ seconds: Int64) { time.with { $0.seconds += seconds } }
}

/// Ways to damage an object of a store.
enum ObjectDamage: CaseIterable {
    case flip, truncate, empty, missing, swap, duplicate, garbage

    /// Damages the first of `objects` in the store at `path`.
    func apply(to objects: [ObjectKey], at path: String) throws {
        let file = URL(fileURLWithPath: "\(path)/\(objects[0].path)")
        let bytes = [UInt8](try Data(contentsOf: file))
        switch self {
        case .flip:
            var bytes = bytes
            bytes[bytes.count / 2] ^= 1
            try Data(bytes).write(to: file)
        case .truncate: try Data(bytes.prefix(bytes.count / 2)).write(to: file)
        case .empty: try Data().write(to: file)
        case .missing: try FileManager.default.removeItem(at: file)
        case .swap:
            guard objects.count > 1 else {
                // There is one alone: another repository's.
                try Data(bytes.reversed()).write(to: file)
                return
            }
            let other = URL(fileURLWithPath: "\(path)/\(objects[1].path)")
            try Data(contentsOf: other).write(to: file)
            try Data(bytes).write(to: other)
        case .duplicate:
            let salted = bytes + [1]
            let key = ObjectKey(objects[0].kind, SHA256Hasher.hash(salted.span))
            let copy = URL(fileURLWithPath: "\(path)/\(key.path)")
            try FileManager.default.createDirectory(
                at: copy.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(bytes).write(to: copy)
        case .garbage: try Data(bytes + Array("garbage".utf8)).write(to: file)
        }
    }
}
