import Foundation
import JobTable
import Manifest
import Platform
import Stages
import TestSupport
import Testing

/// Files that change under a check.
///
/// Somebody's new work must never be taken for rot: a repair would put the old content in its
/// place.
@Suite struct ChangingFileTests {
    /// Acts once, as soon as this process has read something of the file at `path`.
    private func onFirstRead(of path: String, _ act: @escaping @Sendable () -> Void)
        -> DedicatedThread
    {
        DedicatedThread(name: "meddler") {
            while true {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))
                for name in names ?? [] {
                    guard
                        (try? FileManager.default.destinationOfSymbolicLink(
                            atPath: "/proc/self/fd/\(name)")) == path,
                        let info = try? String(
                            contentsOfFile: "/proc/self/fdinfo/\(name)", encoding: .utf8),
                        let line = info.split(separator: "\n").first,
                        let position = line.split(separator: "\t").last.flatMap({ Int($0) }),
                        position > 0
                    else { continue }
                    return act()
                }
            }
        }
    }

    /// A file so large that it is still being read when it changes.
    private func bench() throws -> (Workbench, [Unit]) {
        let bench = try Workbench()
        try bench.write("large", [])
        #expect(truncate(bench.module + "/large", 1 << 30) == 0)
        try bench.store("first")
        return (bench, try bench.walk())
    }

    enum Change: CaseIterable, Sendable {
        case rewrite, rewriteAndSetBackTime, append, cut, replace
    }

    @Test(arguments: Change.allCases)
    func aFileThatChangesWhileItIsReadIsNeverRotted(change: Change) throws {
        let (bench, units) = try bench()
        try bench.manifest("r", units)
        let path = bench.module + "/large"
        let other = bench.folder("other")
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: other))
        let mtime = try #require(units["large"]).metadata.mtime
        let meddler = onFirstRead(of: path) {
            switch change {
            case .rewrite, .rewriteAndSetBackTime:
                let file = FileHandle(forWritingAtPath: path)
                try? file?.write(contentsOf: [1, 2, 3])
                try? file?.close()
                guard change == .rewriteAndSetBackTime else { return }
                var times = [timespec(), timespec()]
                let nanoseconds = mtime.nanosecondsSinceEpoch
                times[1].tv_sec = Int(nanoseconds / 1_000_000_000)
                times[1].tv_nsec = Int(nanoseconds % 1_000_000_000)
                times[0] = times[1]
                _ = utimensat(AT_FDCWD, path, times, 0)
            case .append:
                let file = FileHandle(forWritingAtPath: path)
                _ = try? file?.seekToEnd()
                try? file?.write(contentsOf: [1])
            case .cut: truncate(path, 100)
            case .replace: rename(other, path)
            }
        }
        let stats = try bench.check("r", verify: true)
        meddler.join()
        let check = try #require(try bench.units("r", ["manifest", "check"])["large"]?.check)
        // A name that leads to another file by now was read to its end as it was.
        let expected: CheckResult.State = change == .replace ? check.state : .changed
        #expect(check.state != .rotted && check.state == expected, "\(check)")
        #expect(stats[counter: "count-unhealthy"] == 0, "\(check)")
    }

    /// What took a file's place between the walk and the reading is a change, not damage.
    @Test(arguments: ["gone", "directory", "symlink", "fifo", "parent gone", "parent is a file"])
    func whatTookAFilesPlaceIsNoDamage(what: String) throws {
        let bench = try Workbench()
        try bench.write("folder/file", noise(3000, seed: 1))
        try bench.store("first")
        try bench.manifest("r")
        let folder = bench.module + "/folder"
        let path = folder + "/file"
        #expect(unlink(path) == 0)
        switch what {
        case "gone": break
        case "directory": #expect(mkdir(path, 0o700) == 0)
        case "symlink": #expect(symlink("/etc/passwd", path) == 0)
        case "fifo": #expect(mkfifo(path, 0o600) == 0)
        case "parent gone": #expect(rmdir(folder) == 0)
        default:
            #expect(rmdir(folder) == 0)
            try bench.write("folder", [1])
        }
        let stats = try bench.check("r", verify: true)
        let checked = try #require(try bench.units("r", ["manifest", "check"])["folder/file"])
        #expect(checked.check?.state == .changed, "\(what): \(String(describing: checked.check))")
        #expect(stats[counter: "count-unhealthy"] == 0)
    }
}
