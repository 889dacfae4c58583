import Foundation
import Platform
import TestSupport
import Testing

/// Filling a directory again.
@Suite(.temporaryFolder) struct HydrateTests {
    private func inode(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.systemFileNumber] as? Int)
    }

    @Test func onlyWhatDiffersIsWritten() throws {
        let scene = try Scene { try Scene.mixed(&$0, $1) }
        try scene.fleet.cistern("dehydrate", "data")
        let target = try folder()("copy")
        try scene.fleet.cistern("hydrate", "data", "--to", target)
        let files = Corpus.files(target + "/small")
        let before = try files.map { try inode("\(target)/small/\($0)") }
        // One with other content of the same size and time, one cut, one gone, one of other kind.
        try Damage.flipByte("\(target)/small/\(files[1])")
        try Damage.truncate("\(target)/small/\(files[2])", to: 1)
        try FileManager.default.removeItem(atPath: "\(target)/small/\(files[3])")
        try FileManager.default.removeItem(atPath: "\(target)/small/\(files[4])")
        try FileManager.default.createDirectory(
            atPath: "\(target)/small/\(files[4])/inner", withIntermediateDirectories: true)
        // Size and time of one are as they were: only reading tells.
        try scene.fleet.cistern("hydrate", "data", "--to", target, "--delete", "--verify")
        #expect(try TreeComparison.differences(scene.module, target) == [])
        for (i, file) in files.enumerated() where ![1, 2, 3, 4].contains(i) {
            #expect(try inode("\(target)/small/\(file)") == before[i], "written again: \(file)")
        }
    }

    @Test func deletesOnlyWhenAsked() throws {
        let scene = try Scene { try $0.small($1, count: 100) }
        try scene.fleet.cistern("dehydrate", "data")
        let target = try folder()("copy")
        try scene.fleet.cistern("hydrate", "data", "--to", target)
        let extra = target + "/extra/deep"
        try FileManager.default.createDirectory(atPath: extra, withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: URL(fileURLWithPath: extra + "/file"))
        try scene.fleet.cistern("hydrate", "data", "--to", target)
        #expect(FileManager.default.fileExists(atPath: extra + "/file"))
        try scene.fleet.cistern("hydrate", "data", "--to", target, "--delete")
        #expect(try TreeComparison.differences(scene.module, target) == [])
    }

    @Test func olderSnapshotsHydrate() throws {
        let scene = try Scene { try $0.small($1, count: 300) }
        try scene.fleet.cistern("dehydrate", "data")
        try Command("cp", ["-a", scene.module, folder()("old")]).run().expect()
        let restic = try #require(Restic.all.first)
        let first = try #require(scene.fleet.snapshots(restic).first?["id"].string)
        var corpus = Corpus(seed: 5)
        _ = try corpus.churn(scene.module)
        try scene.fleet.cistern("dehydrate", "data")
        let target = try folder()("copy")
        try scene.fleet.cistern("hydrate", "data", "--to", target)
        #expect(try TreeComparison.differences(scene.module, target) == [])
        // Back in time, over what is there.
        try scene.fleet.cistern(
            "hydrate", "data", "--snapshot", String(first.prefix(8)), "--to", target, "--delete")
        #expect(try TreeComparison.differences(folder()("old"), target) == [])
    }

    /// A symlink where a folder should be is replaced, and nothing is written through it.
    @Test func nothingIsWrittenOutsideOfTheTarget() throws {
        let scene = try Scene { try $0.small($1, count: 200) }
        try scene.fleet.cistern("dehydrate", "data")
        let outside = try folder()("outside")
        let target = try folder()("copy")
        for path in [outside, target] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        try FileManager.default.createSymbolicLink(
            atPath: target + "/000", withDestinationPath: outside)
        _ = try scene.fleet.command(["hydrate", "data", "--to", target]).run()
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == [])
        try scene.fleet.cistern("hydrate", "data", "--to", target, "--delete")
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == [])
        #expect(try TreeComparison.differences(scene.module, target) == [])
    }

    /// Damaged content never stands under its name, and the rest is there.
    @Test func damagedContentIsNotRestored() throws {
        let scene = try Scene { corpus, path in
            try corpus.small("\(path)/small", count: 50)
            try Data(corpus.noise(3_000_000)).write(to: URL(fileURLWithPath: path + "/hurt"))
        }
        try scene.fleet.cistern("dehydrate", "data")
        let contents = try StoreContents(scene.fleet, #require(Restic.all.first))
        let largest = try #require(
            contents.blobs.filter { !$0.isTree }.max { $0.length < $1.length })
        try scene.fleet.damage(largest)
        let target = try folder()("copy")
        let result = try scene.fleet.command(["hydrate", "data", "--to", target]).run()
        #expect(result.status == .exited(3), "\(result)")
        #expect((result.text + result.errorText).contains("hurt"), "\(result)")
        #expect(!FileManager.default.fileExists(atPath: target + "/hurt"))
        #expect(Corpus.files(target).count == 50)
    }

    /// As another user owners stay one's own, and everything else is as it was.
    @Test(.enabled(if: isRoot)) func hydratesWithoutRoot() throws {
        let scene = try Scene { corpus, path in try corpus.small(path, count: 100) }
        try scene.fleet.cistern("dehydrate", "data")
        let base = try folder().path
        try Command("chown", ["-R", "65534:65534", base]).run().expect()
        var command = scene.fleet.command(["hydrate", "data", "--to", base + "/copy"])
        // The program may lie where only root looks.
        command.program = base + "/cistern"
        // By a process of its own: a descriptor of this one that a child inherited meanwhile would
        // keep the copy "busy".
        try Command("cp", [Project.cistern, command.program]).run().expect()
        try command.asUser(65_534).run().expect()
        #expect(try TreeComparison.differences(scene.module, base + "/copy") == [])
    }

    /// Files of many owners and modes, in a folder each and mixed.
    private func modes(_ path: String) throws {
        let modes = [0o644, 0o666, 0o600, 0o400, 0o000, 0o755, 0o777, 0o4755, 0o2711, 0o640]
        for (i, mode) in modes.enumerated() {
            for folder in ["mixed", "folder\(i)"] {
                let folder = "\(path)/\(folder)"
                try FileManager.default.createDirectory(
                    atPath: folder, withIntermediateDirectories: true)
                for owner in isRoot ? ["0:0", "1234:0", "0:1234", "1234:1235"] : [""] {
                    let file = "\(folder)/\(i) \(owner)"
                    try Data("\(i)\(owner)".utf8).write(to: URL(fileURLWithPath: file))
                    if isRoot { try Command("chown", [owner, file]).run().expect() }
                    // Some systems have none here; the comparison then finds none on either side.
                    if i % 3 == 0 {
                        _ = try Command("setfattr", ["-n", "user.note", "-v", "x", file]).run()
                    }
                    try Command("chmod", [String(mode, radix: 8), file]).run().expect()
                }
            }
        }
    }

    /// Neither the umask nor a target that hands its group (and more) on changes what files are.
    @Test(arguments: ["000", "022", "077"])
    func filesAreAsTheyWereWhateverTheTargetIs(umask: String) throws {
        let scene = try Scene { try modes($1) }
        try scene.fleet.cistern("dehydrate", "data")
        let target = try folder()("copy")
        try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
        if isRoot { try Command("chgrp", ["4321", target]).run().expect() }
        try Command("chmod", ["2775", target]).run().expect()
        // A default ACL (version 2; u::rwx, g::r-x, m::r-x, o::---, user 1234 rwx) where there are
        // any: what inherits it has an attribute more, and still the permissions that it had.
        let acl =
            "0x0200000001000700ffffffff02000700d204000004000500ffffffff10000500ffffffff"
            + "20000000ffffffff"
        let hasACL =
            try Command(
                "setfattr", ["-n", "system.posix_acl_default", "-v", acl, target]
            ).run().status == .exited(0)
        var command = scene.fleet.command([
            "-c", "umask \(umask); exec \"$0\" \"$@\"", Project.cistern, "hydrate", "data", "--to",
            target,
        ])
        command.program = "sh"
        try command.run().expect()
        var options = TreeComparison.Options()
        options.attributes = !hasACL
        #expect(try TreeComparison.differences(scene.module, target, options: options) == [])
    }

    /// What is there is not touched; only its mode and owner are put right where they are wrong.
    @Test func onlyMetadataThatDiffersIsSet() throws {
        let scene = try Scene { try $0.small($1, count: 60) }
        try scene.fleet.cistern("dehydrate", "data")
        let target = try folder()("copy")
        try scene.fleet.cistern("hydrate", "data", "--to", target)
        let files = Corpus.files(target).map { "\(target)/\($0)" }
        try Command("chmod", ["0711", files[3]]).run().expect()
        if isRoot { try Command("chown", ["1234:1234", files[4]]).run().expect() }
        func changed() throws -> [String] {
            try Command("stat", ["-c", "%Z.%z %i"] + files).run().expect().text
                .split(separator: "\n").map(String.init)
        }
        let before = try changed()
        try scene.fleet.cistern("hydrate", "data", "--to", target)
        #expect(try TreeComparison.differences(scene.module, target) == [])
        for (i, (old, new)) in zip(before, try changed()).enumerated()
        where i != 3 && (i != 4 || !isRoot) {
            #expect(old == new, "\(files[i])")
        }
    }

    /// Until a file is whole nothing of it is to be seen, and a kill leaves nothing else either.
    @Test(arguments: [1, 7, 60]) func aKillLeavesWholeFilesOnly(count: Int) throws {
        let scene = try Scene { corpus, path in
            try corpus.small("\(path)/small", count: 100)
            try corpus.large("\(path)/large", count: 2, size: 12 << 20)
        }
        try scene.fleet.cistern("dehydrate", "data")
        let target = try folder()("copy")
        try scene.fleet.command(["hydrate", "data", "--to", target])
            .die(at: CrashPlace("hydrate-before-name", count))
        let files = Corpus.files(target)
        #expect(files.count < 102)
        for file in files {
            #expect(
                FileManager.default.contentsEqual(
                    atPath: "\(target)/\(file)", andPath: "\(scene.module)/\(file)"), "\(file)")
        }
        try scene.fleet.cistern("hydrate", "data", "--to", target)
        #expect(try TreeComparison.differences(scene.module, target) == [])
    }

    /// Two at once would take each other's temporary files.
    @Test func oneAtATimeFillsADirectory() throws {
        let scene = try Scene { try $0.small($1, count: 3) }
        try scene.fleet.cistern("dehydrate", "data")
        let target = try folder()("copy")
        try FileManager.default.createDirectory(
            atPath: target, withIntermediateDirectories: false)
        let other = try #require(try FileLock(directory: target))
        let refused = try scene.fleet.cistern("hydrate", "data", "--to", target, expecting: 4)
        #expect(refused.errorText.contains(target), "\(refused)")
        #expect(Corpus.files(target) == [])
        withExtendedLifetime(other) {}
    }
}
