import Checker
import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// A repository that a real restic made, opened as a store.
struct ResticStore {
    let folder: TemporaryFolder
    let restic: Restic
    var path: String { folder("store") }
    var source: String { folder("source") }

    /// Makes the repository and backs up what `fill` puts into the source.
    ///
    /// - Parameter version: of a repository that restic makes; its keys take a second each time
    ///   that they are used, so that nil makes one with a cheap key.
    init(
        _ restic: Restic, version: Int? = nil, _ fill: (_ source: String) throws -> Void
    ) throws {
        self.restic = restic
        folder = try TemporaryFolder("check")
        try "secret\n".write(toFile: folder("key"), atomically: true, encoding: .utf8)
        if let version {
            try run("init", "--repository-version", "\(version)")
        } else {
            try Store.create(
                on: try FileBackend(path: path, create: true), password: Array("secret".utf8),
                cost: KeyFile.Cost(n: 1024, r: 8, p: 1))
        }
        try FileManager.default.createDirectory(
            atPath: folder("source"), withIntermediateDirectories: true)
        try fill(source)
        try run("backup", source)
    }

    func run(_ arguments: String...) throws {
        try restic.command(arguments, store: path, passwordFile: folder("key")).run().expect()
    }

    /// Opens the store with a state of this name.
    func open(state: String = "state") throws -> Store {
        try Store(
            backend: try FileBackend(path: path), password: Array("secret".utf8),
            stateDirectory: folder(state))
    }

    /// Everything that a check finds.
    func check(
        readData: Bool, state: String = "state"
    ) throws -> (result: StoreCheckResult, problems: [StoreProblem]) {
        let found = Monitor<[StoreProblem]>([])
        let check = try StoreCheck(
            store: try open(state: state), session: StoreSession.newName(),
            options: StoreCheckOptions(readData: readData, threads: 2),
            report: { problem in found.with { $0.append(problem) } })
        let result = try check.run()
        let problems = found.with { $0 }
        #expect(result.problems == problems.filter { !$0.isNote }.count)
        return (result, problems)
    }

    /// The only object of a kind.
    func object(_ kind: ObjectKind) throws -> (id: Digest, path: String) {
        var ids: [Digest] = []
        try FileBackend(path: path).list(kind) { id, _ in ids.append(id) }
        let id = try #require(ids.first)
        #expect(ids.count == 1)
        return (id, "\(path)/\(ObjectKey(kind, id).path)")
    }

    /// The pack of blobs of a type, its file and its blobs in their order.
    func pack(
        _ type: BlobType, state: String = "other"
    ) throws -> (id: Digest, path: String, entries: [PackEntry]) {
        let store = try open(state: state)
        try store.refresh(session: StoreSession.newName())
        for pack in try store.index.packs(after: 0, limit: 100) {
            let entries = try store.index.entries(ofPack: pack.number)
            if entries.contains(where: { $0.type == type }) {
                return (pack.id, "\(path)/\(ObjectKey(.pack, pack.id).path)", entries)
            }
        }
        throw TestError("no pack of \(type)")
    }
}
