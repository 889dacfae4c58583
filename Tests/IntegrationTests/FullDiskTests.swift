import Foundation
import TestSupport
import Testing

/// A disk that runs full under state and store: a clear error, no damage, and on when there is
/// room.
@Suite(
    .temporaryFolder, .serialized,
    .enabled(if: available("a full disk (root, mounts)", Mount.isPossible)))
struct FullDiskTests {
    /// From hardly anything, which ends the first stage, to nearly enough, which ends the last.
    @Test(arguments: [48, 160, 400, 1000, 3000, 9000, 18_000])
    func runEndsClearlyAndResumes(freeKiB: Int) throws {
        let mount = try Mount.tmpfs(at: folder()("disk"), bytes: 96 << 20)
        let module = try folder()("data")
        var corpus = Corpus()
        try corpus.small(module, count: 6000)
        try corpus.large("\(module)/large", count: 1, size: 16 << 20)
        let fleet = try Fleet(in: mount.path + "/fleet", modules: ["data": module])
        try fleet.cistern("store", "init")
        let filler = mount.path + "/filler"
        try Command(
            "sh",
            [
                "-c",
                "free=$(df -k --output=avail \"$0\" | tail -n 1); head -c $(( (free - $1) * 1024 )) /dev/zero >\"$2\"",
                mount.path, "\(freeKiB)", filler,
            ]
        ).run().expect()

        let result = try fleet.command(["run", "nightly"]).run()
        guard case .exited(let code) = result.status, code == 1 || code == 3 else {
            Issue.record("with \(freeKiB) KiB free: \(result)")
            return
        }
        let said = result.text + result.errorText
        #expect(
            said.lowercased().contains("space") || said.contains("full"),
            "the message does not say that the disk is full: \(result)")

        try FileManager.default.removeItem(atPath: filler)
        try fleet.cistern("run", "nightly")
        try fleet.judge()
        let target = try folder()("copy")
        try fleet.cistern("hydrate", "data", "--to", target)
        #expect(try TreeComparison.differences(module, target) == [])
        withExtendedLifetime(mount) {}
    }

    @Test func hydrateOntoAFullDiskResumes() throws {
        let scene = try Scene { corpus, path in
            try corpus.small(path, count: 500)
            try corpus.large("\(path)/large", count: 2, size: 8 << 20)
        }
        try scene.fleet.cistern("dehydrate", "data")
        let mount = try Mount.tmpfs(at: folder()("disk"), bytes: 12 << 20)
        let target = mount.path + "/copy"
        let result = try scene.fleet.command(["hydrate", "data", "--to", target]).run()
        #expect(result.status == .exited(1) || result.status == .exited(3), "\(result)")
        #expect((result.text + result.errorText).lowercased().contains("space"), "\(result)")
        try Command("mount", ["-o", "remount,size=64m", mount.path]).run().expect()
        try scene.fleet.cistern("hydrate", "data", "--to", target)
        #expect(try TreeComparison.differences(scene.module, target) == [])
        withExtendedLifetime(mount) {}
    }
}
