import ContentStore
import Foundation
import Platform
import StoreTestSupport
import Testing

@Suite struct FileBackendTests {
    @Test func laysOutFilesAsResticDoes() throws {
        let folder = try ScratchFolder()
        let backend = try FileBackend(path: folder.path, create: true)
        let id = SHA256Hasher.hash([1].span)
        for kind in ObjectKind.allCases { try backend.put(ObjectKey(kind, id), [1].span) }
        let hex = id.description
        for path in [
            "config", "keys/\(hex)", "data/\(hex.prefix(2))/\(hex)", "index/\(hex)",
            "snapshots/\(hex)", "locks/\(hex)",
        ] {
            let attributes = try FileManager.default.attributesOfItem(
                atPath: "\(folder.path)/\(path)")
            #expect(attributes[.posixPermissions] as? Int == 0o400, "\(path)")
        }
        let attributes = try FileManager.default.attributesOfItem(
            atPath: "\(folder.path)/data/\(hex.prefix(2))")
        #expect(attributes[.posixPermissions] as? Int == 0o700)
    }

    @Test func passesOverForeignNames() throws {
        let folder = try ScratchFolder()
        let backend = try FileBackend(path: folder.path, create: true)
        let id = SHA256Hasher.hash([1].span)
        let files = FileManager.default
        for path in [
            "data/00/\(id)", "data/zz/\(id)", "data/README", "index/\(id)x", "index/a.par",
        ] {
            let url = URL(fileURLWithPath: "\(folder.path)/\(path)")
            try files.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            #expect(files.createFile(atPath: url.path, contents: Data([1])))
        }
        try files.createDirectory(
            atPath: "\(folder.path)/index/\(id)", withIntermediateDirectories: true)
        for kind in [ObjectKind.pack, .index] {
            try backend.list(kind) { id, _ in Issue.record("listed \(kind) \(id)") }
        }
    }

    @Test func removesOldLeftoversAlone() throws {
        let folder = try ScratchFolder()
        let backend = try FileBackend(path: folder.path, create: true)
        let id = SHA256Hasher.hash([1].span).description
        let files = FileManager.default
        let pack = "data/\(id.prefix(2))"
        try files.createDirectory(
            atPath: "\(folder.path)/\(pack)", withIntermediateDirectories: true)
        let old = ["index/\(id)-tmp-12ab", "\(pack)/\(id)-tmp-1", "config-tmp-99"]
        let kept = ["index/\(id)-tmp-new", "index/mine-tmp-1", "\(pack)/\(id)"]
        for path in old + kept {
            let full = "\(folder.path)/\(path)"
            #expect(files.createFile(atPath: full, contents: Data([1])))
            guard !path.hasSuffix("new") else { continue }
            try files.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 1000)], ofItemAtPath: full)
        }
        #expect(try backend.removeLeftovers(olderThan: Timestamp(seconds: 2000)) == 3)
        for path in old { #expect(!files.fileExists(atPath: "\(folder.path)/\(path)")) }
        for path in kept { #expect(files.fileExists(atPath: "\(folder.path)/\(path)")) }
    }

    @Test func namesWhatIsMissing() throws {
        let failure = #expect(throws: Failure.self) {
            _ = try FileBackend(path: "/nonexistent/store")
        }
        #expect(failure?.kind == .store)
        #expect(failure?.description.contains("/nonexistent/store") == true)
        #expect(failure?.hint != nil)
        let full = BackendError(SystemError(Errno.noSpace, "write", "x"), .config)
        #expect(full.failure(at: "file:/s").hint?.contains("Free space") == true)
    }

    /// More packs than are kept open.
    @Test func readsFromManyPacks() throws {
        let folder = try ScratchFolder()
        let backend = try FileBackend(path: folder.path, create: true)
        let contents = (0..<100).map { noise(64, seed: UInt64($0 + 1)) }
        let keys = contents.map { ObjectKey(.pack, SHA256Hasher.hash($0.span)) }
        for (key, bytes) in zip(keys, contents) { try backend.put(key, bytes.span) }
        for _ in 0..<2 {
            for (key, bytes) in zip(keys, contents) {
                var output: [UInt8] = []
                try backend.read(key, 0..<64, into: &output)
                #expect(output == bytes)
            }
        }
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")
            .filter {
                (try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "/proc/self/fd/\($0)"))?.hasPrefix(folder.path + "/data/") == true
            }
        #expect(open.count <= 32)
    }
}

@Suite struct MemoryBackendTests {
    let id = SHA256Hasher.hash([1].span)

    func failing(_ fault: BackendFault, at number: Int) -> MemoryBackend {
        MemoryBackend(plan: FaultPlan { _, n in n == number ? fault : nil })
    }

    @Test func writeFaultsFailAsTheySay() throws {
        let key = ObjectKey(.pack, id)
        for (fault, stored) in [
            (BackendFault.temporary, false), (.tornWrite, false), (.lostResponse, true),
        ] {
            let backend = failing(fault, at: 0)
            #expect(throws: BackendError.self) { try backend.put(key, [1].span) }
            #expect((backend.objects[key] != nil) == stored, "\(fault)")
            try backend.put(key, [1].span)
            #expect(backend.counts[.put] == 2)
        }
    }

    @Test func readFaultsGiveWrongBytes() throws {
        let key = ObjectKey(.pack, id)
        let wrong = failing(.wrongBytes, at: 1)
        try wrong.put(key, [1, 2, 3].span)
        #expect(try wrong.get(key, limit: 9) == [1, 3, 3])
        #expect(try wrong.get(key, limit: 9) == [1, 2, 3])
        let short = failing(.truncatedRead, at: 1)
        try short.put(key, [1, 2, 3].span)
        #expect(try short.get(key, limit: 9).count < 3)
        let stale = failing(.staleListing, at: 1)
        try stale.put(key, [1].span)
        var listed = 0
        try stale.list(.pack) { _, _ in listed += 1 }
        #expect(listed == 0)
        try stale.list(.pack) { _, _ in listed += 1 }
        #expect(listed == 1)
    }

    @Test func seededPlansRepeat() {
        func faults(_ seed: UInt64) -> [Bool] {
            let backend = MemoryBackend(plan: .seeded(seed, rate: 0.3, faults: [.temporary]))
            return (0..<200).map { _ in (try? backend.remove(.config)) != nil }
        }
        #expect(faults(1) == faults(1))
        #expect(faults(1) != faults(2))
        #expect((20...100).contains(faults(1).filter { !$0 }.count))
    }
}
