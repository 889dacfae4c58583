import Foundation
import TestSupport
import Testing

/// What has not changed costs nothing in the store.
@Suite(.temporaryFolder) struct UnchangedTests {
    @Test func unchangedModuleWritesNoPackAndNoTree() throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        try scene.fleet.cistern("run", "nightly")
        let packs = scene.fleet.objects("data")
        let index = scene.fleet.objects("index")
        let restic = try #require(Restic.all.first)
        let tree = try scene.fleet.rootTree(restic, "data")
        for pipeline in ["nightly", "verify"] {
            try scene.fleet.cistern("run", pipeline)
            #expect(scene.fleet.objects("data") == packs)
            #expect(scene.fleet.objects("index") == index)
            #expect(try scene.fleet.rootTree(restic, "data") == tree)
        }
        try scene.fleet.cistern("dehydrate", "data")
        #expect(scene.fleet.objects("data") == packs)
        #expect(try scene.fleet.rootTree(restic, "data") == tree)
    }

    /// A module whose state is lost gives the same tree again, from what the store has.
    @Test func rebuiltStateGivesTheSameTree() throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        try scene.fleet.cistern("run", "nightly")
        let restic = try #require(Restic.all.first)
        let tree = try scene.fleet.rootTree(restic, "data")
        let packs = scene.fleet.objects("data")
        try FileManager.default.removeItem(atPath: scene.fleet.state + "/modules/data.sqlite")
        try scene.fleet.cistern("state", "rebuild", "data")
        try scene.fleet.cistern("run", "nightly", "--fresh")
        #expect(try scene.fleet.rootTree(restic, "data") == tree)
        #expect(scene.fleet.objects("data") == packs)
    }

    @Test func oneChangedFileCostsOnePackOfEachKind() throws {
        let scene = try Scene { try $0.small($1, count: 2000) }
        try scene.fleet.cistern("run", "nightly")
        let before = scene.fleet.objects("data")
        try Data("changed".utf8).write(
            to: URL(fileURLWithPath: scene.module + "/000/03/f0000300.dat"))
        try scene.fleet.cistern("run", "nightly")
        #expect(scene.fleet.objects("data").subtracting(before).count == 2)
        let dehydrated = try UnitStream(scene.fleet.results("data", "dehydrate"))
        let new = dehydrated.units.filter { ($0.value["new_bytes"].integer ?? 0) > 0 }
        #expect(new.keys.sorted() == ["000/03/f0000300.dat"])
    }
}
