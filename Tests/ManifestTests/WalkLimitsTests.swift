import Foundation
import Platform
import TestSupport
import Testing

import struct Manifest.WalkOptions
import class Manifest.Walk
import func Manifest.comparePaths

/// Deep trees, directories that cannot be read, and what changes under the walk.
@Suite struct WalkLimitsTests {
    /// Makes directories inside of each other, with a file `f` and a directory `e` in each.
    private func makeDeep(_ folder: Folder, levels: Int, name: String) throws {
        var at = try folder.descriptor.duplicate()
        for _ in 0..<levels {
            try at.makeDirectory(Array(name.utf8))
            _ = try at.open(Array("f".utf8), [.create, .writeOnly])
            try at.makeDirectory(Array("e".utf8))
            at = try at.open(Array(name.utf8), [.readOnly, .directory])
        }
    }

    private func openDescriptors() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
    }

    @Test(arguments: [(3000, "d"), (2500, "directory-with-a-name-of-some-forty-bytes")])
    func aDeepTreeIsWalkedWithFewDescriptors(_ levels: Int, _ name: String) throws {
        let folder = try Folder()
        try makeDeep(folder, levels: levels, name: name)
        let walk = try Walk(root: folder.path)
        defer { walk.close() }
        let before = openDescriptors()
        var last: [UInt8]?
        var count = 0
        var longest = 0
        var most = 0
        while let chunk = try walk.next() {
            most = max(most, openDescriptors())
            for unit in chunk {
                if let last { #expect(comparePaths(last, unit.path) < 0) }
                #expect(unit.error == nil)
                last = unit.path
                longest = max(longest, unit.path.count)
                count += 1
            }
        }
        #expect(count == 1 + levels * 3)
        #expect(
            longest == (name.utf8.count + 1) * levels - 1
                || longest == (name.utf8.count + 1) * (levels - 1) + max(1, name.utf8.count))
        // Other tests of this process have descriptors open too.
        #expect(most - before < 64 + 200)
    }

    @Test func twentyThousandLevelsDoNotRecurse() throws {
        let folder = try Folder()
        try makeDeep(folder, levels: 20_000, name: "d")
        let walk = try Walk(root: folder.path)
        var count = 0
        while let chunk = try walk.next() { count += chunk.count }
        walk.close()
        #expect(count == 60_001)
        // And half way down, where all levels are still held.
        let other = try Walk(root: folder.path)
        for _ in 0..<20 { _ = try other.next() }
        other.close()
    }

    @Test func aDeepWalkResumes() throws {
        let folder = try Folder()
        try makeDeep(folder, levels: 1500, name: "dd")
        var options = WalkOptions()
        options.chunkUnits = 500
        let whole = try chunks(folder.path, options)
        for (i, chunk) in whole.enumerated() {
            #expect(
                try chunks(folder.path, options, after: chunk.last?.path)
                    == Array(whole[(i + 1)...]))
        }
    }

    @Test func whatVanishesIsNotThere() throws {
        let folder = try Folder()
        for i in 0..<40 { for j in 0..<50 { try folder.file("d\(i)/f\(j)") } }
        let done = Monitor(false)
        let path = folder.path
        let remover = DedicatedThread(name: "remover") {
            for i in stride(from: 39, through: 0, by: -1) {
                try? FileManager.default.removeItem(atPath: path + "/d\(i)")
            }
            done.with { $0 = true }
        }
        var rounds = 0
        while true {
            let isDone = done.with { $0 }
            let units = try chunks(folder.path).flatMap { $0 }
            for unit in units {
                if let error = unit.error {
                    #expect(unit.metadata.kind == .directory && error.code == Errno.noEntry)
                }
            }
            #expect(zip(units, units.dropFirst()).allSatisfy { comparePaths($0.path, $1.path) < 0 })
            rounds += 1
            if isDone {
                #expect(units.count == 1)
                break
            }
        }
        remover.join()
        #expect(rounds > 0)
    }

    @Test func anUnreadableDirectoryCarriesItsErrorAndSiblingsGoOn() throws {
        guard Root.isEffective else {
            return notice("skipped: " + "unreadable directories need root, to become nobody")
        }
        let folder = try Folder()
        for name in ["a/x", "locked/y", "unsearchable/z", "w/v"] { try folder.file(name) }
        try folder.descriptor.setPermissions(0o755)
        try folder.descriptor.setPermissions(Array("locked".utf8), 0o700)
        try folder.descriptor.setPermissions(Array("unsearchable".utf8), 0o744)
        let result = try Root.asNobody { () throws in
            let whole = try chunks(folder.path).flatMap { $0 }
            var options = WalkOptions()
            options.resumedUnitHasError = true
            let told = try chunks(folder.path, options, after: Array("locked".utf8)).flatMap { $0 }
            let untold = Result { try chunks(folder.path, after: Array("locked/q".utf8)) }
            return (whole, told, untold)
        }
        let (whole, told, resumed) = result
        let untold = #expect(throws: Failure.self) { try resumed.get() }
        #expect(
            whole.map { String(decoding: $0.path, as: UTF8.self) }
                == ["", "a", "a/x", "locked", "unsearchable", "unsearchable/z", "w", "w/v"])
        #expect(whole[3].error?.code == Errno.access)
        #expect(whole[3].error?.call == "openat")
        #expect(whole[3].metadata.inode != 0)
        #expect(whole[4].error == nil)
        #expect(whole[5].error?.code == Errno.access)
        #expect(whole[5].metadata.kind == .file)
        #expect(whole[6].error == nil)
        #expect(told == Array(whole[4...]))
        #expect(untold?.kind == .module)
        #expect(untold?.message.contains("locked") ?? false)
    }

    @Test func otherFileSystemsAreListedButNotDescended() throws {
        guard Root.isEffective else { return notice("skipped: " + "mounting needs root") }
        let folder = try Folder()
        try folder.file("here")
        try folder.directory("mnt")
        guard try Root.run("mount", "-t", "tmpfs", "tmpfs", folder.path + "/mnt") else {
            return notice("skipped: " + "tmpfs cannot be mounted here")
        }
        defer { _ = try? Root.run("umount", folder.path + "/mnt") }
        try folder.file("mnt/there")
        var options = WalkOptions()
        #expect(try paths(folder.path, options) == ["", "here", "mnt", "mnt/there"])
        options.oneFileSystem = true
        #expect(try paths(folder.path, options) == ["", "here", "mnt"])
        #expect(
            try chunks(folder.path, options, after: Array("mnt".utf8)).isEmpty)
    }
}
