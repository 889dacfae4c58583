import ContentStore
import Dehydrator
import Foundation
import JobTable
import Manifest
import Platform
import Stages
import TestSupport
import Testing

/// State that is made anew from snapshots.
@Suite(.enabled(if: available("state from restic's snapshots", !Restic.all.isEmpty)))
struct RebuildTests {
    private func make(files: Int) throws -> ResticStore {
        try ResticStore(Restic.all[0]) { source in
            var corpus = Corpus(seed: 3)
            try corpus.small(source, count: files)
            let folder = try Descriptor.open(source, [.readOnly, .directory])
            try folder.makeSymlink(Array("link".utf8), to: Array("nowhere".utf8))
            // Comes behind `000/…` though it is before it bytewise.
            try folder.makeDirectory(Array("000-x".utf8), mode: 0o750)
        }
    }

    private func rebuild(
        _ store: Store, at path: String, fresh: Bool = false
    ) throws -> StateRebuildResult {
        try store.refresh(session: StoreSession.newName())
        let snapshot = fresh ? nil : try store.snapshot("latest")
        return try StateRebuild(module: "data", path: path, store: store).run(snapshot)
    }

    private func folder(_ restic: ResticStore) throws -> String {
        let folder = restic.folder("modules")
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        return folder
    }

    /// Every unit of the snapshot is there, in order, and nothing of the module has changed since.
    @Test func stateSaysWhatTheSnapshotHolds() throws {
        let restic = try make(files: 2500)
        let store = try restic.open()
        let path = try folder(restic) + "/data.sqlite"
        let result = try rebuild(store, at: path)
        #expect(result.old == nil)
        let state = try ModuleState(path: path, module: "data")
        let baseline = try #require(try state.baseline())
        #expect(baseline.snapshot == result.snapshot)
        #expect(baseline.storeID == store.id.description)
        #expect(try baseline.storeGeneration != store.index.generation())
        let info = try #require(try state.list(baseline.key))
        #expect(info.finished && info.units == result.units && info.chunks == 3)
        let units = try BaselineReader(state: state, key: baseline.key)
            .units(after: nil, upTo: nil)
        #expect(units.count == result.units)
        let files = try ModuleFiles(root: restic.source)
        var previous: [UInt8]?
        for unit in units {
            let path = unit.path
            #expect(previous.map { comparePaths($0, path) < 0 } ?? path.isEmpty)
            previous = path
            guard !path.isEmpty else { continue }
            let now = try #require(try files.unit(at: path), "\(printable(path))")
            #expect(now.isUnchanged(since: unit), "\(printable(path))")
            guard unit.metadata.kind == .file else { continue }
            let ids = try #require(unit.content).ids
            #expect(
                !ids.isEmpty && ids.allSatisfy { (try? store.index.contains($0, .data)) ?? false })
        }
        #expect(units.filter { $0.metadata.kind == .file }.count == 2500)
        #expect(units.contains { $0.target == Array("nowhere".utf8) })
    }

    @Test(arguments: [0, 100, 4096]) func damagedStateIsMovedAside(size: Int) throws {
        let restic = try make(files: 10)
        let store = try restic.open()
        let path = try folder(restic) + "/data.sqlite"
        let garbage = Data(repeating: 0x5A, count: size)
        for round in 0..<2 {
            try garbage.write(to: URL(fileURLWithPath: path))
            try garbage.write(to: URL(fileURLWithPath: path + "-wal"))
            // What a killed rebuild leaves.
            try garbage.write(to: URL(fileURLWithPath: path + ".rebuild"))
            let old = try #require(try rebuild(store, at: path).old, "round \(round)")
            #expect(old.hasPrefix(path + ".damaged-"))
            for suffix in ["", "-wal"] {
                #expect(try Data(contentsOf: URL(fileURLWithPath: old + suffix)) == garbage)
            }
            let state = try ModuleState(path: path, module: "data")
            #expect(try state.baseline() != nil)
            try state.close()
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder(restic))
        #expect(names.filter { $0.contains(".damaged-") && !$0.hasSuffix("-wal") }.count == 2)
        #expect(!names.contains { $0.contains(".rebuild") })
    }

    @Test func withoutASnapshotTheStateIsFresh() throws {
        let restic = try make(files: 1)
        let store = try restic.open()
        let path = try folder(restic) + "/data.sqlite"
        let result = try rebuild(store, at: path, fresh: true)
        #expect(result.snapshot == nil && result.units == 0 && result.old == nil)
        #expect(try ModuleState(path: path, module: "data").baseline() == nil)
    }

    /// Half a snapshot is no state: the old one stays, damaged as it is.
    @Test func unreadableSnapshotLeavesTheOldState() throws {
        let restic = try make(files: 200)
        let store = try restic.open()
        let path = try folder(restic) + "/data.sqlite"
        try Data("old".utf8).write(to: URL(fileURLWithPath: path))
        let pack = try restic.pack(.tree)
        let blob = pack.entries[0]
        try Damage.flipByte(pack.path, at: Int(blob.offset) + 20)
        let error = #expect(throws: Failure.self) {
            try rebuild(store, at: path)
        }
        #expect(error?.description.contains("--snapshot") ?? false, "\(String(describing: error))")
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("old".utf8))
        let names = try FileManager.default.contentsOfDirectory(atPath: folder(restic))
        #expect(names == ["data.sqlite"])
    }

    /// Where restic's snapshots of absolute paths, of relative ones and of the present folder have
    /// their directory.
    @Test(arguments: ["/", "source", "."]) func rootOfASnapshot(target: String) throws {
        let restic = try make(files: 3)
        if target != "/" {
            var command = restic.restic.command(
                ["backup", target], store: restic.path, passwordFile: restic.folder("key"))
            command.folder = target == "." ? restic.source : restic.folder.path
            try command.run().expect()
        }
        let store = try restic.open()
        try store.refresh(session: StoreSession.newName())
        let reader = BlobReader(store: store)
        let snapshot = try store.snapshot("latest").snapshot
        let root = try SnapshotRoot.find(snapshot, store: store, reader: reader)
        #expect((root.node == nil) == (target == "."))
        let cursor = try TreeCursor(root.subtree, reader: reader, store: store)
        var names: [String] = []
        while let node = try cursor.next() { names.append(printable(node.name)) }
        #expect(names == ["000", "000-x", "link"])
    }
}
