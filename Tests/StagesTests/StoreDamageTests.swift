import Checker
import ContentStore
import Foundation
import Platform
import Repairer
import StoreTestSupport
import TestSupport
import Testing

/// Each kind of object, damaged in each way, with each kind of help: found at the level that
/// finds it, mended where somebody has a good copy, and nothing removed where nobody has.
@Suite struct StoreDamageTests {
    enum Kind: CaseIterable { case config, key, index, snapshot, treePack, dataPack }
    enum Help: CaseIterable { case mirror, damagedMirror, none, liveFile }

    private static let scene = Result { try StoreScene() }

    private func objects(_ kind: Kind, _ scene: StoreScene) throws -> [ObjectKey] {
        switch kind {
        case .config: try scene.objects(.config)
        case .key: try scene.objects(.key)
        case .index: try scene.objects(.index)
        case .snapshot: try scene.objects(.snapshot)
        // Two packs of trees, then the new file's, then the rest.
        case .treePack: Array(try scene.objects(.pack).prefix(2))
        case .dataPack: Array(try scene.objects(.pack).dropFirst(2))
        }
    }

    /// Whether somebody has what was damaged.
    private func isMendable(_ kind: Kind, _ damage: ObjectDamage, _ help: Help) -> Bool {
        if damage == .duplicate || help == .mirror { return true }
        switch kind {
        // By the packs' headers.
        case .index: return true
        case .dataPack: return help == .liveFile || damage == .garbage || damage == .swap
        case .treePack: return damage == .garbage || damage == .swap
        case .snapshot: return damage == .swap || damage == .missing
        case .config, .key: return false
        }
    }

    @Test(arguments: Kind.allCases, ObjectDamage.allCases)
    func damage(kind: Kind, damage: ObjectDamage) throws {
        if kind == .config && damage == .duplicate { return }
        for help in Help.allCases { try attempt(kind, damage, help) }
    }

