import Foundation
import TestSupport
import Testing

/// `cistern obliterate` killed wherever it removes something.
@Suite(.temporaryFolder, .serialized) struct ObliterateTests {
    /// Two modules that share content, in packs that each has parts of, with a run, a forgotten
    /// state of the first, and something of it in quarantine.
    private struct Start {
        let fleet: Fleet
        let other: String
        /// The ids of the first module's snapshots.
        let snapshots: Set<String>

        init(isMirrored: Bool) throws {
            let data = try folder()("data")
            other = try folder()("other")
            var corpus = Corpus()
            try corpus.small("\(data)/shared", count: 40)
            try Command("cp", ["-a", data, other]).run().expect()
            try corpus.small("\(data)/own", count: 60)
            try corpus.large("\(data)/large", count: 1, size: 5 << 20)
            try corpus.small("\(other)/own", count: 20)
            fleet = try Fleet(in: folder()("fleet"), modules: ["data": data, "other": other])
            if isMirrored { try fleet.mirror(to: ["file:./mirror"]) }
            try fleet.cistern("run", "nightly")
            _ = try corpus.churn("\(data)/own")
            try fleet.cistern("run", "nightly")
            if isMirrored { try fleet.cistern("store", "mirror") }
            let quarantine = fleet.state + "/quarantine/data/own"
            try FileManager.default.createDirectory(
                atPath: quarantine, withIntermediateDirectories: true)
            try Data("what a repair replaced".utf8).write(
                to: URL(fileURLWithPath: quarantine + "/file"))
            snapshots = try Start.snapshots(fleet, "data")
            #expect(snapshots.count == 2)
        }

        static func snapshots(_ fleet: Fleet, _ module: String) throws -> Set<String> {
            let all = try JSON(fleet.cistern("snapshots", "--json").output)["snapshots"].array
            return Set(
                all.filter { $0["module"].string == module }.compactMap { $0["id"].string })
        }
    }

    /// Files of the state that only the module is the reason for; its lock file stays, because
    /// whoever waits for it holds it open.
    private func traces(_ fleet: Fleet) -> [String] {
        let found = FileManager.default.enumerator(atPath: fleet.state)
        var traces: [String] = []
        while let path = found?.nextObject() as? String {
            let isDirectory =
                found?.fileAttributes?[.type] as? FileAttributeType == .typeDirectory
            let parts = path.split(separator: "/")
            let isNamed = parts.last.map { $0 == "data" || $0.hasPrefix("data.") } ?? false
            if isNamed && path != "modules/data.lock" { traces.append(path) }
            if !isDirectory && parts.first == "obliterating" { traces.append(path) }
        }
        return traces
    }

    private func packs(_ place: String) -> Set<String> {
        let found = FileManager.default.enumerator(atPath: place + "/data")
        var ids: Set<String> = []
        while let name = found?.nextObject() as? String {
            let id = String(name.suffix(64))
            if id.count == 64 && !name.contains("-tmp-") { ids.insert(id) }
        }
        return ids
    }

    /// All that it promises, by the last receipt, by looking, and by restic.
    private func judge(
        _ fleet: Fleet, _ start: Start, isMirrored: Bool, _ what: String
    ) throws {
        let places = [fleet.store] + (isMirrored ? [fleet.folder + "/mirror"] : [])
        let folder = fleet.state + "/obliterated"
        // The ids of times sort by time.
        let name = try #require(FileManager.default.contentsOfDirectory(atPath: folder).max())
        let receipt = try JSON(Array(Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)"))))
        #expect(receipt["proven"].bool == true, "\(what): \(receipt)")
        #expect(receipt["module"].string == "data")
        #expect(receipt["places"].array.count == places.count, "\(what): \(receipt)")
        #expect(receipt["kept"].array.contains { $0["module"].string == "other" }, "\(what)")
        let deleted = receipt["deleted"]
        let removed = Set(deleted["snapshots"].array.compactMap(\.string))
        #expect(removed == start.snapshots, "\(what)")
        let named = Set(deleted["packs"].array.compactMap(\.string))
        let restic = try #require(Restic.all.last)
        for place in places {
            let now = packs(place)
            let gone = packs(start.fleet.store).subtracting(now)
            #expect(!gone.isEmpty && gone.isSubset(of: named), "\(what): \(place)")
            #expect(named.isDisjoint(with: now), "\(what): \(place)")
            let check = try restic.command(
                ["check", "--read-data"], store: place, passwordFile: fleet.passwordFile
            ).run()
            #expect(
                check.text.contains("no errors were found")
                    && !check.text.contains("not referenced"), "\(what): \(check)")
        }
        #expect(traces(fleet) == [], "\(what)")
        #expect(fleet.objects("locks") == [], "\(what)")
        #expect(try Start.snapshots(fleet, "data") == [], "\(what)")
        #expect(try Start.snapshots(fleet, "other").count == 2, "\(what)")
        let target = fleet.folder + "/copy"
        try fleet.cistern("hydrate", "other", "--to", target)
        #expect(try TreeComparison.differences(start.other, target) == [], "\(what)")
    }

    /// The blobs that are left.
    private func blobs(_ fleet: Fleet) throws -> Set<String> {
        let restic = try #require(Restic.all.last)
        return Set(try StoreContents(fleet, restic).blobs.map(\.id))
    }

    /// Dies at each point between two durable steps; the next one ends it, and its receipt names
    /// all that both removed.
    @Test(arguments: [false, true]) func diesEverywhere(isMirrored: Bool) throws {
        let start = try Start(isMirrored: isMirrored)
        #expect(!traces(start.fleet).isEmpty)
        let obliterate = ["obliterate", "data", "--yes"]
        var left: Set<String> = []
        let places = try start.fleet.dieEverywhere(
            obliterate, in: folder(),
            at: { places in
                let own = places.filter { $0.name.hasPrefix("obliterate-") }
                return isMirrored ? own.firstAndLast : own
            },
            undisturbed: { fleet in
                try judge(fleet, start, isMirrored: isMirrored, "undisturbed")
                left = try blobs(fleet)
            }
        ) { fleet, place in
            try fleet.command(obliterate).run().expect()
            try judge(fleet, start, isMirrored: isMirrored, "\(place)")
            #expect(try blobs(fleet) == left, "\(place)")
        }
        let expected: Set = [
            "obliterate-noted", "obliterate-snapshot-removed", "obliterate-packs-noted",
            "obliterate-copied", "obliterate-index-swapped", "obliterate-removed",
            "obliterate-cleaned", "obliterate-state-removed", "obliterate-traces-removed",
            "obliterate-receipt-written",
        ]
        #expect(expected.subtracting(places.names) == [])
        #expect(left.count > 20)
    }
}
