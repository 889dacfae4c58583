import ContentStore
import Foundation
import Platform
import TestSupport
import Testing

/// The removal of a whole repository: all of it and nothing else, and never content that nobody
/// could open and judge any more.
@Suite struct RepositoryRemovalTests {
    private func scene() throws -> GarbageScene {
        let scene = try GarbageScene()
        for i in 0..<6 { try scene.write("a", "f\(i)", noise(20_000, seed: UInt64(i))) }
        try scene.dehydrate("a")
        try scene.write("a", "f5", noise(20_000, seed: 50))
        try scene.dehydrate("a")
        return scene
    }

    private func remove(
        _ place: any Backend, confirmLock: () throws(Failure) -> Void = {}
    ) throws -> [String] {
        let removal = RepositoryRemoval(place)
        try removal.removeObjects(confirmLock: confirmLock)
        try removal.removeRest(now: SystemClock().now())
        return try removal.left()
    }

    @Test func everythingGoes() throws {
        let scene = try scene()
        #expect(try RepositoryRemoval.hasObjects(scene.memory))
        #expect(try RepositoryRemoval(scene.memory).left().count >= 4)
        #expect(try remove(scene.memory) == [])
        #expect(try !RepositoryRemoval.hasObjects(scene.memory))
        // Again: nothing to do.
        #expect(try remove(scene.memory) == [])
    }

    @Test func oldVersionsGo() throws {
        let scene = try scene()
        let place = VersionedMemory(scene.memory)
        let removal = RepositoryRemoval(place)
        try removal.removeObjects {}
        #expect(try removal.left().contains { $0.contains("old versions") })
        try removal.removeRest(now: SystemClock().now())
        #expect(try removal.left() == [])
        #expect(place.removedObjects.with { $0.isEmpty })
    }

    /// As long as there is content, the repository opens, so that the next one sees whose it is.
    @Test func deathAtEachChange() throws {
        var changes = 0
        while true {
            let scene = try scene()
            let died = (try? remove(ProcessBackend(scene.memory, dyingAfter: changes))) == nil
            if try RepositoryRemoval.hasObjects(scene.memory, [.snapshot, .index, .pack]) {
                let store = try scene.stranger()
                #expect(try store.snapshots().allSatisfy { $0.snapshot.paths == ["/a"] })
            }
            #expect(try remove(scene.memory) == [], "\(changes)")
            guard died else { break }
            changes += 1
        }
        print("removal of a repository: \(changes) changes")
        #expect(changes > 6)
    }

    @Test func nothingGoesWithoutTheLock() throws {
        let scene = try scene()
        let before = try scene.packs().all
        #expect(throws: Failure.self) {
            try remove(scene.memory) { () throws(Failure) in
                throw Failure(.locked, "the lock is lost")
            }
        }
        #expect(try scene.packs().all == before)
        #expect(try scene.lost() == [])
    }

    /// Folders of a repository go when they are empty, and nothing that is in them.
    @Test func foldersGoWhenEmpty() throws {
        let base = try TemporaryFolder()
        for name in ["empty", "foreign", "inside"] {
            _ = try FileBackend(path: base(name), create: true)
        }
        try Data().write(to: URL(fileURLWithPath: base("foreign/README")))
        try FileManager.default.createDirectory(
            atPath: base("inside/data/ab"), withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: base("inside/data/ab/mine")))
        #expect(try FileBackend.removeFolders(base("empty")) == [])
        #expect(try FileBackend.removeFolders(base("empty")) == [])
        #expect(try FileBackend.removeFolders(base("foreign")) == [base("foreign")])
        #expect(try FileBackend.removeFolders(base("inside")) == [base("inside/data")])
        let manager = FileManager.default
        #expect(
            try manager.contentsOfDirectory(atPath: base.path).sorted() == ["foreign", "inside"])
        #expect(try manager.contentsOfDirectory(atPath: base("foreign")) == ["README"])
        #expect(manager.fileExists(atPath: base("inside/data/ab/mine")))
    }
}

extension RepositoryRemoval {
    /// What is left, for people.
    fileprivate func left() throws -> [String] {
        var summary = ObliterationResult.Place(location: "")
        return try remains(&summary)
    }
}