    private func attempt(_ kind: Kind, _ damage: ObjectDamage, _ help: Help) throws {
        let comment: Comment = "\(kind) \(damage) \(help)"
        let scene = try StoreScene(copy: try StoreDamageTests.scene.get())
        let hasMirror = help == .mirror || help == .damagedMirror
        let clean = try scene.check(.deep, mirror: hasMirror)
        #expect(clean.isHealthy, "\(comment): \(clean.problems)")
        let objects = try objects(kind, scene)
        try damage.apply(to: objects, at: scene.store)
        if help == .damagedMirror { try damage.apply(to: objects, at: scene.mirror) }
        let broken = try scene.contents()
        try find(kind, damage, help, scene, comment)

        let events = Result {
            try scene.repair(
                mirror: hasMirror, live: help == .liveFile, restoresRemoved: damage == .missing)
        }
        guard isMendable(kind, damage, help) else {
            // Whoever cannot mend leaves everything where it was; new things may come.
            let now = try scene.contents()
            let gone = broken.filter { now[$0.key] != $0.value && $0.key.hasPrefix("data/") }
            let isSalvaged = gone.isEmpty || (try? scene.check(.deep).isHealthy) == true
            #expect(isSalvaged, "\(comment): \(gone.keys)")
            let after = Result { try scene.check(.deep, mirror: hasMirror) }
            if case .success(let found) = after { #expect(!found.isHealthy, "\(comment)") }
            return
        }
        _ = try events.get()
        let after = try scene.check(.deep, mirror: hasMirror)
        #expect(after.isHealthy, "\(comment): \(after.damage)\n\(events)")
        #expect(try scene.restores(), comment)
        if help == .mirror || kind == .dataPack {
            #expect(try scene.resticAgrees(), comment)
        }
    }

    /// Found by reading names, or by the check with the key, as documented.
    private func find(
        _ kind: Kind, _ damage: ObjectDamage, _ help: Help, _ scene: StoreScene,
        _ comment: Comment
    ) throws {
        let hasMirror = help == .mirror || help == .damagedMirror
        let sums = try scene.check(.sum, mirror: hasMirror)
        if damage == .missing && kind != .config {
            // Only who knows what refers to it can miss it.
            #expect(sums.isHealthy, "\(comment): \(sums.problems)")
        } else {
            #expect(!sums.isHealthy, "\(comment): names")
        }
        let deep = Result { try scene.check(.deep, mirror: hasMirror) }
        switch deep {
        case .failure: #expect(kind == .config || kind == .key, "\(comment): \(deep)")
        case .success(let found):
            // It may have been forgotten on purpose; a mirror that has it is worth a note.
            let isNote = damage == .missing && kind == .snapshot
            #expect(found.isHealthy == isNote, "\(comment): \(found.problems)")
            if isNote {
                let ids = found.problems.filter { $0.kind == .snapshot }.map(\.id)
                #expect(ids.count == (help == .mirror ? 1 : 0), "\(comment): \(found.problems)")
            }
        }
    }

    /// A plan tells what the repair will do, and does nothing.
    @Test(arguments: [ObjectDamage.flip, .missing, .truncate])
    func planChangesNothing(damage: ObjectDamage) throws {
        for kind in [Kind.index, .snapshot, .treePack, .dataPack] {
            let scene = try StoreScene(copy: try StoreDamageTests.scene.get())
            _ = try scene.check(.deep, mirror: true)
            try damage.apply(to: objects(kind, scene), at: scene.store)
            let broken = try scene.contents()
            let plan = try scene.repair(
                mirror: true, live: true, dryRun: true, restoresRemoved: true)
            #expect(try scene.contents() == broken, "\(kind)")
            #expect(!plan.isEmpty && plan.allSatisfy(\.isPlan), "\(kind): \(plan)")
        }
    }

    /// Content from a directory of restored files, and from another repository with another key.
    @Test(arguments: [false, true]) func contentFromElsewhere(fromStore: Bool) throws {
        let scene = try StoreScene(copy: try StoreDamageTests.scene.get())
        let packs = try objects(.dataPack, scene)
        // Stores cut large files in ways of their own: only whole files have the same blobs.
        for pack in fromStore ? Array(packs.prefix(1)) : packs {
            try ObjectDamage.missing.apply(to: [pack], at: scene.store)
        }
        var sources: [Store] = []
        if fromStore {
            let other = try Workbench(MemoryBackend(), in: scene.folder, state: "other")
            try other.store("1")
            sources.append(other.store)
        }
        let events = try scene.repair(
            mirror: false, directories: fromStore ? [] : [scene.module], sources: sources)
        #expect(events.contains { $0.action == .stored }, "\(events)")
        #expect(try scene.check(.deep).isHealthy)
        #expect(try scene.resticAgrees())
    }

    /// Every byte of a pack is covered by what a deep check proves.
    @Test func everyByteOfAPackIsProven() throws {
        let scene = try StoreScene(copy: try StoreDamageTests.scene.get())
        let key = try objects(.treePack, scene)[0]
        let id = try #require(key.id)
        let place = MemoryBackend()
        let whole = [UInt8](
            try Data(contentsOf: URL(fileURLWithPath: "\(scene.store)/\(key.path)")))
        let store = try scene.open()
        try store.refresh(session: StoreSession.newName())
        let pack = try #require(try store.index.pack(id))
        let entries = try store.index.entries(ofPack: pack.number)
        let checker = PackChecker(store: store, place: place)
        for at in whole.indices {
            for bit: UInt8 in [1, 0x80] {
                var bytes = whole
                bytes[at] ^= bit
                try place.put(key, bytes.span)
                let verdict = try checker.check(
                    pack, expected: PackSums.Sum(entries), wasBad: false)
                #expect(!verdict.isGood, "byte \(at)")
            }
        }
        try place.put(key, whole.span)
        let verdict = try checker.check(pack, expected: PackSums.Sum(entries), wasBad: false)
        #expect(verdict.isGood, "\(verdict)")
    }
}
